import HTTPServing
import Messenger

/// Where the gRPC server listens: `host:port`, the host a name, an IPv4 address or an IPv6 address in brackets.
struct ServerAddress: SettingValue, Hashable, CustomStringConvertible {
    /// The address as given, for example `localhost:51075` or `[::1]:51075`.
    let description: String

    /// The address as a URI for gRPC's resolver. Without the scheme, a host named `dns`, `unix` or `xds` would be read as
    /// one.
    var target: String {
        var text = description[...]
        // No name server resolves the absolute form.
        if text.lowercased().hasPrefix("localhost.:") { text = "localhost" + text.dropFirst("localhost.".count) }
        let path = text.utf8.map { byte in
            switch Unicode.Scalar(byte) {
            case "[": "%5B"
            case "]": "%5D"
            case "%": "%25"
            default: String(Unicode.Scalar(byte))
            }
        }
        return "dns:///" + path.joined()
    }

    /// Whether the server is on this machine. Another name may lead there too.
    var isLoopback: Bool {
        let host = description.utf8.lastIndex(of: UInt8(ascii: ":")).map { String(description[..<$0]) }
        return host.flatMap(ListenHost.init(settingText:))?.isLoopback ?? false
    }

    static var form: String { "host:port, such as localhost:51075 or [::1]:51075" }

    init?(settingText: String) {
        guard
            let colon = settingText.utf8.lastIndex(of: UInt8(ascii: ":")),
            let port = Port(settingText: String(settingText[settingText.index(after: colon)...])), port != 0,
            Self.isHost(settingText[..<colon])
        else { return nil }
        description = settingText
    }

    private init(unchecked description: String) {
        self.description = description
    }

    var settingText: String { description }

    /// The server's default address: `localhost:51075`.
    static let standard = ServerAddress(unchecked: "localhost:51075")

    /// Whether the text can be a host. The resolver finds out whether it exists.
    private static func isHost(_ text: Substring) -> Bool {
        guard text.hasPrefix("["), text.hasSuffix("]") else { return ListenHost.isName(text) }
        return ListenHost.isIPv6(text.dropFirst().dropLast())
    }
}

/// Whether the client connects to the server through an HTTP proxy.
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

/// The authorities that the client trusts to sign the server's certificate. They also decide whether it uses TLS at all.
enum TLSAuthorities: SettingValue, Hashable {
    /// No encryption.
    case none
    /// The system's authorities.
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

/// Host names, separated by commas.
struct HostNames: SettingValue, Hashable {
    let settingText: String
    let names: Set<HostName>

    static var form: String { "names of hosts separated by commas" }

    static let none = HostNames(settingText: "", names: [])

    private init(settingText: String, names: Set<HostName>) {
        self.settingText = settingText
        self.names = names
    }

    init?(settingText: String) {
        var names: Set<HostName> = []
        for part in settingText.utf8.split(separator: UInt8(ascii: ",")) {
            let words = part.split(separator: UInt8(ascii: " ")).map { Substring($0) }
            // Patterns such as *.example.com would match nothing.
            guard words.count == 1, ListenHost.isName(words[0]), let name = HostName(field: String(words[0])) else {
                return nil
            }
            names.insert(name)
        }
        self.init(settingText: settingText, names: names)
    }
}
