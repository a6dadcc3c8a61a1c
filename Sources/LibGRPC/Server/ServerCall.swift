internal import CGRPC
internal import CGRPCTuning
internal import Synchronization

/// A call of a known method.
///
/// `@unchecked`: as ``ArrivingCall``. What this class adds is immutable, in `state`, used by whoever has claimed the
/// send operation (`hasSentInitialMetadata`), or used on the queue's thread only (`following`). After that thread has
/// ended, ``LateEvents`` allows one thread at a time.
final class ServerCall: ArrivingCall, @unchecked Sendable {
    let registration: Server.Registration

    /// The broadcast that the call follows. Used on the queue's thread.
    var following: (Follower, Audience)?
    var hasSentInitialMetadata = false
    private let streamQueue: CallbackQueue?
    let state = Mutex(State())

    struct State {
        var hasFinished = false
        var peerIsGone = false
        /// A handler that reads the messages itself has received the first one.
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

    /// Waits for a call to arrive. Does nothing once the server is shutting down.
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

    /// Does nothing if the client is gone: the core would reset the HTTP/2 stream twice.
    override func cancel() {
        if !peerIsGone { super.cancel() }
    }

    /// Call it before each send.
    func gather() {
        if let cork = connection?.cork { queue.gather(cork) }
    }

    private func arrived() {
        ServerCall(server: server, registration: registration, awaited: awaited).post()
        guard admit() else { return }
        guard !registration.method.readsFirstMessage else { return awaitMessage() }
        // The handler runs already and reads the messages itself.
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

    /// The client has cancelled the call or its deadline has passed. The core ends the call.
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
        // The core would compress even if the client cannot decompress.
        guard cgrpc_call_accepted_encodings(storage.pointee.call) >> compression.coreValue & 1 == 1 else { return }
        state.withLock { $0.compression = compression }
    }

    func setTrailingMetadata(_ metadata: Metadata) {
        state.withLock { $0.trailingMetadata = metadata }
    }
}

// Answering: from a call's arrival to its handler's result.

extension ServerCall {
    /// Calls the method's handler.
    func answer() {
        switch registration.method.handler {
        case .immediate(let handle): answer(handle)
        case .task(let handle): startAnswering(handle)
        case .deferred(let handle): answerLater(handle)
        case .following(let broadcast, let open): startFollowing(broadcast, open)
        }
    }

    private func startAnswering(_ handle: @escaping @Sendable (ServerCall) async throws -> ByteBuffer?) {
        if registration.method.isStreaming { watchForEnd() }
        // Runs here until it first waits, and continues on this thread.
        let handler = Task.immediate(executorPreference: queue) {
            await answer(handle)
        }
        let (hasFinished, peerIsGone) = state.withLock { state in
            if !state.hasFinished { state.handler = handler }
            return (state.hasFinished, state.peerIsGone)
        }
        // The answer of a unary call reports the call's end in the same batch.
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

    /// Collects the observers of the call's end. Stops at an interceptor that refuses the call.
    func intercept(_ observer: inout CallObserver?) throws {
        for interceptor in server.interceptors {
            observer = CallObserver(try interceptor.callBegan(ServerContext(call: self)), then: observer)
        }
    }

    /// Ends the call with its handler's result.
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
}
