internal import CGRPC
internal import Synchronization

// What a call sends. The send operation is in flight once at a time; who has claimed it may use what belongs to it.

extension ServerCall {
    /// Sends initial metadata unless it has been sent.
    func sendInitialMetadata(_ metadata: Metadata) async throws(RPCError) {
        let completed = try startSendingInitialMetadata(metadata)
        guard await outcome(of: .send, completed) else { throw .peerIsGone }
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
        let completed = try startSending(message, isBuffered: isBuffered, compressed: compressed)
        guard await outcome(of: .send, completed) else { throw .peerIsGone }
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
