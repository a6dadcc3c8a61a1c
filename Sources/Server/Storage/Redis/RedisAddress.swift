/// Where a room is in Redis: `redis://[USER:PASSWORD@]HOST[:PORT]/KEY`, or `rediss:` for TLS.
///
/// User, password and key are percent-encoded. A `/` in the key needs no encoding.
struct RedisAddress: Sendable, Hashable {
    let usesTLS: Bool
    let host: String
    let port: UInt16
    /// The key of the room's stream, and the prefix of the room's other keys.
    let key: String
    let user: String?
    let password: String?
    /// The address without the password, for logs.
    let description: String

    /// What is wrong with an address. It never quotes the address, which may hold a password.
    struct ParseError: Error, CustomStringConvertible {
        let description: String

        init(_ description: String) { self.description = description }
    }

    init?(_ text: String) {
        guard let address = try? RedisAddress(parsing: text) else { return nil }
        self = address
    }

    init(parsing text: String) throws(ParseError) {
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else { throw .space }
        guard let scheme = text.firstRange(of: "://") else { throw .form }
        switch text[..<scheme.lowerBound].lowercased() {
        case "redis": usesTLS = false
        case "rediss": usesTLS = true
        default: throw .form
        }
        let rest = text[scheme.upperBound...]
        // As in any URL, the authority ends at the first slash.
        let authority = rest.prefix { $0 != "/" }
        let path = rest.dropFirst(authority.count)
        guard !path.utf8.contains(UInt8(ascii: "@")) else { throw .atSign }
        guard path.utf8.allSatisfy({ $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") }) else { throw .query }

        let at = authority.lastIndex(of: "@")
        (user, password) = try at.map { at throws(ParseError) in try Self.credentials(authority[..<at]) } ?? (nil, nil)
        let hostPort = at.map { authority[authority.index(after: $0)...] } ?? authority
        (host, port) = try Self.hostAndPort(hostPort)
        key = try Self.key(path.dropFirst())

        let name = host.contains(":") ? "[\(host)]" : host
        let login = password == nil ? "" : "\(user ?? ""):***@"
        description = "\(usesTLS ? "rediss" : "redis")://\(login)\(name):\(port)/\(key)"
    }

    /// The arguments of `AUTH`.
    var credentials: [String]? { password.map { [user, $0].compactMap(\.self) } }
}

// MARK: - Parsing

extension RedisAddress {
    private static func credentials(_ text: Substring) throws(ParseError) -> (user: String?, password: String?) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[1].isEmpty else { throw .noPassword }
        return (parts[0].isEmpty ? nil : try decoded(parts[0]), try decoded(parts[1]))
    }

    private static func hostAndPort(_ text: Substring) throws(ParseError) -> (String, UInt16) {
        let host: Substring
        let rest: Substring
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else { throw .brackets }
            host = text[..<end].dropFirst()
            rest = text[text.index(after: end)...]
            // Brackets are for IPv6 addresses only, such as `::1` or `fe80::1%eth0`.
            guard host.utf8.contains(UInt8(ascii: ":")) else { throw .brackets }
        } else {
            host = text.prefix { $0 != ":" }
            rest = text.dropFirst(host.count)
            guard !rest.dropFirst().contains(":") else { throw .brackets }
        }
        guard !host.isEmpty, host.utf8.allSatisfy(isHostByte) else { throw .host }
        guard !rest.isEmpty else { return (String(host), 6379) }
        guard rest.hasPrefix(":"), let port = port(rest.dropFirst()) else { throw .port }
        return (String(host), port)
    }

    private static func port(_ text: Substring) -> UInt16? {
        guard isNumber(text), let port = UInt16(text), port > 0 else { return nil }
        return port
    }

    private static func key(_ text: Substring) throws(ParseError) -> String {
        guard !text.isEmpty else { throw .noKey }
        guard !text.hasPrefix("/"), !text.hasSuffix("/") else { throw .slash }
        let key = try decoded(text)
        guard !isNumber(key.prefix { $0 != "/" }) else { throw .number }
        guard key.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else { throw .control }
        return key
    }

    private static func isNumber(_ text: Substring) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    }

    private static func isHostByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
        case UInt8(ascii: "0")...UInt8(ascii: "9"): true
        default: "-._:%".utf8.contains(byte)
        }
    }

    /// Decodes percent-encoding.
    private static func decoded(_ text: Substring) throws(ParseError) -> String {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(hexDigit), let low = rest.popFirst().flatMap(hexDigit) else {
                throw .percent
            }
            bytes.append(high << 4 | low)
        }
        guard let decoded = String(validating: bytes, as: UTF8.self) else { throw .notUTF8 }
        return decoded
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

// MARK: - Errors

extension RedisAddress.ParseError {
    static let form = Self("the address of a room in Redis has the form redis://[USER:PASSWORD@]HOST[:PORT]/KEY")
    static let space = Self("it contains a space or a control character; percent-encode it (%20 is a space)")
    static let atSign = Self(
        "the key contains '@'; write %40 for '@', and %2F for '/' in the user and the password"
    )
    static let query = Self("the key contains '?' or '#', but there are no options; in a key write %3F and %23")
    static let noPassword = Self("the password is missing; write USER:PASSWORD before '@', or :PASSWORD without a user")
    static let brackets = Self("an IPv6 address needs brackets, such as redis://[::1]:6379/room")
    static let host = Self("the host is missing or contains an invalid character")
    static let port = Self("the port is not a number from 1 to 65535")
    static let noKey = Self("the key is missing; it is the room's name in Redis, such as redis://localhost/room")
    static let slash = Self("the key begins or ends with '/'")
    static let number = Self(
        "the key is a bare number; it names the room and not a database, which is always 0; choose a name such as /room"
    )
    static let control = Self("the key contains a control character")
    static let percent = Self("a '%' is not followed by two hexadecimal digits; write %25 for '%'")
    static let notUTF8 = Self("the percent-encoded bytes are not UTF-8")
}
