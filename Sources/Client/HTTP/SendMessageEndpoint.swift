import HTTPTypes
import Hummingbird
import Messenger
import NIOCore

/// `POST /sendMessage`: sends one message into the room.
struct SendMessageEndpoint<Room: RemoteRoom>: Sendable {
    let room: Room
    let limits: MessageLimits
    let barrier: FirstOpeningBarrier<Room>

    /// Sends the message that the request holds, and answers `{"sendTime":"…","error":null}`.
    func respond(to request: Request, context: ClientRequestContext) async throws -> Response {
        let body = try await self.readBody(of: request)
        let message = try SendMessageBody(json: body)
        if let violation = self.limits.violation(author: message.author, text: message.text) {
            throw HTTPFailure.tooLarge(violation)
        }
        try await self.barrier.pass(context)
        do throws(SendError) {
            let sendTime = try await self.room.send(author: message.author, text: message.text)
            return .json(Self.body(sendTime: sendTime), to: request.method)
        } catch {
            throw HTTPFailure(error)
        }
    }

    private func readBody(of request: Request) async throws -> [UInt8] {
        let limit = self.limits.greatestBodyBytes
        // Said at once, so that a client that asks first (`Expect: 100-continue`) need not send the body at all.
        if let length = request.headers[.contentLength].flatMap({ Int($0) }), length > limit {
            throw HTTPFailure.bodyTooLarge(limit: limit)
        }
        do {
            return Array(buffer: try await request.body.collect(upTo: limit))
        } catch is NIOTooManyBytesError {
            throw HTTPFailure.bodyTooLarge(limit: limit)
        } catch is RequestTimeout {
            throw HTTPFailure.timeout
        }
    }

    private static func body(sendTime: SendTime) -> ByteBuffer {
        var body = ByteBuffer()
        body.writeStaticString(#"{"sendTime":"#)
        body.writeJSON(sendTime)
        body.writeStaticString(#","error":null}"#)
        return body
    }
}

extension MessageLimits {
    /// The longest request body that is read, in bytes.
    ///
    /// JSON may write each byte of author and text with six (`\u0000`), and there is room for the keys, white space and
    /// a few keys that nobody asked for.
    var greatestBodyBytes: Int {
        6 * (self.authorBytes + self.textBytes) + 4096
    }
}

extension HTTPFailure {
    fileprivate static func bodyTooLarge(limit: Int) -> HTTPFailure {
        .tooLarge("The body is longer than \(limit) bytes.")
    }
}
