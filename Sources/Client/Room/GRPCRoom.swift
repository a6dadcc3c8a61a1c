import CoreMetrics
import LibGRPC
import Messenger
import Prometheus

/// The room at the other end of a gRPC channel.
///
/// A class, so that each request counts one shared reference, and not one for each field.
final class GRPCRoom: RemoteRoom {
    private let channel: ServerChannel
    private let subscription: Subscription
    private let sendTimeout: Duration
    private let retries = Counter(.retriedSends)

    /// For a read's beginning. Another server may send nothing before its next message.
    private static let readOpenTimeout = Duration.seconds(10)

    /// - Parameter sendTimeout: How long the server may take to accept a message.
    init(channel: ServerChannel, subscription: Subscription, sendTimeout: Duration) {
        self.channel = channel
        self.subscription = subscription
        self.sendTimeout = sendTimeout
    }

    var streamOpened: Latch { subscription.streamOpened }
    var subscriptionStatus: SubscriptionStatus { subscription.status }

    /// Sends a message, and waits a moment until it is received: a sender that fetches next finds its own message.
    func send(
        _ message: OutgoingMessage,
        completion: @escaping @Sendable (Result<SendTime, SendError>) -> Void
    ) -> Cancellation {
        let request = SendMessageRequest(author: message.author, text: message.text, idempotencyKey: message.key.text)
        let send = RepeatedSend(
            request,
            requestID: message.requestID,
            channel,
            subscription,
            timeout: sendTimeout,
            retries
        ) { [self] result in
            do throws(RPCError) {
                let sendTime = try result.get().sendTime
                whenReceived(sendTime) { completion(.success(sendTime)) }
            } catch {
                completion(.failure(sendError(error)))
            }
        }
        send.begin()
        return { send.cancel() }
    }

    func read(
        _ request: ReadMessagesRequest,
        requestID: String,
        timeout: Duration
    ) async throws(ReadError) -> Messages {
        do {
            var options = CallOptions(timeout: timeout)
            options.metadata = [MessengerMethods.requestIDKey: .string(requestID)]
            let stream = try channel.current.serverStreaming(MessengerMethods.readMessages, request, options: options)
            async let _: Void = Self.cancel(stream, after: Self.readOpenTimeout)
            guard try await stream.initialMetadata.first(MessengerMethods.positionKey) == nil else { return stream }
            // The server has refused the call, and its status says why. Or it does not know `untilNow`.
            for try await _ in stream { break }
        } catch let error as RPCError {
            throw ReadError(error)
        } catch {
            throw .unavailable
        }
        throw .failed
    }

    func follow(after position: SendTime?, readerAge: Duration?) async throws(ReadError) -> RoomStream {
        var options = CallOptions()
        if let readerAge {
            options.metadata = [MessengerMethods.readerAgeKey: .string("\(Int64(readerAge / .nanoseconds(1)))")]
        }
        do {
            let request = ReadMessagesRequest(after: position)
            let stream = try channel.current.serverStreaming(MessengerMethods.readMessages, request, options: options)
            let text = try await stream.initialMetadata.first(MessengerMethods.positionKey)
            return RoomStream(position: text.flatMap { SendTime(rfc3339: $0) }, messages: stream)
        } catch let error as RPCError {
            throw ReadError(error)
        } catch {
            throw .unavailable
        }
    }

    /// Does nothing if the task is cancelled first.
    private static func cancel(_ stream: ResponseStream<Message>, after timeout: Duration) async {
        guard (try? await Task.sleep(for: timeout)) != nil else { return }
        stream.cancel()
    }

    private func whenReceived(_ time: SendTime, _ action: @escaping @Sendable () -> Void) {
        if subscriptionStatus.stream == .open {
            subscription.whenReceived(time, action)
        } else {
            action()
        }
    }

    private func sendError(_ error: RPCError) -> SendError {
        SendError(error, isConnected: subscriptionStatus.stream.isConnected)
    }
}

extension ReadError {
    init(_ error: RPCError) {
        switch error.code {
        case .outOfRange:
            let heldAfter = error.metadata.first(MessengerMethods.heldAfterKey)
            self = .gone(heldAfter: heldAfter.flatMap { SendTime(rfc3339: $0) })
        case .invalidArgument: self = .invalid("The server rejected the request: \(error.message).")
        case .unavailable, .deadlineExceeded: self = .unavailable
        case .resourceExhausted: self = .overloaded
        case .unauthenticated, .permissionDenied: self = .refused
        default: self = .failed
        }
    }
}

extension SendError {
    /// - Parameter isConnected: Whether the server can be reached. A timeout has another meaning if it cannot.
    init(_ error: RPCError, isConnected: Bool) {
        let storageError = error.metadata.first(MessengerMethods.storageErrorKey)
        switch error.code {
        case .resourceExhausted where storageError?.hasBytes(of: "full") == true:
            self.init(code: .storageFull, message: error.sentence)
        case .resourceExhausted where storageError != nil:
            self.init(code: .resourceExhausted, message: error.sentence)
        case .unavailable where storageError != nil:
            self.init(code: .unavailable, message: error.sentence)
        case .deadlineExceeded where isConnected:
            self.init(code: .deadlineExceeded, message: "The server did not answer in time.")
        case .unavailable, .deadlineExceeded, .cancelled:
            self.init(code: .unavailable, message: "\(ReadError.unavailable)")
        case .invalidArgument:
            self.init(code: .invalidArgument, message: "The server rejected the message: \(error.message)")
        case .alreadyExists:
            self.init(code: .keyIsTaken, message: "Another message was sent under this Idempotency-Key.")
        case .unauthenticated, .permissionDenied:
            self.init(code: .failed, message: ServerToken.refusal)
        case .resourceExhausted:
            self.init(code: .resourceExhausted, message: "\(ReadError.overloaded)")
        default:
            self.init(code: .failed, message: "The server failed to accept the message.")
        }
    }
}

extension RPCError {
    /// The server's message as a sentence. Only for messages that the server wrote for users.
    fileprivate var sentence: String {
        let first = message.unicodeScalars.first?.properties.uppercaseMapping ?? ""
        return first + String(message.unicodeScalars.dropFirst()) + "."
    }
}
