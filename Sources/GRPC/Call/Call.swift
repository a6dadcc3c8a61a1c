internal import CGRPC
internal import CGRPCTuning
internal import Synchronization

/// One call of the core, on either side: the owner of its handle and of all that its operations point to.
///
/// At most one operation of each ``Operation`` is in flight. An operation can be started from any thread; its event is
/// handled on the thread of `queue`.
///
/// `@unchecked`: a part of `storage` belongs to the operation that uses it from its start to its event, and is touched
/// outside of that only by whoever may start that operation next; `lanes` decides who that is.
class Call: EventTarget, @unchecked Sendable {
    /// What can be in flight on a call at the same time.
    enum Operation: UInt32 {
        /// Server: waiting for a call to arrive. Client: initial metadata on its way, where no message goes with it.
        case opening
        /// A message, the close or the status on its way, with initial metadata if that has not been sent.
        case send
        case receiveInitialMetadata
        case receiveMessage
        /// Client: the status; for a unary call, everything at once. Server: the peer's end, unless it is received with the
        /// answer.
        case end
    }

    let queue: CompletionQueue
    let storage: UnsafeMutablePointer<cgrpc_call_storage>

    private let lanes = Mutex(Lanes())
    /// Held during a start: batches of one call must not be started concurrently.
    private let starting = Mutex<Void>(())
    /// What the send operation in flight points to, beside `storage`.
    private var sentMetadata: (opening: CoreMetadata?, closing: CoreMetadata?)

    init(queue: CompletionQueue) {
        self.queue = queue
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

    final override func operationCompleted(_ operation: UInt32, succeeded: Bool) {
        guard let operation = Operation(rawValue: operation) else { return }
        completed(operation, succeeded: succeeded)
    }

    /// Handles the event of an operation. A subclass overrides it for the operations that nobody awaits.
    func completed(_ operation: Operation, succeeded: Bool) {
        let waiting = lanes.withLock { $0[operation].complete(succeeded) }
        waiting?.resume(returning: succeeded)
    }

    /// What may be received, in bytes, where the core does not check it.
    var maxReceivedMessageSize: Int { .max }

    /// Ends the call at once: operations in flight complete, the peer sees `CANCELLED`. Thread-safe, at any time.
    func cancel() {
        guard let call = storage.pointee.call else { return }
        grpc_call_cancel(call, nil)
    }

    /// The peer's address in the core's form, `ipv4:127.0.0.1:4242` for example. Not authenticated.
    var peer: String {
        guard let call = storage.pointee.call, let peer = grpc_call_get_peer(call) else { return "unknown" }
        defer { gpr_free(peer) }
        return String(cString: peer)
    }

    /// The names in the certificate that the peer has shown, if it was verified.
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

    final func tagPointer(_ operation: Operation) -> UnsafeMutablePointer<cgrpc_tag> {
        cgrpc_call_storage_tag(storage, operation.rawValue)
    }
}

// MARK: - Operations

extension Call {
    /// Starts a batch that nobody waits for; its event goes to ``completed(_:succeeded:)``.
    final func start(_ operation: Operation, _ batch: inout cgrpc_batch) throws(RPCError) {
        let error = queue.whileOpen {
            let tag = Tag(tagPointer(operation))
            tag.retain(self)
            let error = starting.withLock { _ in cgrpc_batch_start(&batch, storage.pointee.call, tag.pointer) }
            // No event will come.
            if error != GRPC_CALL_OK { tag.release() }
            return error
        }
        guard let error else { throw .shutDown }
        guard error == GRPC_CALL_OK else {
            throw RPCError(code: .internal, message: "gRPC refused an operation: \(describe(error))")
        }
    }

    /// Whether an operation that has been started is complete, and how it ended; it can be started again then.
    final func takeCompletion(of operation: Operation) -> Bool? {
        lanes.withLock { $0[operation].take() }
    }

    /// Starts the batch that `build` makes.
    ///
    /// - Returns: Whether the operation succeeded, if it is complete already; `nil` if its event is still to come.
    final func begin(
        _ operation: Operation,
        _ build: (inout cgrpc_batch) throws(RPCError) -> Void
    ) throws(RPCError) -> Bool? {
        guard begin(operation) else {
            throw RPCError(code: .internal, message: "a call takes one operation '\(operation)' at a time")
        }
        do {
            var batch = cgrpc_batch()
            try build(&batch)
            try start(operation, &batch)
        } catch {
            lanes.withLock { $0[operation] = .idle }
            throw error
        }
        guard let succeeded = queue.takePostedEvent(of: Tag(tagPointer(operation))) else { return nil }
        // A stream may wait for its next message for long.
        if operation == .send, sentMetadata.opening != nil { sentMetadata.opening = nil }
        lanes.withLock { $0[operation] = .idle }
        return succeeded
    }

