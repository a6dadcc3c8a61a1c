import Messenger

/// Whether the server is reached by way of an HTTP proxy.
enum ServerProxy: String, SettingValue {
    /// No proxy, whatever the environment says.
    case none
    /// The proxy that the environment names.
    case environment

    static var form: String { "none or environment" }

    init?(settingText: String) {
        self.init(rawValue: settingText)
    }

    var settingText: String { rawValue }
}

extension Setting where Value == ServerProxy {
    static var serverProxy: Self {
        Setting(
            "MESSENGER_SERVER_PROXY",
            default: .none,
            summary: """
                HTTP proxy on the way to the gRPC server; 'environment' takes grpc_proxy, https_proxy or http_proxy, and \
                heeds no_grpc_proxy and no_proxy.
                """
        )
    }
}
