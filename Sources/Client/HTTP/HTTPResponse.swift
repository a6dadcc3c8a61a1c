import NIOCore
import NIOHTTP1

/// An answer to a request: JSON.
struct HTTPResponse: Sendable {
    /// What is left of a long body. A part is made when the connection takes it.
    typealias Parts = any IteratorProtocol<ByteBuffer> & Sendable

    var status = HTTPResponseStatus.ok
    /// Beside those that every response has.
    var headers: HTTPHeaders = [:]
    /// The body, or its beginning.
    var body: ByteBuffer
    var rest: Parts?
    /// Called once the whole response has been handed to the system; never when the connection breaks before.
    var whenWritten: (@Sendable () -> Void)?
}

extension HTTPResponse {
    /// Whether the connection ends with it when it answers `request`.
    func isLast(to request: HTTPRequestHead) -> Bool {
        // In HTTP/1.0 a body without a length ends with the connection.
        request.isLast || (request.version == .http1_0 && self.rest != nil)
    }

    /// The head as it is sent.
    func head(to request: HTTPRequestHead?, isLast: Bool) -> HTTPResponseHead {
        var head = HTTPResponseHead(version: request?.version == .http1_0 ? .http1_0 : .http1_1, status: self.status)
        head.headers.reserveCapacity(self.headers.count + 4)
        head.headers.add(name: "Content-Type", value: "application/json")
        if self.rest == nil { head.headers.add(name: "Content-Length", value: String(self.body.readableBytes)) }
        head.headers.add(name: "Date", value: HTTPDate.now)
        if isLast {
            head.headers.add(name: "Connection", value: "close")
        } else if head.version == .http1_0 {
            head.headers.add(name: "Connection", value: "keep-alive")
        }
        head.headers.add(contentsOf: self.headers)
        return head
    }
}