    /// Starts the batch that `build` makes and waits for its event.
    ///
    /// Cancelling the task cancels the call, which completes the operation.
    /// - Returns: Whether the operation succeeded.
    final func perform(
        _ operation: Operation,
        _ build: (inout cgrpc_batch) throws(RPCError) -> Void
    ) async throws(RPCError) -> Bool {
        await outcome(of: operation, try begin(operation, build))
    }

    /// Waits for an operation, unless it is complete already.
    /// - Parameter completed: Whether it succeeded, if it is complete.
    final func outcome(of operation: Operation, _ completed: Bool?) async -> Bool {
        guard let completed else { return await completion(of: operation) }
        if queue.shouldYield() { await Task.yield() }
        return completed
    }

    /// Waits for the event of an operation that has been claimed and started. Cancelling the task cancels the call.
    final func completion(of operation: Operation) async -> Bool {
        await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                let completed = lanes.withLock { $0[operation].wait(continuation) }
                if let completed { continuation.resume(returning: completed) }
            }
        } onCancel: {
            cancel()
        }
    }

    /// Claims an operation: until its event, what it uses of `storage` is the caller's. `false` if it is in flight.
    final func begin(_ operation: Operation) -> Bool {
        lanes.withLock { $0[operation].begin() }
    }

    /// Keeps what a send operation points to until the next one, in place of what the last one pointed to. The caller
    /// has claimed ``Operation/send``.
    final func holdSent(opening: CoreMetadata? = nil, closing: CoreMetadata? = nil, message: ByteBuffer?) {
        message?.withSlice { cgrpc_call_storage_set_message(storage, $0) }
        sentMetadata = (opening, closing)
    }

    /// As ``holdSent(opening:closing:message:)``, for the status of a server.
    final func holdSent(_ status: Status) {
        grpc_slice_unref(storage.pointee.status_details)
        storage.pointee.status_details = grpc_slice(copying: status.message.utf8)
        storage.pointee.status = grpc_status_code(rawValue: Int32(status.code.rawValue))
    }

    /// The core's flags for sending a message that is compressed if the call's are, or one that is not.
    static func flags(compressed: Bool) -> UInt32 { compressed ? 0 : UInt32(GRPC_WRITE_NO_COMPRESS) }

    /// Receives one message; `nil` at the end of the stream, and when the call has failed.
    final func receiveMessage() async throws(RPCError) -> ByteBuffer? {
        let succeeded = try await perform(.receiveMessage) { batch in
            cgrpc_batch_recv_message(&batch, storage)
        }
        return succeeded ? try takeReceivedMessage() : nil
    }

    /// Whether the last message that was waited for did not come because the call failed.
    final var receivingFailed: Bool { grpc_call_failed_before_recv_message(storage.pointee.call) != 0 }

    /// - Throws: `UNIMPLEMENTED` if the message is compressed in an encoding that the core does not know: its bytes are not
    ///   the message. `RESOURCE_EXHAUSTED` if it is larger than ``maxReceivedMessageSize``.
    final func takeReceivedMessage() throws(RPCError) -> ByteBuffer? {
        guard let received = storage.pointee.received_message else { return nil }
        storage.pointee.received_message = nil
        let message = ByteBuffer(taking: cgrpc_byte_buffer_take_slice(received))
        guard !cgrpc_call_message_is_compressed(storage.pointee.call) else { throw .unknownEncoding }
        guard message.count <= maxReceivedMessageSize else { throw .tooLarge(message.count, maxReceivedMessageSize) }
        return message
    }

    private func describe(_ error: grpc_call_error) -> String {
        grpc_call_error_to_string(error).map { String(cString: $0) } ?? "error \(error.rawValue)"
    }
}

extension RPCError {
    fileprivate static var unknownEncoding: RPCError {
        RPCError(code: .unimplemented, message: "the message is compressed in an encoding that is not supported here")
    }

    fileprivate static func tooLarge(_ size: Int, _ limit: Int) -> RPCError {
        RPCError(code: .resourceExhausted, message: "the message has \(size) bytes, and \(limit) are allowed")
    }
}
