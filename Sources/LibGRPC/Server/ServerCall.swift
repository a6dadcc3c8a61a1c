internal import CGRPC
internal import CGRPCTuning
internal import Synchronization

/// A call on a server. The object exists before its call does: it is a slot for one call to arrive in. A call counts
/// against the limits from the arrival of its headers.
///
/// `@unchecked`: as ``Call``. What this class adds is immutable, in `state`, used by whoever has claimed the send
/// operation (`hasSentInitialMetadata`), set once before the handler is called (`hasArrived`, `connection`,
/// `caller`, `observer`), or used on the queue's thread only. After that thread has ended, ``Mailbox`` has one task act in its
/// place.
final class ServerCall: Call, @unchecked Sendable {
    let server: Server
    let registration: Server.Registration
    private(set) var connection: Connection?
    private var hasArrived = false
    /// What an interceptor knows of who calls.
    private(set) var caller: (any AnyObject & Sendable)?
    var observer: CallObserver?
    var hasSentInitialMetadata = false
    /// Set when the first message has arrived, by whoever receives it.
    let hasReceivedMessage = Atomic<Bool>(false)
    let state = Mutex(State())
    /// For a call of any method; `nil` for a registered one.
    private let details: UnsafeMutablePointer<grpc_call_details>?

    // The queue's thread uses the rest.
    /// The list that holds the call while its first message is missing.
    let awaited: AwaitedCalls
    /// The position in that list, and the list's tick at which the call joined it.
    var awaitedIndex: Int?
    var awaitedSince = 0
    /// The server ended the call without a handler.
    private var isRefused = false
    /// An operation that reports the call's end has been started.
    var isWatched = false
    /// What sends the messages of a broadcast.
    var subscriber: BroadcastSubscriber?

    struct State {
        var hasFinished = false
        var peerIsGone = false
        var compression: CompressionAlgorithm?
        var trailingMetadata = Metadata()
        var handler: Task<Void, Never>?
    }

    init(server: Server, registration: Server.Registration, awaited: AwaitedCalls) {
        self.server = server
        self.registration = registration
        self.awaited = awaited
        if registration.handle == nil {
            let details = UnsafeMutablePointer<grpc_call_details>.allocate(capacity: 1)
            details.initialize(to: grpc_call_details())
            grpc_call_details_init(details)
            self.details = details
        } else {
            details = nil
        }
        let streamQueue = registration.method.onlySends ? awaited.queue.streamQueues.withRoom() : nil
        super.init(queue: awaited.queue, streamQueue: streamQueue)
        streamQueue?.callBegan()
    }

    deinit {
        streamQueue?.callEnded()
        if let details {
            grpc_call_details_destroy(details)
            details.deallocate()
        }
        guard hasArrived else { return }
        connection?.callEnded()
        if !isRefused { server.callEnded() }
    }

    override var peer: String { connection?.peer ?? super.peer }

    override var maxReceivedMessageSize: Int { server.maxReceivedMessageSize }

    /// Does nothing if the client is gone: the core would reset the HTTP/2 stream twice.
    override func cancel() {
        if !peerIsGone { super.cancel() }
    }

    override func refusal(of operation: Operation) -> RPCError {
        // The status is the last send.
        operation == .send && state.withLock(\.hasFinished) ? .peerIsGone : super.refusal(of: operation)
    }

    var peerIsGone: Bool { state.withLock { $0.peerIsGone } }

    /// Call it before each send.
    func coalesceWrites() {
        if let coalescer = connection?.coalescer { queue.coalesceWrites(of: coalescer) }
    }
}

// MARK: - What its handler can learn and set

extension ServerCall {
    var path: String {
        registration.method.path ?? details.map { String(copying: $0.pointee.method) } ?? ""
    }

    var metadata: Metadata { Metadata(copying: storage.pointee.received_initial_metadata) }

    func metadataValues(_ key: String) -> [[UInt8]] {
        let array = storage.pointee.received_initial_metadata
        var values: [[UInt8]] = []
        for index in 0..<array.count {
            let isWanted = array.metadata[index].key.withBytes { $0.elementsEqual(key.utf8) }
            if isWanted { values.append([UInt8](copying: array.metadata[index].value)) }
        }
        return values
    }

    var timeRemaining: Duration? { Deadline.remaining(details?.pointee.deadline ?? storage.pointee.deadline) }

    func setCompression(_ compression: CompressionAlgorithm) {
        // The core would compress even if the client cannot decompress.
        guard cgrpc_call_accepted_encodings(storage.pointee.call) >> compression.coreValue & 1 == 1 else { return }
        state.withLock { $0.compression = compression }
    }

    func setTrailingMetadata(_ metadata: Metadata) {
        state.withLock { $0.trailingMetadata = metadata }
    }
}

// MARK: - Arrival

