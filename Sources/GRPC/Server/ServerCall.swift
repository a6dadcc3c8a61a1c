internal import CGRPC
internal import Synchronization

/// A call on the server: first a slot in which one may arrive, then that call until its end.
///
/// `@unchecked`: as ``Call``; what is added here is immutable, in `state`, set once before there is a handler
/// (`hasArrived`, `connection`), touched by whoever has claimed the send operation (`hasSentInitialMetadata`), or touched
/// on the queue's thread alone (`following`; after that thread's end by one thread at a time, see ``LateEvents``).
final class ServerCall: Call, @unchecked Sendable {
    let server: Server
    let registration: Server.Registration

    /// Set when the call arrives, before its handler is there to use them.
    private var hasArrived = false
    private var connection: Connection?
    /// What goes on when the transport has taken a message, and stops when the peer is gone; the queue's thread's own.
    var following: (Follower, Audience)?
    var hasSentInitialMetadata = false
    private let streamQueue: CallbackQueue?
    let state = Mutex(State())

    struct State {
        var hasFinished = false
        var peerIsGone = false
        var compression: CompressionAlgorithm?
        var trailingMetadata = Metadata()
        var handler: Task<Void, Never>?
    }

    init(server: Server, registration: Server.Registration, queue: CompletionQueue) {
        self.server = server
        self.registration = registration
        streamQueue = registration.method.isStreaming ? queue.streamQueues.withRoom() : nil
        super.init(queue: queue)
        streamQueue?.callBegan()
    }

    deinit {
        streamQueue?.callEnded()
        if hasArrived { server.callEnded(on: connection) }
    }

    /// Waits for a call to arrive. Nothing happens once the server is shutting down.
    func post() {
        _ = queue.whileOpen {
            let tag = Tag(tagPointer(.opening))
            tag.retain(self)
            let error = cgrpc_request_registered_call(
                server.handle,
                registration.handle,
                registration.method.readsFirstMessage,
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
            super.completed(operation, succeeded: succeeded)
            if operation == .send, let (follower, audience) = following { audience.resume(follower) }
        }
    }

    override var peer: String { connection?.peer ?? super.peer }

    /// Nothing to end where the peer has: the core would end the HTTP/2 stream a second time.
    override func cancel() {
        if !peerIsGone { super.cancel() }
    }

    /// Before something is sent.
    func gather() {
        if let cork = connection?.cork { queue.gather(cork) }
    }

    private func arrived() {
        ServerCall(server: server, registration: registration, queue: queue).post()
        hasArrived = true
        connection = storage.pointee.call.flatMap { server.acceptor.connection(of: $0) }
        guard server.callBegan(on: connection) else {
            return finish(with: Status(code: .resourceExhausted, message: "too many calls are in progress"))
        }
        answer()
    }

    /// The peer's end is the only prompt sign that it is gone.
    func watchForEnd() {
        var batch = cgrpc_batch()
        cgrpc_batch_recv_close_on_server(&batch, storage)
        // Fails only when the queue is shut down, with the call.
        try? start(.end, &batch)
    }

    private func ended() {
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
        state.withLock { $0.compression = compression }
    }

    func setTrailingMetadata(_ metadata: Metadata) {
        state.withLock { $0.trailingMetadata = metadata }
    }
}
