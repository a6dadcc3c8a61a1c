internal import Synchronization

/// A stream that follows a ``Broadcast``: sends what its source gives for as long as the client takes it.
///
/// `@unchecked`: `isSending` and `index` are touched on the thread of the call's queue alone; the rest is immutable or in
/// `state`.
final class Follower: @unchecked Sendable {
    /// The next message, encoded, and whether another one is there; `nil` if there is none now.
    typealias Source = @Sendable () throws -> (message: ByteBuffer, hasMore: Bool)?

    private let call: ServerCall
    private let next: Source
    private let state = Mutex(State.idle)
    /// Whether `state` is "ended", to be looked at without the lock.
    private let hasEnded = Atomic(false)
    /// A message is on its way that the transport has not taken.
    private var isSending = false
    /// The place among those of its audience.
    var index: Int?

    private enum State {
        case idle
        case awaited(UnsafeContinuation<Void, any Error>)
        case ended(any Error)
    }

    /// Messages sent in one go: a stream that has much to catch up on lets others have their turn.
    private static let burst = 64

    init(call: ServerCall, next: @escaping Source) {
        self.call = call
        self.next = next
    }

    /// Waits for the end. Throws the reason.
    func end() async throws {
        try await withUnsafeThrowingContinuation { continuation in
            let reason: (any Error)? = state.withLock { state in
                if case .ended(let reason) = state { return reason }
                state = .awaited(continuation)
                return nil
            }
            if let reason { continuation.resume(throwing: reason) }
        }
    }

    /// Sends nothing more. From any thread.
    func stop(_ reason: any Error) {
        hasEnded.store(true, ordering: .relaxed)
        let waiting: UnsafeContinuation<Void, any Error>? = state.withLock { state in
            defer { if case .ended = state {} else { state = .ended(reason) } }
            if case .awaited(let waiting) = state { return waiting }
            return nil
        }
        waiting?.resume(throwing: reason)
    }

    /// Sends what there is. Returns whether there is more that could be sent at once.
    func run() -> Bool {
        do {
            if isSending {
                guard let succeeded = call.takeCompletion(of: .send) else { return false }
                isSending = false
                guard succeeded else { throw RPCError.peerIsGone }
            }
            for remaining in (0..<Self.burst).reversed() {
                guard !hasEnded.load(ordering: .relaxed), let (message, hasMore) = try next() else { return false }
                // The last one of a burst takes those before it along.
                guard let succeeded = try call.startSending(message, isBuffered: hasMore && remaining > 0) else {
                    isSending = true
                    return false
                }
                guard succeeded else { throw RPCError.peerIsGone }
                guard hasMore else { return false }
            }
            return true
        } catch {
            stop(error)
            return false
        }
    }
}
