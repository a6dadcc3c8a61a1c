import Messenger

/// Where the gRPC server listens: `host:port`, the host a name, an IPv4 address or an IPv6 address in brackets.
struct ServerAddress: SettingValue, Hashable, CustomStringConvertible {
    /// The address as it was given, for example `localhost:51075` or `[::1]:51075`.
    let description: String

    /// The address as a URI for gRPC's resolver. Without the scheme a host named `dns`, `unix` or `xds` would be taken for one.
    var target: String {
        var text = description[...]
        // No name server knows the absolute form.
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

    static var form: String { "host:port, such as localhost:51075 or [::1]:51075" }

    init?(settingText: String) {
        guard
            let colon = settingText.utf8.lastIndex(of: UInt8(ascii: ":")),
            let port = Port(settingText: String(settingText[settingText.index(after: colon)...])), port != 0,
            Self.isHost(settingText[..<colon])
        else { return nil }
        self.description = settingText
    }

    private init(unchecked description: String) {
        self.description = description
    }

    var settingText: String { self.description }

    /// `localhost:51075`, where the server listens unless it is told otherwise.
    static let standard = ServerAddress(unchecked: "localhost:51075")

    /// Whether the text can be a host. That it exists is for the resolver to find out.
    private static func isHost(_ text: Substring) -> Bool {
        if text.hasPrefix("[") && text.hasSuffix("]") {
            // The percent sign begins a zone, as in [fe80::1%eth0].
            let inner = text.dropFirst().dropLast()
            return inner.contains(":")
                && inner.utf8.allSatisfy { self.isNameByte($0) || $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: "%") }
        }
        return !text.isEmpty && text.utf8.allSatisfy(self.isNameByte)
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch Unicode.Scalar(byte) {
        case "a"..."z", "A"..."Z", "0"..."9", "-", "_", ".": true
        default: false
        }
    }
}
