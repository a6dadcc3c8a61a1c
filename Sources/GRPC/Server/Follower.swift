/// A stream that follows a ``Broadcast``: sends what its source gives for as long as the client takes it.
///
/// `@unchecked`: touched on the thread of the call's queue alone.
final class Follower: @unchecked Sendable {
    private let call: ServerCall
    private let next: Broadcast.Source
    /// Told once why nothing more is sent.
    private var ended: ((any Error) -> Void)?
    /// Something is on its way that the transport has not taken.
    private var isSending: Bool
    /// The place among those of its audience.
    var index: Int?

    /// - Parameter isSending: Whether the call sends something already.
    init(call: ServerCall, isSending: Bool, next: @escaping Broadcast.Source, ended: @escaping (any Error) -> Void) {
        self.call = call
        self.isSending = isSending
        self.next = next
        self.ended = ended
    }

    /// Sends nothing more.
    func stop(_ reason: any Error) {
        guard let ended else { return }
        self.ended = nil
        ended(reason)
    }

    /// Sends what there is, but not more than `burst` messages. Returns whether there is more that could be sent at once.
    func run(burst: Int) -> Bool {
        guard ended != nil else { return false }
        do {
            if isSending {
                guard let succeeded = call.takeCompletion(of: .send) else { return false }
                isSending = false
                guard succeeded else { throw RPCError.peerIsGone }
            }
            for remaining in (0..<burst).reversed() {
                guard let (message, hasMore) = try next() else { return false }
                // The last one of a burst takes those before it along.
                guard let succeeded = try call.startSending(message, isBuffered: hasMore && remaining > 0) else {
                    isSending = true
                    return false
                }
                guard succeeded else { throw RPCError.peerIsGone }
                // Whatever is new from now on is told to the audience.
                guard hasMore else { return false }
            }
            return true
        } catch {
            stop(error)
            return false
        }
    }
}
