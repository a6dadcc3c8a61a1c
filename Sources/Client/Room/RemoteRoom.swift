import LibGRPC
import Messenger

/// The chat's room, reached over the network.
protocol RemoteRoom: Sendable {
    /// Sends a message, again if the server cannot be reached. Does not block.
    ///
    /// - Parameter completion: Called once, on any thread, which it must not block. With
    ///   ``SendError/Code/invalidArgument``, ``SendError/Code/resourceExhausted``, ``SendError/Code/storageFull`` and
    ///   ``SendError/Code/keyIsTaken`` the room did not accept the message. After other errors it may have accepted it.
    /// - Returns: Cancels the send. The completion is called soon, if it has not been called yet.
    func send(
        _ message: OutgoingMessage,
        completion: @escaping @Sendable (Result<SendTime, SendError>) -> Void
    ) -> Cancellation

    /// Messages that the room holds, whatever the inbox has received. Ends by itself, or at the timeout.
    ///
    /// - Parameter requestID: For the server's log line.
    func read(
        _ request: ReadMessagesRequest,
        requestID: String,
        timeout: Duration
    ) async throws(ReadError) -> Messages

    /// The messages after `position`, then those that the room accepts, until the server or the task ends the stream.
    ///
    /// - Parameter readerAge: Without a position, the stream begins with the messages accepted in this time.
    func follow(after position: SendTime?, readerAge: Duration?) async throws(ReadError) -> RoomStream

    /// Open once the stream of messages has been open for the first time.
    var streamOpened: Latch { get }

    /// The state of the stream of messages.
    var subscriptionStatus: SubscriptionStatus { get }
}

/// A message that a user wants to send.
struct OutgoingMessage: Sendable {
    var author: String
    var text: String
    var key: IdempotencyKey
    /// For log lines, here and at the server.
    var requestID = ""
}

/// Messages of the room. Whoever stops to read stops the server.
typealias Messages = any AsyncSequence<Message, RPCError> & Sendable

/// A stream of the room's messages.
struct RoomStream: Sendable {
    /// The position after which it begins; `nil` if the server has refused the stream or sends no positions.
    var position: SendTime?
    var messages: Messages
}

/// Why messages cannot be read.
enum ReadError: Error, Sendable, Equatable {
    /// The room no longer holds some of them, only those after this time, if the server says so.
    case gone(heldAfter: SendTime?)
    /// The server rejects the request. The text is a sentence.
    case invalid(String)
    /// The server cannot be reached.
    case unavailable
    /// The server has too much to do.
    case overloaded
    /// The server does not accept this client's token.
    case refused
    /// The server answered with another error.
    case failed
}

extension ReadError: CustomStringConvertible {
    /// A sentence, for an answer and for the log.
    var description: String {
        switch self {
        case .gone: "The room no longer holds the next messages."
        case .invalid(let sentence): sentence
        case .unavailable: "The server cannot be reached."
        case .overloaded: "The server is overloaded; try again later."
        case .refused: ServerToken.refusal
        case .failed: "The server failed to return messages."
        }
    }
}

/// Cancels an operation that is in progress. May be called on any thread; does nothing after the operation's end.
typealias Cancellation = @Sendable () -> Void

/// The state of the stream of messages from the room.
struct SubscriptionStatus: Sendable, Equatable {
    /// The raw values are shown in `/readyz`.
    enum Stream: String, Sendable {
        /// It has not been open yet.
        case connecting
        case open
        /// It is open, and not read: the inbox is full.
        case paused
        /// It broke, and is being opened again from its last position.
        case reconnecting
        /// The program is stopping.
        case closed

        var isConnected: Bool { self == .open || self == .paused }
    }

    var stream: Stream
    /// How often messages were lost because the server no longer held them.
    var gaps: Int
    /// Whether the server refused the last stream because of this client's token.
    var isRefused = false
}

/// Why a message could not be sent.
struct SendError: Error, Sendable, Equatable {
    struct Code: Sendable, Hashable {
        private enum Wrapped: Hashable {
            case unavailable, deadlineExceeded, invalidArgument, resourceExhausted, storageFull, keyIsTaken, failed
        }

        private let wrapped: Wrapped

        /// The server cannot be reached.
        static let unavailable = Code(wrapped: .unavailable)
        /// The server did not answer in time.
        static let deadlineExceeded = Code(wrapped: .deadlineExceeded)
        /// The server rejects the message.
        static let invalidArgument = Code(wrapped: .invalidArgument)
        /// The server is overloaded.
        static let resourceExhausted = Code(wrapped: .resourceExhausted)
        /// The server's storage is full.
        static let storageFull = Code(wrapped: .storageFull)
        /// Another message was sent under the message's key.
        static let keyIsTaken = Code(wrapped: .keyIsTaken)
        /// The server answered with another error.
        static let failed = Code(wrapped: .failed)
    }

    var code: Code
    /// One short sentence for the sender, without internals.
    var message: String
}
