import Messenger
import NIOCore

/// `POST /sendMessage`: sends one message into the room.
struct SendMessageEndpoint<Room: RemoteRoom>: Sendable {
    let room: Room
    let limits: MessageLimits
    let barrier: FirstOpeningBarrier<Room>
    /// Bounds the messages that are on their way: a send goes on when whoever asked for it has gone.
    let sends: SendLimit

    /// Sends the message that the request holds, and answers `{"sendTime":"…","error":null}`.
    func reply(to request: HTTPRequest) throws(HTTPFailure) -> HTTPReply {
        let message = try SendMessageBody(json: Array(buffer: request.body))
        if let violation = self.limits.violation(author: message.author, text: message.text) {
            throw .tooLarge(violation)
        }
        return .later { departure throws(HTTPFailure) in
            guard self.sends.begin() else { throw .tooManySends }
            defer { self.sends.end() }
            try await self.barrier.pass(departure)
            return try await self.send(message)
        }
    }

    private func send(_ message: SendMessageBody) async throws(HTTPFailure) -> HTTPResponse {
        do throws(SendError) {
            let sendTime = try await self.room.send(author: message.author, text: message.text)
            return HTTPResponse(body: Self.body(sendTime: sendTime))
        } catch {
            throw HTTPFailure(error)
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
