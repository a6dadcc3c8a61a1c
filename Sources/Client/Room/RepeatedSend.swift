import CoreMetrics
import LibGRPC
import Messenger
import Synchronization

/// Sends one message, again and again until the server has answered or the time is up.
///
/// The request has an idempotency key, so a server that remembers the key accepts the message once. A server forgets
/// its keys when it loses its history. The stream shows that as a gap. So the message is sent again only while the
/// stream is open, and if no server has lost anything since the first attempt.
final class RepeatedSend: Sendable {
    typealias Completion = @Sendable (Result<SendMessageResponse, RPCError>) -> Void

    private struct State {
        var call: UnaryCall?
        var backoff = Backoff()
        var isCancelled = false
    }

    private let request: SendMessageRequest
    private let requestID: String
    private let channel: ServerChannel
    private let subscription: Subscription
    private let deadline: ContinuousClock.Instant
    /// The losses before the first attempt.
    private let losses: Int
    private let retries: Counter
    private let completion: Completion
    private let state = Mutex(State())

    /// - Parameters:
    ///   - retries: Counts attempts after the first one.
    ///   - completion: Called once, on any thread.
    init(
        _ request: SendMessageRequest,
        requestID: String,
        _ channel: ServerChannel,
        _ subscription: Subscription,
        timeout: Duration,
        _ retries: Counter,
        completion: @escaping Completion
    ) {
        self.request = request
        self.requestID = requestID
        self.channel = channel
        self.subscription = subscription
        deadline = .now + timeout
        losses = subscription.losses
        self.retries = retries
        self.completion = completion
    }

    /// Makes one call. It waits for a connection.
    func begin() {
        var options = CallOptions(timeout: deadline - .now, waitForReady: true)
        if !requestID.isEmpty { options.metadata = [MessengerMethods.requestIDKey: .string(requestID)] }
        do throws(RPCError) {
            let call = try channel.current.unary(MessengerMethods.sendMessage, request, options: options) {
                [self] result in
                ended(result)
            }
            let isCancelled = state.withLock { state in
                state.call = call
                return state.isCancelled
            }
            if isCancelled { call.cancel() }
        } catch {
            completion(.failure(error))
        }
    }

    /// Ends the call in progress. There will be no other one.
    func cancel() {
        let call = state.withLock { state in
            state.isCancelled = true
            return state.call
        }
        call?.cancel()
    }

    private func ended(_ result: Result<SendMessageResponse, RPCError>) {
        // A server without positions need not know keys.
        guard case .failure(let error) = result, error.code == .unavailable, subscription.serverSendsPositions else {
            return completion(result)
        }
        Task {
            while let delay = nextDelay() {
                try? await Task.sleep(for: delay)
                // In this order: a loss is counted before the stream is open again.
                guard subscription.isFollowing else { continue }
                guard subscription.losses == losses, !state.withLock(\.isCancelled) else { break }
                retries.increment()
                return begin()
            }
            completion(result)
        }
    }

    /// `nil` if there will be no other attempt.
    private func nextDelay() -> Duration? {
        state.withLock { state in
            let delay = state.backoff.next(jitter: .random(in: 0...1))
            return state.isCancelled || .now + delay >= deadline ? nil : delay
        }
    }
}
