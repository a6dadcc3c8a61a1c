import Messenger
import NIOCore

/// `POST /sendMessage`: sends one message into the room.
final class SendMessageEndpoint<Room: RemoteRoom>: Sendable {
    private let room: Room
    private let limits: MessageLimits
    private let barrier: FirstOpeningBarrier<Room>
    private let sends: SendLimit

    /// - Parameter sends: Bounds the messages that are on their way: a send goes on when whoever asked for it has gone.
    init(room: Room, limits: MessageLimits, barrier: FirstOpeningBarrier<Room>, sends: SendLimit) {
        self.room = room
        self.limits = limits
        self.barrier = barrier
        self.sends = sends
    }

    /// Sends the message that the request holds, and answers `{"sendTime":"…","error":null}`.
    func reply(to request: HTTPRequest) throws(HTTPFailure) -> HTTPReply {
        let message = try SendMessageBody(json: Array(buffer: request.body))
        if let violation = self.limits.violation(author: message.author, text: message.text) {
            throw .tooLarge(violation)
        }
        return self.barrier.reply { self.send(message) }
    }

    private func send(_ message: SendMessageBody) -> HTTPReply {
        .begin { respond in
            guard self.sends.begin() else {
                respond { HTTPFailure.tooManySends.response }
                return {}
            }
            return self.room.send(author: message.author, text: message.text) { outcome in
                self.sends.end()
                respond { Self.response(outcome) }
            }
        }
    }

    private static func response(_ outcome: Result<SendTime, SendError>) -> HTTPResponse {
        switch outcome {
        case .success(let sendTime): HTTPResponse(body: self.body(sendTime: sendTime))
        case .failure(let error): HTTPFailure(error).response
        }
    }

    private static func body(sendTime: SendTime) -> ByteBuffer {
        var body = ByteBufferAllocator().buffer(capacity: 64)
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
