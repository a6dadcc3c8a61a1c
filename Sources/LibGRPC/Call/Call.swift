internal import CGRPC
internal import CGRPCTuning
internal import Synchronization

/// A call on a client or a server. It owns the core's handle and all memory that its operations point to.
///
/// At most one operation of each ``Operation`` is in flight. Any thread can start one. The thread of `queue` handles
/// its event.
///
/// `@unchecked`: an operation owns its part of `storage` from its start to its event. Otherwise only whoever may start
/// that operation next uses it, and `slots` decides who that is.
class Call: EventTarget, @unchecked Sendable {
    /// The operations that can be in flight at the same time.
    enum Operation: UInt32 {
        /// Server: wait for a call to arrive. Client: send initial metadata without a message.
        case opening
        /// Send a message, the close or the status, with initial metadata if that has not been sent.
        case send
        case receiveInitialMetadata
        case receiveMessage
        /// Client: receive the status, or do a whole unary call. Server: receive the peer's end, unless the batch of
        /// the answer does.
        case end
    }

    let queue: CompletionQueue
    /// Where the operations complete, unless on ``queue``.
    let streamQueue: CallbackQueue?
    let storage: UnsafeMutablePointer<cgrpc_call_storage>

    private let slots = Mutex(OperationSlots())
    /// Held during a start: the core does not allow concurrent starts on one call.
    private let starting = Mutex<Void>(())
    /// The send operation in flight points to it, as well as to `storage`.
    private var sentMetadata: (opening: CoreMetadata?, closing: CoreMetadata?)

    init(queue: CompletionQueue, streamQueue: CallbackQueue? = nil) {
        self.queue = queue
        self.streamQueue = streamQueue
        storage = .allocate(capacity: 1)
        Tag.initializeAll(of: storage)
        super.init()
    }

    deinit {
        if let call = storage.pointee.call { grpc_call_unref(call) }
        if let message = storage.pointee.sent_message { grpc_byte_buffer_destroy(message) }
        if let message = storage.pointee.received_message { grpc_byte_buffer_destroy(message) }
        grpc_metadata_array_destroy(&storage.pointee.received_initial_metadata)
        grpc_metadata_array_destroy(&storage.pointee.received_trailing_metadata)
        grpc_slice_unref(storage.pointee.status_details)
        storage.deallocate()
    }

    final override var eventQueue: CompletionQueue { queue }

    /// The one way by which the event of an operation reaches whoever waits for it.
    final override func operationCompleted(_ operation: UInt32, succeeded: Bool) {
        guard let operation = Operation(rawValue: operation) else { return }
        // A stream may wait long for its next message. Do not keep the metadata until then.
        if operation == .send, sentMetadata.opening != nil { sentMetadata.opening = nil }
        slots.withLock { $0[operation].complete(succeeded) }?.resume(succeeded)
    }

    /// The largest message that may be received, in bytes, if the core does not check it.
    var maxReceivedMessageSize: Int { .max }

    /// Why an operation cannot begin while its slot is in use.
    func refusal(of operation: Operation) -> RPCError {
        .misuse(operation == .receiveMessage ? .concurrentReads : .concurrentWrites)
    }

    /// Ends the call: operations in flight complete, and the peer sees `CANCELLED`. At any time. Thread-safe.
    func cancel() {
        guard let call = storage.pointee.call else { return }
        grpc_call_cancel(call, nil)
    }

    /// The peer's address in the core's form, for example `ipv4:127.0.0.1:4242`. Not authenticated.
    var peer: String {
        guard let call = storage.pointee.call, let peer = grpc_call_get_peer(call) else { return "unknown" }
        defer { gpr_free(peer) }
        return String(cString: peer)
    }

    /// The names in the peer's certificate, if it was verified.
    final var peerIdentities: [String] {
        guard let call = storage.pointee.call, let context = grpc_call_auth_context(call) else { return [] }
        defer { grpc_auth_context_release(context) }
        guard grpc_auth_context_peer_is_authenticated(context) != 0 else { return [] }
        var identities: [String] = []
        var properties = grpc_auth_context_peer_identity(context)
        while let property = grpc_auth_property_iterator_next(&properties) {
            let value = UnsafeRawBufferPointer(start: property.pointee.value, count: property.pointee.value_length)
            identities.append(String(decoding: value, as: UTF8.self))
        }
        return identities
    }
}

// MARK: - Operations

extension Call {
    /// Starts an operation. Until its event the caller owns the operation's part of `storage`.
    /// - Parameters:
    ///   - slot: With a waiter, which gets the event, maybe before this returns. Otherwise ``result(of:)``,
    ///     ``wait(for:_:)`` or ``outcome(of:)`` must follow before the next start.
    ///   - start: Starts the operation with a tag. Returns `nil` if the queue has been shut down.
    final func begin(
        _ operation: Operation,
        _ slot: OperationSlot = .inFlight,
        _ start: (Tag) throws(RPCError) -> grpc_call_error?
    ) throws(RPCError) {
        guard slots.withLock({ $0[operation].begin(slot) }) else {
            throw refusal(of: operation)
        }
        let pointer: UnsafeMutablePointer<cgrpc_tag> = cgrpc_call_storage_tag(storage, operation.rawValue)
        let tag = Tag(pointer)
        tag.retain(self)
        do throws(RPCError) {
            guard let error = try start(tag) else { throw RPCError.shutDown }
            guard error == GRPC_CALL_OK else { throw RPCError.refused(error) }
        } catch {
            // No event will come.
            tag.release()
            slots.withLock { $0[operation] = .idle }
            throw error
        }
        queue.deliverPostedEvent(of: tag)
    }

