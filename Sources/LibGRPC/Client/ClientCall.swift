internal import CGRPC
internal import Synchronization

/// A call of a client, from its beginning to its status.
///
/// `@unchecked`: as ``Call``. The properties here are immutable, in `ending`, or documented.
final class ClientCall: Call, @unchecked Sendable {
    private let channel: Channel
    private let metadata: CoreMetadata?
    private let flags: UInt32
    private let observer: CallObserver?
    private let ending = Mutex(Ending.open)
    /// Whether the end of the stream of requests has been sent, or is about to be.
    private let hasFinished = Atomic<Bool>(false)

    private enum Ending {
        case open
        case awaited([CheckedContinuation<Void, Never>])
        case ended
    }

    init(channel: Channel, path: String, options: CallOptions) throws(RPCError) {
        self.channel = channel
        var options = options
        var observer: CallObserver?
        for interceptor in channel.interceptors {
            observer = CallObserver(interceptor.callBegins(path, &options), then: observer)
        }
        self.observer = observer
        do {
            let compression = channel.compresses ? options.compression : nil
            metadata = try .make(options.metadata.requesting(compression))
        } catch {
            observer?.callEnded(Status(code: error.code, message: error.message), error)
            throw error
        }
        flags = options.waitForReady ? Self.waitForReady : 0
        let queue = channel.group.next()
        super.init(queue: queue)
        storage.pointee.call =
            queue.whileOpen { options.makeCoreCall(of: path, on: channel, queue: queue.handle) } ?? nil
        guard let call = storage.pointee.call, channel.group.callBegan(call) else { throw .shutDown }
    }

    deinit {
        let hasEnded = ending.withLock { if case .ended = $0 { true } else { false } }
        if !hasEnded { leaveGroup() }
    }

    private func leaveGroup() {
        if let call = storage.pointee.call { channel.group.callEnded(call) }
    }

    /// The call has its status.
    private func ended() {
        // The group's shutdown does not wait for it, even if somebody still holds the stream.
        leaveGroup()
        if let observer { observer.callEnded(receivedStatus, nil) }
        let waiting = ending.withLock { ending in
            defer { ending = .ended }
            if case .awaited(let waiting) = ending { return waiting }
            return []
        }
        for continuation in waiting {
            continuation.resume()
        }
    }

    private static let waitForReady =
        UInt32(GRPC_INITIAL_METADATA_WAIT_FOR_READY | GRPC_INITIAL_METADATA_WAIT_FOR_READY_EXPLICITLY_SET)

    private func addInitialMetadata(to batch: inout cgrpc_batch) {
        batch.sendInitialMetadata(metadata, flags: flags)
    }

    /// Call it before each send.
    private func coalesceWrites() {
        if let coalescer = channel.socket.coalescer { queue.coalesceWrites(of: coalescer) }
    }

    /// Runs a unary call as one batch.
    func exchange(_ request: ByteBuffer) async throws(RPCError) -> ByteBuffer {
        try startExchange(request)
        _ = await outcome(of: .end)
        return try takeResponse().get()
    }

    /// As ``exchange(_:)``, without a task. The thread of the queue begins the call, because threads that start
    /// operations on one connection at the same time contend in the core.
    /// - Parameter completion: Called once, on that thread, or on any thread if the queue has ended.
    func exchange(
        _ request: ByteBuffer,
        completion: @escaping @Sendable (Result<ByteBuffer, RPCError>) -> Void
    ) {
        queue.execute {
            do throws(RPCError) {
                try self.startExchange(request, .then { _ in completion(self.takeResponse()) })
            } catch {
                completion(.failure(error))
            }
        }
    }

    private func startExchange(
        _ request: ByteBuffer,
        _ slot: OperationSlot = .inFlight
    ) throws(RPCError) {
        try start(.end, slot) { batch in
            coalesceWrites()
            holdSent(message: request)
            addInitialMetadata(to: &batch)
            cgrpc_batch_send_message(&batch, storage, 0)
            cgrpc_batch_send_close_from_client(&batch)
            cgrpc_batch_recv_initial_metadata(&batch, storage)
            cgrpc_batch_recv_message(&batch, storage)
            cgrpc_batch_recv_status_on_client(&batch, storage)
        }
    }

    /// The outcome of a unary call that has ended.
    private func takeResponse() -> Result<ByteBuffer, RPCError> {
        observer?.callEnded(receivedStatus, nil)
        if let error = receivedError { return .failure(error) }
        do throws(RPCError) {
            guard let message = try takeReceivedMessage() else { return .failure(.noResponse) }
            return .success(message)
        } catch {
            return .failure(error)
        }
    }