extension ServerCall {
    /// Waits for a call to arrive. Does nothing once the server is shutting down.
    func post() {
        try? begin(.opening, .then { succeeded in if succeeded { self.arrived() } }) { tag in
            queue.whileOpen {
                let callQueue = streamQueue?.handle ?? queue.handle
                guard let method = registration.handle else {
                    return cgrpc_request_call(server.handle, details, storage, callQueue, queue.handle, tag.pointer)
                }
                return cgrpc_request_registered_call(
                    server.handle,
                    method,
                    storage,
                    callQueue,
                    queue.handle,
                    tag.pointer
                )
            }
        }
    }

    private func arrived() {
        ServerCall(server: server, registration: registration, awaited: awaited).post()
        guard admit(), server.admissions.isEmpty || askAdmissions() else { return }
        guard !registration.method.readsFirstMessage else { return receiveFirstMessage() }
        // The handler reads the messages itself.
        awaited.add(self)
        answer()
    }

    /// Counts the call against the limits. Returns `false` if it exceeds one; the call is refused then.
    private func admit() -> Bool {
        hasArrived = true
        connection = storage.pointee.call.flatMap { server.acceptor.connection(of: $0) }
        guard let reason = server.callBegan(on: connection, metadataSize: metadataSize) else { return true }
        refuse(reason, lateStatus)
        return false
    }

    /// Lets the interceptors find out who calls. Returns `false` if one refuses the call.
    private func askAdmissions() -> Bool {
        do throws(RPCError) {
            let context = ServerContext(call: self)
            for admission in server.admissions { caller = try admission(context) ?? caller }
            return true
        } catch {
            let error = RPCError(ofHandler: error)
            refuse(.notAdmitted, lateStatus ?? Status(code: error.code, message: error.message))
            return false
        }
    }

    /// After the deadline the client expects DEADLINE_EXCEEDED, whatever the reason.
    private var lateStatus: Status? {
        guard let timeRemaining, timeRemaining <= .zero else { return nil }
        return Status(code: .deadlineExceeded, message: "the deadline has passed")
    }

    /// The size as HTTP/2 counts it: 32 bytes per entry on top of key and value. With the method's name, if the server
    /// does not know it.
    private var metadataSize: Int {
        let array = storage.pointee.received_initial_metadata
        var size = server.group.core.isKnown ? cgrpc_call_authority_size(storage.pointee.call) : 0
        if let details { size += cgrpc_slice_length(&details.pointee.method) }
        for index in 0..<array.count {
            let entry = array.metadata + index
            withUnsafePointer(to: entry.pointee.key) { size += cgrpc_slice_length($0) + 32 }
            withUnsafePointer(to: entry.pointee.value) { size += cgrpc_slice_length($0) }
        }
        return size
    }

    private func receiveFirstMessage() {
        do {
            try start(.receiveMessage, .then { self.receivedFirstMessage($0) }) { batch in
                cgrpc_batch_recv_message(&batch, storage)
            }
        } catch {
            return cancel()
        }
        if needsMessage { awaited.add(self) }
    }

    /// - Parameter succeeded: `false` if the core ended the call because of the message.
    private func receivedFirstMessage(_ succeeded: Bool) {
        hasReceivedMessage.store(true, ordering: .relaxed)
        awaited.remove(self)
        if isRefused { return }
        if succeeded { answer() } else { refuse(.badMessage) }
    }

    /// Whether a call in the ``awaited`` list still needs its first message.
    var needsMessage: Bool { !hasReceivedMessage.load(ordering: .relaxed) }

    /// How many ticks the first message may take. The client of an unknown method may wait for an answer before it sends
    /// anything.
    var patience: Int { registration.method.answer == nil ? server.unknownMethodTicks : server.firstMessageTicks }

    /// The first message has not arrived within ``patience`` ticks.
    func messageDidNotCome() {
        if registration.method.answer == nil { refuse(.unknownMethod, unimplemented) } else { refuse(.noMessage) }
    }

    /// The client chose the name, and can repeat it for a few bytes.
    var unimplemented: Status {
        Status(code: .unimplemented, message: "unknown method \(path.cut(toEncodedSize: 200))")
    }

    /// Ends the call with a status and frees what it holds, even if its client reads nothing.
    func refuse(_ reason: RefusedCall.Reason, _ status: Status? = nil) {
        isRefused = true
        let status = status ?? reason.status
        server.callEnded()
        server.callRefused(reason, status.code)
        // Otherwise the core resets the HTTP/2 stream twice.
        watchForEnd()
        cancel(with: status)
    }

    func cancel(with status: Status) {
        let code = grpc_status_code(rawValue: Int32(status.code.rawValue))
        grpc_call_cancel_with_status(storage.pointee.call, code, status.sentMessage, nil)
    }
}
