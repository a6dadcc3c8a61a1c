public import GRPC
import Glibc

/// On which of the machine's addresses a program listens.
public struct ListenHost: SettingValue, Hashable {
    /// The host as it was given, an IPv6 address without brackets.
    public let settingText: String

    /// Every address, of IPv4 and IPv6.
    public static let all = ListenHost(unchecked: "*")

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

    private static func isName(_ text: Substring) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy(isNameByte)
    }

    /// The percent sign begins a zone, as in `fe80::1%eth0`.
    private static func isIPv6(_ text: Substring) -> Bool {
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
    /// The host with a port, as ``ListenAddress`` takes it: `*:8080`, `localhost:8080`, `[::1]:8080`.
    public func address(port: Port) -> String {
        settingText.utf8.contains(UInt8(ascii: ":")) ? "[\(settingText)]:\(port)" : "\(settingText):\(port)"
    }

    /// What a channel of this machine takes as its target to reach a server that listens here.
    public func target(port: Port) -> String {
        // Connections to 0.0.0.0 and :: go to this machine too.
        let address = self == .all ? "127.0.0.1:\(port)" : address(port: port)
        // With its scheme, as a host may have the name of one; there, a percent sign stands for itself only if escaped.
        return "dns:///" + address.split(separator: "%").joined(separator: "%25")
    }
}

extension Setting where Value == ListenHost {
    /// Listens on a host's addresses with sockets that accept connections from now on, one for each address.
    ///
    /// - Parameters:
    ///   - host: This setting's value.
    ///   - port: The port's value.
    ///   - portSetting: What the error names if the port is taken.
    /// - Throws: ``StartError`` if one of them is not possible, as when another program has the port in one family only.
    public func listen(
        _ host: ListenHost,
        _ port: Port,
        _ portSetting: Setting<Port>
    ) throws(StartError)
        -> [ListeningSocket]
    {
        do throws(SystemError) {
            return try ListeningSocket.listen(on: host.address(port: port))
        } catch {
            throw cannotListen(error, portSetting)
        }
    }

    /// Why a program cannot listen, and what to change.
    public func cannotListen(_ error: SystemError, _ portSetting: Setting<Port>) -> StartError {
        switch error.errno {
        case EADDRINUSE:
            StartError(.unavailable, "Cannot serve: \(error). Choose another port with \(portSetting.variable).")
        case EACCES:
            StartError(.notPermitted, "Cannot serve: \(error). Choose a port above 1023 with \(portSetting.variable).")
        case EADDRNOTAVAIL, EAFNOSUPPORT, EINVAL:
            StartError(.unavailable, "Cannot serve: \(error). Choose an address of this machine with \(variable).")
        default:
            StartError(.unavailable, "Cannot serve: \(error).")
        }
    }
}