    /// Begins a call with one request and a stream of responses.
    func startStream(_ request: ByteBuffer) throws(RPCError) {
        try startReceiving()
        try startFirst(.send) { batch in
            holdSent(message: request)
            addInitialMetadata(to: &batch)
            cgrpc_batch_send_message(&batch, storage, 0)
            cgrpc_batch_send_close_from_client(&batch)
        }
    }

    /// Begins a call with a stream of requests.
    func startStreams() throws(RPCError) {
        try startReceiving()
        try startFirst(.opening) { addInitialMetadata(to: &$0) }
    }

    /// Starts to receive the status and the server's initial metadata.
    private func startReceiving() throws(RPCError) {
        try startFirst(.end, .then { _ in self.ended() }) { cgrpc_batch_recv_status_on_client(&$0, storage) }
        try startFirst(.receiveInitialMetadata) { cgrpc_batch_recv_initial_metadata(&$0, storage) }
    }

    /// One of the operations that begin a call. If it fails, those before it must still end.
    private func startFirst(
        _ operation: Operation,
        _ slot: OperationSlot = .inFlight,
        _ build: (inout cgrpc_batch) -> Void
    ) throws(RPCError) {
        do {
            try start(operation, slot, build)
        } catch {
            cancel()
            throw error
        }
    }

    /// Sends one message of a stream.
    /// - Parameter compressed: Whether to compress the message if the call's messages are compressed.
    func send(_ message: ByteBuffer, compressed: Bool) async throws(RPCError) {
        guard !hasFinished.load(ordering: .relaxed) else { throw .misuse(.writeAfterFinish) }
        try start(.send) { batch in
            coalesceWrites()
            holdSent(message: message)
            cgrpc_batch_send_message(&batch, storage, Self.flags(compressed: compressed))
        }
        guard await outcome(of: .send) else { throw statusOfFailedSend }
    }

    /// Sends the end of the stream of requests.
    func sendClose() async throws(RPCError) {
        guard !hasFinished.load(ordering: .relaxed) else { throw .misuse(.writeAfterFinish) }
        try start(.send) { batch in
            hasFinished.store(true, ordering: .relaxed)
            cgrpc_batch_send_close_from_client(&batch)
        }
        guard await outcome(of: .send) else { throw statusOfFailedSend }
    }

    /// Does not wait for the status: it comes after messages that the caller may still have to read.
    private var statusOfFailedSend: RPCError {
        let hasEnded = ending.withLock { if case .ended = $0 { true } else { false } }
        let unknown = RPCError(code: .cancelled, message: "the call has ended; its responses throw its status")
        return hasEnded ? receivedError ?? unknown : unknown
    }

    /// Waits for the server's initial metadata. At most once.
    func initialMetadata() async throws(RPCError) -> Metadata {
        if await outcome(of: .receiveInitialMetadata) { return receivedInitialMetadata }
        // There is none: the call has failed, or the server sent only a status.
        await end()
        if let error = receivedError { throw error }
        return [:]
    }

    /// Waits for the status.
    func end() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let hasEnded = ending.withLock { ending in
                    switch ending {
                    case .open: ending = .awaited([continuation])
                    case .awaited(let waiting): ending = .awaited(waiting + [continuation])
                    case .ended: return true
                    }
                    return false
                }
                if hasEnded { continuation.resume() }
            }
        } onCancel: {
            cancel()
        }
    }

    // The values below are valid once the operation that receives them is complete.

    private var receivedStatus: Status {
        let code = Status.Code(rawValue: Int(storage.pointee.status.rawValue)) ?? .unknown
        return Status(code: code, message: String(copying: storage.pointee.status_details))
    }

    /// The status, unless it is OK.
    var receivedError: RPCError? {
        let status = receivedStatus
        guard status.code != .ok else { return nil }
        return RPCError(code: status.code, message: status.message, metadata: trailingMetadata)
    }

    var receivedInitialMetadata: Metadata { Metadata(copying: storage.pointee.received_initial_metadata) }

    var trailingMetadata: Metadata { Metadata(copying: storage.pointee.received_trailing_metadata) }
}

extension RPCError {
    /// The call ended with OK, but without a response.
    static var noResponse: RPCError {
        RPCError(code: .unimplemented, message: "the server sent no response message")
    }
}
