import GRPC
import Messenger

/// The room on the other side of a gRPC channel.
///
/// A class, as the endpoints are: what is copied with each request would count references that all threads share.
final class GRPCRoom: RemoteRoom {
    private let channel: Channel
    private let follower: Subscription
    private let sendTimeout: Duration

    /// - Parameter sendTimeout: How long the server may take to accept a message.
    init(channel: Channel, follower: Subscription, sendTimeout: Duration) {
        self.channel = channel
        self.follower = follower
        self.sendTimeout = sendTimeout
    }

    var firstOpening: Gate { follower.firstOpening }
    var subscription: SubscriptionStatus { follower.status }

    /// Sends a message, and waits a while for it to come back: a sender that fetches next finds its own message.
    func send(
        author: String,
        text: String,
        completion: @escaping @Sendable (Result<SendTime, SendError>) -> Void
    ) -> Cancellation {
        let request = SendMessageRequest(author: author, text: text)
        // Waits for a connection: a server that restarts is back within the timeout.
        let options = CallOptions(timeout: sendTimeout, waitForReady: true)
        do throws(RPCError) {
            let call = try channel.unary(MessengerMethods.sendMessage, request, options: options) { [self] result in
                do throws(RPCError) {
                    let sendTime = try result.get().sendTime
                    whenArrived(sendTime) { completion(.success(sendTime)) }
                } catch {
                    completion(.failure(failure(error)))
                }
            }
            return { call.cancel() }
        } catch {
            completion(.failure(failure(error)))
            return {}
        }
    }

    private func whenArrived(_ time: SendTime, _ action: @escaping @Sendable () -> Void) {
        if subscription.stream == .open {
            follower.whenArrived(time, action)
        } else {
            action()
        }
    }

    private func failure(_ error: RPCError) -> SendError {
        SendError(error, isConnected: subscription.stream.isConnected)
    }
}

extension SendError {
    /// - Parameter isConnected: Whether the server can be reached: a timeout means something else where it cannot.
    init(_ error: RPCError, isConnected: Bool) {
        let trouble = error.metadata.first(MessengerMethods.troubleKey)
        switch error.code {
        case .resourceExhausted where trouble?.hasBytes(of: "full") == true:
            self.init(code: .storageFull, message: error.sentence)
        case .resourceExhausted where trouble != nil:
            self.init(code: .resourceExhausted, message: error.sentence)
        case .unavailable where trouble != nil:
            self.init(code: .unavailable, message: error.sentence)
        case .deadlineExceeded where isConnected:
            self.init(code: .deadlineExceeded, message: "The server did not answer in time.")
        case .unavailable, .deadlineExceeded, .cancelled:
            self.init(code: .unavailable, message: "The server cannot be reached.")
        case .invalidArgument:
            self.init(code: .invalidArgument, message: "The server does not take this message: \(error.message)")
        case .resourceExhausted:
            self.init(code: .resourceExhausted, message: "The server has too much to do; try again later.")
        default:
            self.init(code: .failed, message: "The server failed to take the message.")
        }
    }
}

extension RPCError {
    /// The server's own words, where they are for users.
    fileprivate var sentence: String {
        let first = message.unicodeScalars.first?.properties.uppercaseMapping ?? ""
        return first + String(message.unicodeScalars.dropFirst()) + "."
    }
}
