import Glibc
import NIOCore
import NIOHTTP1

// What NIO's decoder does not check in a request's head. Texts of peers are compared as bytes.

extension HTTPRequestHead {
    /// The path, without a query.
    var path: Substring.UTF8View {
        var target = Substring(uri).utf8
        if target.first != UInt8(ascii: "/"), let scheme = target.firstRange(of: "://".utf8) {
            // A proxy may name the whole address.
            target = target[scheme.upperBound...].drop { $0 != UInt8(ascii: "/") }
        }
        return target.prefix { $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") }
    }

    /// Whether the connection ends with this request. NIO's decoder reads nothing after one that asks for another protocol.
    var endsConnection: Bool {
        !isKeepAlive || method == .CONNECT || headers.contains(name: "Upgrade")
    }

    /// Whether the peer waits for permission to send the body, as curl does before a long one.
    var expectsContinue: Bool {
        version == .http1_1 && headers["Expect"].contains { $0.utf8.isASCIIEqual(to: "100-continue".utf8) }
    }

    var contentLength: Int? {
        headers.first(name: "Content-Length").flatMap { Int($0) }
    }

    /// Checks that there is only one way to find the request's end and its host.
    func checkFraming() throws(HTTPFailure) {
        guard version == .http1_1 || version == .http1_0 else { throw .invalidHTTP }
        let encodings = headers["Transfer-Encoding"]
        if !encodings.isEmpty {
            guard version == .http1_1, encodings.count == 1, encodings[0].utf8.isASCIIEqual(to: "chunked".utf8)
            else { throw .invalidHTTP }
        }
        let hosts = headers["Host"]
        guard hosts.count == 1 || (hosts.isEmpty && version == .http1_0) else { throw .invalidHTTP }
        guard hosts.allSatisfy({ HostName(field: $0) != nil }) else { throw .invalidHTTP }
    }

    /// Checks that the request does not come from a web page of another origin.
    ///
    /// A browser says where a request comes from. A page whose name points to this machine (DNS rebinding) has the same
    /// origin as its requests, but a foreign name. Its reads have only `User-Agent`, so that is enough to check the name.
    ///
    /// - Parameter isLinkable: Whether the browser may open it from another site's link, in a tab of its own.
    func checkOrigin(allowing hosts: AllowedHosts, isLinkable: Bool) throws(HTTPFailure) {
        let origins = headers["Origin"]
        let sites = headers["Sec-Fetch-Site"]
        let referers = headers["Referer"]
        guard
            !origins.isEmpty || !sites.isEmpty || !referers.isEmpty
                || headers["User-Agent"].contains(where: { $0.utf8.starts(with: "Mozilla/".utf8) })
        else { return }
        guard let field = headers.first(name: "Host"), let host = HostName(field: field),
            host.isLocal || hosts.names.contains(host)
        else {
            throw HTTPFailure(
                .forbidden,
                "Browsers may not use this host name; allow it with \(hosts.setting)."
            )
        }
        let isRead = method == .GET || method == .HEAD
        let isOwn =
            origins.count <= 1 && origins.allSatisfy { Self.origin($0, isThatOf: field) }
            && sites.count <= 1
            && sites.allSatisfy {
                $0.utf8.elementsEqual("same-origin".utf8) || (isRead && $0.utf8.elementsEqual("none".utf8))
                    || (isRead && isLinkable && isNavigation)
            }
            // Browsers that are too old for both fields.
            && (isRead || !origins.isEmpty || referers.allSatisfy { Self.origin($0, isThatOf: field) })
        guard isOwn else { throw HTTPFailure(.forbidden, "Web pages of other origins may not use this server.") }
    }

    /// Whether a browser opens the answer in a tab, so that no other page sees it.
    private var isNavigation: Bool {
        func holds(_ name: String, _ value: StaticString) -> Bool {
            let fields = headers[name]
            return fields.count == 1 && value.withUTF8Buffer { fields[0].utf8.elementsEqual($0) }
        }
        return holds("Sec-Fetch-Mode", "navigate") && holds("Sec-Fetch-Dest", "document")
    }

    /// Whether a URL's scheme is HTTP and its host and port are those of the `Host` field.
    private static func origin(_ url: String, isThatOf host: String) -> Bool {
        guard let scheme = url.utf8.firstRange(of: "://".utf8) else { return false }
        let name = url.utf8[..<scheme.lowerBound]
        guard name.isASCIIEqual(to: "http".utf8) || name.isASCIIEqual(to: "https".utf8) else { return false }
        return url.utf8[scheme.upperBound...].prefix { $0 != UInt8(ascii: "/") }.isASCIIEqual(to: host.utf8)
    }
}

extension HTTPHeaders {
    /// Removes the white space after values. It is not part of them, but NIO's decoder removes only that before them.
    mutating func trimEnds() {
        guard contains(where: { $0.value.utf8.last?.isFieldSpace == true }) else { return }
        self = HTTPHeaders(
            map { name, value in
                let last = value.utf8.lastIndex { !$0.isFieldSpace }
                return (name, last.map { String(value[...$0]) } ?? "")
            }
        )
    }
}

/// Under which names browsers may use a server, in addition to addresses and local names.
package struct AllowedHosts: Sendable {
    let names: Set<HostName>
    let setting: String

    /// - Parameter setting: What allows further names, for the error that refuses one.
    package init(_ names: Set<HostName>, setting: String) {
        self.names = names
        self.setting = setting
    }
}

/// A host without its port, in lower case.
package struct HostName: Hashable, Sendable {
    /// Without the dot at its end that a name may have, and an IPv6 address without brackets.
    private let bytes: [UInt8]
    private let isIPv6: Bool

    /// Reads a `Host` field: a name or an address, perhaps with a port; `nil` if it is neither.
    package init?(field: String) {
        let field = Array(field.utf8)
        guard field.count <= 512 else { return nil }
        var rest: ArraySlice<UInt8>
        if field.first == UInt8(ascii: "[") {
            guard let end = field.firstIndex(of: UInt8(ascii: "]")) else { return nil }
            bytes = field[1..<end].map(\.asciiLowercased)
            isIPv6 = true
            guard Self.isAddress(bytes, AF_INET6) else { return nil }
            rest = field[(end + 1)...]
        } else {
            let end = field.firstIndex(of: UInt8(ascii: ":")) ?? field.endIndex
            var name = field[..<end]
            guard Self.isName(name) else { return nil }
            if name.last == UInt8(ascii: ".") { name.removeLast() }
            guard !name.isEmpty else { return nil }
            bytes = name.map(\.asciiLowercased)
            isIPv6 = false
            rest = field[end...]
        }
        guard !rest.isEmpty else { return }
        guard rest.removeFirst() == UInt8(ascii: ":"), rest.count <= 5,
            rest.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            rest.reduce(0, { 10 * $0 + Int($1 - UInt8(ascii: "0")) }) <= UInt16.max
        else { return nil }
    }

    /// Whether nobody else can make the name point to this machine: an address, `localhost`, or a name without a dot.
    var isLocal: Bool {
        isIPv6 || !bytes.contains(UInt8(ascii: ".")) || Self.isAddress(bytes, AF_INET)
    }

    private static func isName(_ name: ArraySlice<UInt8>) -> Bool {
        name.allSatisfy { byte in
            switch Unicode.Scalar(byte) {
            case "a"..."z", "A"..."Z", "0"..."9", "-", ".", "_", "~": true
            case "%", "!", "$", "&", "'", "(", ")", "*", "+", ",", ";", "=": true
            default: false
            }
        }
    }

    private static func isAddress(_ text: [UInt8], _ family: Int32) -> Bool {
        var address = in6_addr()
        return !text.contains(0) && inet_pton(family, String(decoding: text, as: UTF8.self), &address) == 1
    }
}

extension Sequence<UInt8> {
    /// Whether both are the same except for the case of ASCII letters.
    func isASCIIEqual(to other: some Sequence<UInt8>) -> Bool {
        elementsEqual(other) { $0.asciiLowercased == $1.asciiLowercased }
    }
}

extension UInt8 {
    fileprivate var isFieldSpace: Bool { self == UInt8(ascii: " ") || self == UInt8(ascii: "\t") }

    fileprivate var asciiLowercased: UInt8 { (0x41...0x5A).contains(self) ? self | 0x20 : self }
}
