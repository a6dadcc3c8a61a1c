internal import CGRPC
internal import CGRPCTuning
internal import Synchronization

/// A call of a known method, until its end.
///
/// `@unchecked`: as ``ArrivingCall``; what is added here is immutable, in `state`, touched by whoever has claimed the send
/// operation (`hasSentInitialMetadata`), or touched on the queue's thread alone (`following`; after that thread's end by
/// one thread at a time, see ``LateEvents``).
final class ServerCall: ArrivingCall, @unchecked Sendable {
    let registration: Server.Registration

    /// What goes on when the transport has taken a message, and stops when the peer is gone; the queue's thread's own.
    var following: (Follower, Audience)?
    var hasSentInitialMetadata = false
    private let streamQueue: CallbackQueue?
    let state = Mutex(State())

    struct State {
        var hasFinished = false
        var peerIsGone = false
        /// A handler that reads the messages itself has got the first one.
        var hasReceivedMessage = false
        var compression: CompressionAlgorithm?
        var trailingMetadata = Metadata()
        var handler: Task<Void, Never>?
    }

    init(server: Server, registration: Server.Registration, awaited: AwaitedCalls) {
        self.registration = registration
        streamQueue = registration.method.isStreaming ? awaited.queue.streamQueues.withRoom() : nil
        super.init(server: server, awaited: awaited)
        streamQueue?.callBegan()
    }

    deinit {
        streamQueue?.callEnded()
    }

    /// Waits for a call to arrive. Nothing happens once the server is shutting down.
    func post() {
        _ = queue.whileOpen {
            let tag = Tag(tagPointer(.opening))
            tag.retain(self)
            let error = cgrpc_request_registered_call(
                server.handle,
                registration.handle,
                storage,
                streamQueue?.handle ?? queue.handle,
                queue.handle,
                tag.pointer
            )
            if error != GRPC_CALL_OK { tag.release() }
        }
    }

    override func completed(_ operation: Operation, succeeded: Bool) {
        switch operation {
        case .opening where succeeded: arrived()
        case .opening: break
        case .end: ended()
        default:
            if takeAwaited(operation, succeeded: succeeded) { break }
            super.completed(operation, succeeded: succeeded)
            if operation == .send, let (follower, audience) = following { audience.resume(follower) }
        }
    }

    /// Nothing to end where the peer has: the core would end the HTTP/2 stream a second time.
    override func cancel() {
        if !peerIsGone { super.cancel() }
    }

    /// Before something is sent.
    func gather() {
        if let cork = connection?.cork { queue.gather(cork) }
    }

    private func arrived() {
        ServerCall(server: server, registration: registration, awaited: awaited).post()
        guard admit() else { return }
        guard !registration.method.readsFirstMessage else { return awaitMessage() }
        // Its handler is there already, and reads the messages itself.
        answer()
        if isWatched { awaited.add(self) }
    }

    override func messageCame(succeeded: Bool) {
        if succeeded { answer() } else { refuse(.badMessage) }
    }

    override var isPastDeadline: Bool { timeRemaining.map { $0 <= .zero } ?? false }

    override var needsMessage: Bool { !state.withLock(\.hasReceivedMessage) }

    private func ended() {
        awaited.remove(self)
        guard storage.pointee.cancelled != 0 else { return }
        peerLeft()
        following?.0.stop(RPCError.peerIsGone)
    }

    /// The call is over for its client: cancelled, or past its deadline. The core ends it.
    func peerLeft() {
        let handler = state.withLock { state in
            state.peerIsGone = true
            return state.handler
        }
        handler?.cancel()
    }

    var peerIsGone: Bool { state.withLock { $0.peerIsGone } }
}

// MARK: - What its handler is told and may set

extension ServerCall {
    var metadata: Metadata { Metadata(copying: storage.pointee.received_initial_metadata) }

    var timeRemaining: Duration? { Deadline.remaining(storage.pointee.deadline) }

    func setCompression(_ compression: CompressionAlgorithm) {
        // The core would compress also for a client that cannot expand it.
        guard cgrpc_call_accepted_encodings(storage.pointee.call) >> compression.coreValue & 1 == 1 else { return }
        state.withLock { $0.compression = compression }
    }

    func setTrailingMetadata(_ metadata: Metadata) {
        state.withLock { $0.trailingMetadata = metadata }
    }
}