    /// Starts the batch that `build` makes, as ``begin(_:_:_:)``.
    final func start(
        _ operation: Operation,
        _ slot: OperationSlot = .inFlight,
        _ build: (inout cgrpc_batch) throws(RPCError) -> Void
    ) throws(RPCError) {
        try begin(operation, slot) { tag throws(RPCError) in
            var batch = cgrpc_batch_empty()
            try build(&batch)
            return queue.whileOpen {
                // A callback queue posts the event itself.
                streamQueue == nil ? queue.keepingEvent { start(&batch, tag) } : start(&batch, tag)
            }
        }
    }

    private func start(_ batch: inout cgrpc_batch, _ tag: Tag) -> grpc_call_error {
        starting.withLock { _ in cgrpc_batch_start(&batch, storage.pointee.call, tag.pointer) }
    }

    /// Whether an operation succeeded, if it is complete; `nil` if it is in flight. Once complete it can start again.
    final func result(of operation: Operation) -> Bool? {
        slots.withLock { $0[operation].take() }
    }

    /// Adds a waiter for the event. Returns whether the operation succeeded, if it is complete already.
    final func wait(for operation: Operation, _ waiter: OperationSlot.Waiter) -> Bool? {
        slots.withLock { $0[operation].wait(waiter) }
    }

    /// Waits for the event. Cancelling the task cancels the call, which completes the operation.
    /// - Returns: Whether the operation succeeded.
    final func outcome(of operation: Operation) async -> Bool {
        if let succeeded = result(of: operation) {
            if queue.shouldYield() {
                await Task.yield()
                // A task that never waits would not see its cancellation.
                if Task.isCancelled { cancel() }
            }
            return succeeded
        }
        return await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                let completed = wait(for: operation, .task(continuation))
                if let completed { continuation.resume(returning: completed) }
            }
        } onCancel: {
            cancel()
        }
    }

    /// Keeps what a send operation points to, in place of what the last one pointed to. The caller has claimed
    /// ``Operation/send``.
    final func holdSent(opening: CoreMetadata? = nil, closing: CoreMetadata? = nil, message: ByteBuffer?) {
        message?.withSlice { cgrpc_call_storage_set_message(storage, $0) }
        sentMetadata = (opening, closing)
    }

    /// As ``holdSent(opening:closing:message:)``, for the status of a server.
    final func holdSent(_ status: Status) {
        grpc_slice_unref(storage.pointee.status_details)
        storage.pointee.status_details = grpc_slice(copying: status.sentMessage.utf8)
        storage.pointee.status = grpc_status_code(rawValue: Int32(status.code.rawValue))
    }

    /// The core's flags for a message: compressed if the call's messages are, or never.
    static func flags(compressed: Bool) -> UInt32 { compressed ? 0 : UInt32(GRPC_WRITE_NO_COMPRESS) }

    /// Receives one message; `nil` at the end of the stream, or if the call has failed.
    final func receiveMessage() async throws(RPCError) -> ByteBuffer? {
        try start(.receiveMessage) { cgrpc_batch_recv_message(&$0, storage) }
        return await outcome(of: .receiveMessage) ? try takeReceivedMessage() : nil
    }

    /// Whether the last message did not come because the call failed.
    final var receivingFailed: Bool { grpc_call_failed_before_recv_message(storage.pointee.call) != 0 }

    /// - Throws: `UNIMPLEMENTED` if the core does not know the message's compression. `RESOURCE_EXHAUSTED` if the
    ///   message is larger than ``maxReceivedMessageSize``.
    final func takeReceivedMessage() throws(RPCError) -> ByteBuffer? {
        guard let received = storage.pointee.received_message else { return nil }
        storage.pointee.received_message = nil
        let message = ByteBuffer(taking: cgrpc_byte_buffer_take_slice(received))
        guard !cgrpc_call_message_is_compressed(storage.pointee.call) else { throw .unknownEncoding }
        guard message.count <= maxReceivedMessageSize else { throw .tooLarge(message.count, maxReceivedMessageSize) }
        return message
    }
}

extension RPCError {
    fileprivate static func refused(_ error: grpc_call_error) -> RPCError {
        let reason = grpc_call_error_to_string(error).map { String(cString: $0) } ?? "error \(error.rawValue)"
        return RPCError(code: .internal, message: "gRPC refused an operation: \(reason)")
    }

    fileprivate static var unknownEncoding: RPCError {
        RPCError(code: .unimplemented, message: "the message is compressed in an encoding that is not supported here")
    }

    fileprivate static func tooLarge(_ size: Int, _ limit: Int) -> RPCError {
        RPCError(code: .resourceExhausted, message: "the message has \(size) bytes, and \(limit) are allowed")
    }
}
