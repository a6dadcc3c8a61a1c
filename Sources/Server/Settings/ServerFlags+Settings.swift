import Messenger

// What the server alone can be told.

extension Setting where Value == ListenHost {
    static var serverHost: Self {
        Setting("MESSENGER_SERVER_HOST", default: .all, summary: "Where the gRPC server listens.")
    }
}

extension Setting where Value == Port {
    static var serverPort: Self {
        Setting("MESSENGER_SERVER_PORT", default: 51075, summary: "Port of the gRPC server; 0 takes any free one.")
    }
}

extension Setting where Value == FilePath {
    static var tlsClientAuthorities: Self {
        Setting(
            "MESSENGER_TLS_CLIENT_CA",
            default: .none,
            summary: "PEM file with the authorities that sign clients' certificates; clients must then show one."
        )
    }

    static var serverSocket: Self {
        Setting(
            "MESSENGER_SERVER_SOCKET",
            default: .none,
            summary: "Path of a unix socket to listen on too, without encryption, for programs of the same user."
        )
    }
}

extension Setting where Value == Count {
    static var historyMessages: Self {
        Setting(
            "MESSENGER_HISTORY_MESSAGES",
            default: 1_000_000,
            in: 1...1_000_000_000,
            summary: "Most messages that are held for readers that come back."
        )
    }

    static var maxConnections: Self {
        Setting(
            "MESSENGER_MAX_CONNECTIONS",
            default: 10_000,
            in: 1...1_000_000,
            summary: """
                Most connections at the same time, fewer if the file descriptors do not suffice; more wait to be accepted.
                """
        )
    }

    static var maxStreams: Self {
        Setting(
            "MESSENGER_MAX_STREAMS",
            default: 1_000,
            in: 1...1_000_000,
            summary: "Most calls at the same time on one connection; its client waits with more."
        )
    }

    static var maxCalls: Self {
        Setting(
            "MESSENGER_MAX_CALLS",
            default: 20_000,
            in: 1...10_000_000,
            summary: "Most calls at the same time on all connections; more get RESOURCE_EXHAUSTED."
        )
    }
}

extension Setting where Value == ByteCount {
    static var historyBytes: Self {
        Setting(
            "MESSENGER_HISTORY_BYTES",
            default: .mebibytes(256),
            in: .kibibytes(64) ... .mebibytes(65535),
            summary: "Most memory for the messages that are held."
        )
    }

    static var connectionBytes: Self {
        Setting(
            "MESSENGER_CONNECTION_BYTES",
            default: .mebibytes(1024),
            in: .mebibytes(16) ... .mebibytes(65535),
            summary: "Most memory for what is on its way on all connections; then calls are ended."
        )
    }
}
