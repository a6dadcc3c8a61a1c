internal import CGRPC

// A call that follows a broadcast. All of it happens on the queue's thread.

extension ServerCall {
    /// Answers the call with what a source gives, without a task.
    func startFollowing(_ broadcast: Broadcast, _ open: ServerMethod.Opening) {
        watchForEnd()
        var observer: CallObserver?
        do {
            try intercept(&observer)
            let (metadata, next) = try open(self)
            let sent = try startSendingInitialMetadata(metadata)
            guard sent != false else { throw RPCError.peerIsGone }
            try follow(broadcast, next, isSending: sent == nil) { [observer] reason in
                self.conclude(.failure(reason), observer)
            }
        } catch {
            conclude(.failure(error), observer)
        }
    }

    /// Sends what `next` gives, until that throws or the call ends; then throws why. Cancelling the task cancels the call.
    func follow(_ broadcast: Broadcast, _ next: @escaping Broadcast.Source) async throws {
        try await withTaskCancellationHandler {
            try await withUnsafeThrowingContinuation { (continuation: UnsafeContinuation<Void, any Error>) in
                do {
                    try follow(broadcast, next, isSending: false) { continuation.resume(throwing: $0) }
                } catch {
                    continuation.resume(throwing: error)
                }
            }
        } onCancel: {
            cancel()
        }
    }

    /// Joins the broadcast's audience, until `next` throws or the call ends: `ended` is told why.
    private func follow(
        _ broadcast: Broadcast,
        _ next: @escaping Broadcast.Source,
        isSending: Bool,
        _ ended: @escaping (any Error) -> Void
    ) throws(RPCError) {
        // On the queue's thread, but for a queue that has ended, or is of another group.
        guard let audience = broadcast.audience(on: queue), queue.isCurrent else { throw .shutDown }
        guard following == nil else {
            throw RPCError(code: .internal, message: "a stream follows one broadcast at a time")
        }
        guard !peerIsGone else { throw .peerIsGone }
        let follower = Follower(call: self, isSending: isSending, next: next) { reason in
            if let (follower, audience) = self.following {
                self.following = nil
                audience.remove(follower)
            }
            ended(reason)
        }
        following = (follower, audience)
        audience.add(follower)
    }
}
