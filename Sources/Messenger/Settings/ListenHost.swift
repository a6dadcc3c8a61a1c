public import LibGRPC
import Glibc

/// The addresses of this machine on which a program listens.
public struct ListenHost: SettingValue, Hashable {
    /// The host as given, an IPv6 address without brackets.
    public let settingText: String

    /// All IPv4 and IPv6 addresses.
    public static let all = ListenHost(unchecked: "*")

    /// This machine alone.
    public static let localhost = ListenHost(unchecked: "localhost")

    private init(unchecked text: String) {
        settingText = text
    }

    public static var form: String { "* for every address, an IP address, or a name such as localhost" }

    public init?(settingText: String) {
        var host = settingText[...]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
            guard host.utf8.contains(UInt8(ascii: ":")) else { return nil }
        }
        guard host == "*" || Self.isName(host) || Self.isIPv6(host) else { return nil }
        self.init(unchecked: String(host))
    }

    /// Whether the text may be the name of a host, or an IPv4 address.
    public static func isName(_ text: Substring) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy(isNameByte)
    }

    /// Whether the text is an IPv6 address. A percent sign begins its zone, as in `fe80::1%eth0`.
    public static func isIPv6(_ text: Substring) -> Bool {
        guard let zone = text.utf8.firstIndex(of: UInt8(ascii: "%")) else {
            var address = in6_addr()
            return inet_pton(AF_INET6, String(text), &address) == 1
        }
        return isIPv6(text[..<zone]) && isName(text[text.utf8.index(after: zone)...])
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch Unicode.Scalar(byte) {
        case "a"..."z", "A"..."Z", "0"..."9", "-", "_", ".": true
        default: false
        }
    }
}

extension ListenHost {
    /// The host with a port, as ``ListenAddress`` reads it: `*:8080`, `localhost:8080`, `[::1]:8080`.
    public func address(port: Port) -> String {
        settingText.utf8.contains(UInt8(ascii: ":")) ? "[\(settingText)]:\(port)" : "\(settingText):\(port)"
    }

    /// The target of a channel on this machine to a server that listens here.
    public func target(port: Port) -> String {
        // Connections to 0.0.0.0 and :: go to this machine too.
        let address = self == .all ? "127.0.0.1:\(port)" : address(port: port)
        // A host may have the name of a scheme, so the scheme comes first. In a URI a percent sign must be escaped.
        return "dns:///" + address.split(separator: "%").joined(separator: "%25")
    }
}

extension ListenHost {
    /// Listens on the host's addresses: one socket for each, which accepts connections from now on.
    ///
    /// - Parameters:
    ///   - hostVariable: The variable that errors name if the host is the problem.
    ///   - portVariable: The variable that errors name if the port is the problem.
    /// - Throws: ``StartError`` if any of the addresses fails, for example because its port is in use.
    public func listen(
        port: Port,
        hostVariable: String,
        portVariable: String
    ) throws(StartError) -> [ListeningSocket] {
        do {
            return try ListeningSocket.listen(on: address(port: port))
        } catch {
            throw .cannotListen(error, hostVariable: hostVariable, portVariable: portVariable)
        }
    }
}

extension StartError {
    /// Why a program cannot listen, and which setting to change.
    public static func cannotListen(_ error: SystemError, hostVariable: String, portVariable: String) -> StartError {
        switch error.errno {
        case EADDRINUSE:
            StartError(.unavailable, "Cannot serve: \(error). Choose another port with \(portVariable).")
        case EACCES:
            StartError(.notPermitted, "Cannot serve: \(error). Choose a port above 1023 with \(portVariable).")
        case EADDRNOTAVAIL, EAFNOSUPPORT, EINVAL:
            StartError(.unavailable, "Cannot serve: \(error). Choose an address of this machine with \(hostVariable).")
        default:
            StartError(.unavailable, "Cannot serve: \(error).")
        }
    }
}
