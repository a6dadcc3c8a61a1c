import Messenger

// What the client's HTTP server can be told.

extension Setting where Value == ListenHost {
    static var httpHost: Self {
        Setting("MESSENGER_HTTP_HOST", default: .all, summary: "Where the HTTP server listens.")
    }
}

extension Setting where Value == Port {
    static var httpPort: Self {
        Setting("MESSENGER_HTTP_PORT", default: 8080, summary: "Port of the HTTP server; 0 takes any free one.")
    }
}

extension Setting where Value == Count {
    static var httpConnections: Self {
        Setting(
            "MESSENGER_HTTP_CONNECTIONS",
            default: 4096,
            in: 1...1_000_000,
            summary: """
                Most HTTP connections at the same time, and never more than half of the file descriptors that the \
                process may have; more wait to be accepted.
                """
        )
    }
}

extension Setting where Value == Duration {
    static var httpIdleTimeout: Self {
        Setting(
            "MESSENGER_HTTP_IDLE_TIMEOUT",
            default: .seconds(60),
            in: .milliseconds(1) ... .seconds(3600),
            summary: "How long a connection may take with a request's head, from its beginning or the last answer."
        )
    }

    static var httpRequestTimeout: Self {
        Setting(
            "MESSENGER_HTTP_REQUEST_TIMEOUT",
            default: .seconds(30),
            in: .milliseconds(1) ... .seconds(3600),
            summary: "How long a request's body may take to arrive, and how long an answer may wait for its peer."
        )
    }
}
