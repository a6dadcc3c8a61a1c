internal import CGRPC
internal import Synchronization

/// A call on the server: first a slot in which one may arrive, then that call until its end.
///
/// `@unchecked`: as ``Call``; what is added here is immutable, in `state`, set once before there is a handler
/// (`hasArrived`, `connection`), touched by whoever has claimed the send operation (`hasSentInitialMetadata`), or touched
/// on the queue's thread alone (`following`; after that thread's end there is no other).
final class ServerCall: Call, @unchecked Sendable {
    let server: Server
    let registration: Server.Registration

    /// Set when the call arrives, before its handler is there to use them.
    private var hasArrived = false
    private var connection: Connection?
    /// What goes on when the transport has taken a message, and stops when the peer is gone; the queue's thread's own.
    var following: (Follower, Audience)?
    private var hasSentInitialMetadata = false
    private let streamQueue: CallbackQueue?
    private let state = Mutex(State())

    private struct State {
        var hasFinished = false
        var peerIsGone = false
        var compression: CompressionAlgorithm?
        var trailingMetadata = Metadata()
        var handler: Task<Void, Never>?
    }

    init(server: Server, registration: Server.Registration, queue: CompletionQueue) {
        self.server = server
        self.registration = registration
        streamQueue = registration.method.isStreaming ? queue.streamQueue() : nil
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
    private func gather() {
        if let cork = connection?.cork { queue.gather(cork) }
    }

    private func arrived() {
        ServerCall(server: server, registration: registration, queue: queue).post()
        hasArrived = true
        connection = storage.pointee.call.flatMap { server.acceptor.connection(of: $0) }
        guard server.callBegan(on: connection) else {
            return finish(with: Status(code: .resourceExhausted, message: "too many calls are in progress"))
        }
        switch registration.method.handler {
        case .immediate(let handle): answer(handle)
        case .task(let handle): startAnswering(handle)
        case .deferred(let handle): answerLater(handle)
        case .following(let broadcast, let open): startFollowing(broadcast, open)
        }
    }

    private func startAnswering(_ handle: @escaping @Sendable (ServerCall) async throws -> ByteBuffer?) {
        if registration.method.isStreaming { watchForEnd() }
        // Runs here and now until it first waits, and on this thread from then on.
        let handler = Task.immediate(executorPreference: queue) {
            await self.answer(handle)
        }
        let (hasFinished, peerIsGone) = state.withLock { state in
            if !state.hasFinished { state.handler = handler }
            return (state.hasFinished, state.peerIsGone)
        }
        // A unary call that is answered already has its end in the same batch as the answer.
        if !hasFinished, !registration.method.isStreaming { watchForEnd() }
        if peerIsGone { handler.cancel() }
    }

    private func answer(_ handle: (ServerCall) async throws -> ByteBuffer?) async {
        var observer: CallObserver?
        do {
            try intercept(&observer)
            conclude(.success(try await handle(self)), observer)
        } catch {
            conclude(.failure(error), observer)
        }
    }

    private func answer(_ handle: (ServerCall) throws -> ByteBuffer?) {
        var observer: CallObserver?
        do {
            try intercept(&observer)
            conclude(.success(try handle(self)), observer)
        } catch {
            conclude(.failure(error), observer)
        }
    }

    private func answerLater(_ handle: (ServerCall, CallObserver?) throws -> Void) {
        var observer: CallObserver?
        do {
            try intercept(&observer)
            try handle(self, observer)
        } catch {
            conclude(.failure(error), observer)
        }
    }

    /// Collects who is to learn the status, until an interceptor refuses the call.
    func intercept(_ observer: inout CallObserver?) throws {
        for interceptor in server.interceptors {
            observer = CallObserver(try interceptor.callBegan(ServerContext(call: self)), then: observer)
        }
    }

    /// Ends the call with what its handler came to.
    func conclude(_ result: Result<ByteBuffer?, any Error>, _ observer: CallObserver?) {
        var status = Status.ok
        var cause: (any Error)?
        switch result {
        case .success(let message):
            finish(with: .ok, message: message)
        case .failure(let error):
            cause = error
            let error = RPCError(ofHandler: error)
            status = Status(code: error.code, message: error.message)
            finish(with: status, metadata: error.metadata)
        }
        observer?.callEnded(status, cause)
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

// MARK: - What the handler does

extension ServerCall {
    var metadata: Metadata { Metadata(copying: storage.pointee.received_initial_metadata) }

    var timeRemaining: Duration? { Deadline.remaining(storage.pointee.deadline) }

    func setCompression(_ compression: CompressionAlgorithm) {
        state.withLock { $0.compression = compression }
    }

    func setTrailingMetadata(_ metadata: Metadata) {
        state.withLock { $0.trailingMetadata = metadata }
    }

    /// Sends initial metadata unless it has been sent.
    func sendInitialMetadata(_ metadata: Metadata) async throws(RPCError) {
        var succeeded = try startSendingInitialMetadata(metadata)
        if succeeded == nil { succeeded = await completion(of: .send) }
        guard succeeded == true else { throw .peerIsGone }
    }

    /// As ``sendInitialMetadata(_:)``, but returns `nil` where that would wait.
    func startSendingInitialMetadata(_ metadata: Metadata) throws(RPCError) -> Bool? {
        let opening = try CoreMetadata.make(metadata.requesting(state.withLock { $0.compression }))
        return try begin(.send) { batch throws(RPCError) in
            guard takeOpening() else {
                throw RPCError(code: .internal, message: "initial metadata has been sent already")
            }
            holdSent(opening: opening, message: nil)
            batch.sendInitialMetadata(opening)
        }
    }

    /// Sends one message, after initial metadata if there has been none.
    /// - Parameters:
    ///   - isBuffered: Another message follows at once; the transport may wait for it.
    ///   - compressed: Whether the message is compressed if the call's are.
    func send(_ message: ByteBuffer, isBuffered: Bool = false, compressed: Bool = true) async throws(RPCError) {
        var succeeded = try startSending(message, isBuffered: isBuffered, compressed: compressed)
        if succeeded == nil { succeeded = await completion(of: .send) }
        guard succeeded == true else { throw .peerIsGone }
    }

    /// As ``send(_:isBuffered:compressed:)``, but returns `nil` where that would wait.
    func startSending(
        _ message: ByteBuffer,
        isBuffered: Bool,
        compressed: Bool = true
    ) throws(RPCError) -> Bool? {
        try begin(.send) { batch in
            let isFirst = takeOpening()
            let opening = isFirst ? Self.opening(compression: state.withLock { $0.compression }) : nil
            holdSent(opening: opening, message: message)
            if isFirst { batch.sendInitialMetadata(opening) }
            var flags = Self.flags(compressed: compressed)
            // A buffered message would hold initial metadata back with it, and the batch of both would not complete.
            if isBuffered, !isFirst {
                flags |= UInt32(GRPC_WRITE_BUFFER_HINT)
            } else {
                gather()
            }
            cgrpc_batch_send_message(&batch, storage, flags)
        }
    }

    /// Ends the call, with a last message if there is one. Nobody waits for it.
    func finish(with status: Status, message: ByteBuffer? = nil, metadata: Metadata = Metadata()) {
        let (peerIsGone, isUnwatched, trailing, compression) = state.withLock { state in
            state.hasFinished = true
            // Nobody receives its end yet.
            let isUnwatched = !registration.method.isStreaming && state.handler == nil
            return (state.peerIsGone, isUnwatched, state.trailingMetadata, state.compression)
        }
        if peerIsGone {
            // Nobody is left to be told, and the core would end the HTTP/2 stream a second time for a status, as for a call
            // that is let go of before its end has been received.
            if isUnwatched { watchForEnd() }
            return
        }
        guard begin(.send) else {
            // The handler returned while a task that it left behind is sending.
            return cancel()
        }
        gather()
        var batch = cgrpc_batch()
        // Metadata that gRPC does not allow is left out: the status matters more.
        let isFirst = takeOpening()
        let opening = isFirst ? Self.opening(compression: compression) : nil
        let closing = try? CoreMetadata.make(trailing.appending(metadata))
        holdSent(opening: opening, closing: closing, message: message)
        holdSent(status)
        if isFirst { batch.sendInitialMetadata(opening) }
        if message != nil { cgrpc_batch_send_message(&batch, storage, 0) }
        cgrpc_batch_send_status_from_server(&batch, storage, closing?.entries, closing?.count ?? 0)
        if isUnwatched { cgrpc_batch_recv_close_on_server(&batch, storage) }
        do {
            try start(.send, &batch)
        } catch {
            // Never leaves a client waiting for a status that will not come.
            cancel()
        }
    }

    /// Whether initial metadata has to go with the next send, as it has not been sent. The caller has claimed
    /// ``Call/Operation/send``.
    private func takeOpening() -> Bool {
        defer { hasSentInitialMetadata = true }
        return !hasSentInitialMetadata
    }

    /// Initial metadata that a handler has not sent itself.
    private static func opening(compression: CompressionAlgorithm?) -> CoreMetadata? {
        // What requests compression is always legal.
        try? .make(Metadata().requesting(compression))
    }
}

extension RPCError {
    /// A send failed, which has one reason only: the call is over.
    static var peerIsGone: RPCError { RPCError(code: .cancelled, message: "the call has ended") }
}
