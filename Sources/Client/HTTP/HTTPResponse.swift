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
}
