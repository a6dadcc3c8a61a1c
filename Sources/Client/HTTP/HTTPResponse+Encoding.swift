import NIOCore
import NIOHTTP1

// How responses are written in HTTP/1: by hand, and a short one in one piece. NIO's encoder, and the writes of its pieces, take
// a tenth of all instructions that the client has for a request.

extension HTTPResponse {
    /// As it is sent: the head, and the body or its beginning.
    ///
    /// - Parameters:
    ///   - request: What it answers; `nil` when that could not be read.
    ///   - isLast: Whether the connection ends after it.
    ///   - date: The time now, for the head.
    func encoded(to request: HTTPRequestHead?, isLast: Bool, date: String) -> ByteBuffer {
        let isOld = request?.version == .http1_0
        let isChunked = self.rest != nil && !isOld
        var bytes = ByteBufferAllocator().buffer(capacity: 256 + self.body.readableBytes)
        bytes.writeStaticString(isOld ? "HTTP/1.0 " : "HTTP/1.1 ")
        bytes.writeStatus(self.status)
        bytes.writeStaticString("\r\nContent-Type: application/json\r\n")
        if isChunked {
            bytes.writeStaticString("Transfer-Encoding: chunked\r\n")
        } else if self.rest == nil {
            bytes.writeStaticString("Content-Length: ")
            bytes.writeString(String(self.body.readableBytes))
            bytes.writeStaticString("\r\n")
        }
        bytes.writeStaticString("Date: ")
        bytes.writeString(date)
        if isLast {
            bytes.writeStaticString("\r\nConnection: close")
        } else if isOld {
            bytes.writeStaticString("\r\nConnection: keep-alive")
        }
        for (name, value) in self.headers {
            bytes.writeString("\r\n\(name): \(value)")
        }
        bytes.writeStaticString("\r\n\r\n")
        if request?.method != .HEAD {
            bytes.writeImmutableBuffer(isChunked ? self.body.chunk : self.body)
        }
        return bytes
    }
}

extension ByteBuffer {
    /// What tells a peer that waits with its body to go on.
    static let goOn = ByteBuffer(staticString: "HTTP/1.1 100 Continue\r\n\r\n")

    /// The end of a body in chunks.
    static let lastChunk = ByteBuffer(staticString: "0\r\n\r\n")

    /// Itself as a part of a body in chunks. Not empty: that would be the last one.
    var chunk: ByteBuffer {
        var bytes = ByteBufferAllocator().buffer(capacity: self.readableBytes + 16)
        bytes.writeString(String(self.readableBytes, radix: 16))
        bytes.writeStaticString("\r\n")
        bytes.writeImmutableBuffer(self)
        bytes.writeStaticString("\r\n")
        return bytes
    }

    fileprivate mutating func writeStatus(_ status: HTTPResponseStatus) {
        // Nearly all are, and a text that is put together costs as much as the rest.
        if status == .ok {
            self.writeStaticString("200 OK")
        } else {
            self.writeString("\(status.code) \(status.reasonPhrase)")
        }
    }
}
