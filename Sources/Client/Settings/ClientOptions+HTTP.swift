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
                process may have. A few more can ask for /healthz and /readyz; others get 503.
                """
        )
    }
}

extension Setting where Value == Duration {
    static var httpIdleTimeout: Self {
        Setting(
            "MESSENGER_HTTP_IDLE_TIMEOUT",
            default: .seconds(120),
            in: .milliseconds(1) ... .seconds(3600),
            summary: "How long a connection may take with a request's head, from its beginning or the last answer."
        )
    }

    static var httpRequestTimeout: Self {
        Setting(
            "MESSENGER_HTTP_REQUEST_TIMEOUT",
            default: .seconds(30),
            in: .milliseconds(1) ... .seconds(3600),
            summary: """
                How long a request's body may take to arrive. In twice this time a peer must take an answer at 1 KiB/s on \
                average.
                """
        )
    }
}

extension Setting where Value == ByteCount {
    static var httpBytes: Self {
        Setting(
            "MESSENGER_HTTP_BYTES",
            default: .mebibytes(128),
            in: .mebibytes(2) ... .mebibytes(16384),
            summary: """
                How many bytes all HTTP connections may use together for requests and answers; half of it for messages that \
                are being fetched.
                """
        )
    }
}

extension Setting where Value == HostNames {
    static var httpAllowedHosts: Self {
        Setting(
            "MESSENGER_HTTP_ALLOWED_HOSTS",
            default: .none,
            summary:
                "Under which host names browsers may use the HTTP server, beside addresses, localhost and names without a dot."
        )
    }
}
