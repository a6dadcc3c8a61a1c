/// Where a room is in Redis: `redis://[USER:PASSWORD@]HOST[:PORT]/KEY`.
struct RedisAddress: Sendable, Hashable {
    var host: String
    var port: UInt16
    /// The key of the room's stream. Others of the room's begin with it.
    var key: String
    var user: String?
    var password: String?

    init?(_ text: String) {
        guard text.hasPrefix("redis://"), !text.contains(where: { $0.isWhitespace || $0 == "\0" }) else { return nil }
        var rest = text.dropFirst("redis://".count)
        if let at = rest.lastIndex(of: "@") {
            let credentials = rest[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            guard credentials.count == 2, !credentials[1].isEmpty else { return nil }
            user = credentials[0].isEmpty ? nil : String(credentials[0])
            password = String(credentials[1])
            rest = rest[rest.index(after: at)...]
        }
        let parts = rest.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[1].isEmpty else { return nil }
        key = String(parts[1])
        let host: Substring
        let portText: Substring
        if parts[0].hasPrefix("["), let end = parts[0].lastIndex(of: "]") {
            host = parts[0][parts[0].index(after: parts[0].startIndex)..<end]
            portText = parts[0][parts[0].index(after: end)...]
        } else {
            host = parts[0].prefix { $0 != ":" }
            portText = parts[0].dropFirst(host.count)
        }
        guard !host.isEmpty, portText.isEmpty || portText.hasPrefix(":") else { return nil }
        guard let port = portText.isEmpty ? 6379 : UInt16(portText.dropFirst()), port > 0 else { return nil }
        self.host = String(host)
        self.port = port
    }

    /// What `AUTH` takes.
    var credentials: [String]? { password.map { [user, $0].compactMap(\.self) } }

    /// The address without the password, for logs.
    var description: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return "redis://\(password == nil ? "" : "\(user ?? ""):***@")\(name):\(port)/\(key)"
    }
}
