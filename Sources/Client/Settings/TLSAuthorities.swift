import Messenger

/// Whom the client trusts to vouch for the server, which is also what says that it speaks TLS at all.
enum TLSAuthorities: SettingValue, Hashable {
    /// No encryption.
    case none
    /// The authorities that the system trusts.
    case system
    /// Those in a PEM file.
    case file(String)

    static var form: String { "none, system or the path of a PEM file" }

    init(settingText: String) {
        switch settingText {
        case "none": self = .none
        case "system": self = .system
        default: self = .file(settingText)
        }
    }

    var settingText: String {
        switch self {
        case .none: "none"
        case .system: "system"
        case .file(let path): path
        }
    }
}

extension Setting where Value == TLSAuthorities {
    static var tlsAuthorities: Self {
        Setting(
            "MESSENGER_TLS_CA",
            default: .none,
            summary:
                "Connect with TLS to a server that these authorities vouch for: a PEM file, or 'system' for the system's."
        )
    }
}
