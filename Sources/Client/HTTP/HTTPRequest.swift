import HummingbirdCore
import NIOCore
import NIOHTTP1

/// A request that has arrived whole.
struct HTTPRequest {
    let method: HTTPMethod
    /// The path that it is for, without a query.
    let path: String
    let body: ByteBuffer

    init(_ head: HTTPRequestHead, body: ByteBuffer) {
        self.method = head.method
        self.path = URI(head.uri).path
        self.body = body
    }
}

extension HTTPRequestHead {
    /// The length of the body by its own account, in bytes.
    var announcedBodyBytes: Int? {
        self.headers.first(name: "Content-Length").flatMap { Int($0) }
    }

    /// Whether the connection ends with it.
    ///
    /// After a request that would go over to another protocol the decoder takes nothing more, though it is answered in HTTP.
    var isLast: Bool {
        !self.isKeepAlive || self.method == .CONNECT || self.headers.contains(name: "Upgrade")
    }

    /// Whether the peer waits to be told that its body is welcome, as curl does before it sends a long one.
    var expectsContinue: Bool {
        self.version == .http1_1 && self.headers.first(name: "Expect")?.lowercased() == "100-continue"
    }

    /// Whether it is HTTP/1.1, which has to say once which host it is for, or HTTP/1.0.
    var isValid: Bool {
        switch self.version {
        case .http1_1: self.headers["Host"].count == 1
        case .http1_0: true
        default: false
        }
    }
}
