internal import CGRPC
internal import Synchronization

// Sending. One send operation is in flight at a time; whoever has claimed it may use its memory.

extension ServerCall {
    /// Sends initial metadata. Throws `INTERNAL` if it has been sent already.
    func sendInitialMetadata(_ metadata: Metadata) async throws(RPCError) {
        try startSendingInitialMetadata(metadata)
        guard await outcome(of: .send) else { throw .peerIsGone }
    }

    func startSendingInitialMetadata(_ metadata: Metadata) throws(RPCError) {
        let opening = try CoreMetadata.make(metadata.requesting(state.withLock { $0.compression }))
        try start(.send) { batch throws(RPCError) in
            guard takeOpening() else { throw .misuse(.secondInitialMetadata) }
            holdSent(opening: opening, message: nil)
            batch.sendInitialMetadata(opening)
        }
    }

    /// Sends one message, with initial metadata if that has not been sent.
    /// - Parameters:
    ///   - isBuffered: Another message follows at once, so the transport may wait for it.
    ///   - compressed: Whether to compress the message if the call uses compression.
    func send(_ message: ByteBuffer, isBuffered: Bool = false, compressed: Bool = true) async throws(RPCError) {
        try startSending(message, isBuffered: isBuffered, compressed: compressed)
        guard await outcome(of: .send) else { throw .peerIsGone }
    }

    func startSending(_ message: ByteBuffer, isBuffered: Bool, compressed: Bool = true) throws(RPCError) {
        try start(.send) { batch in
            let isFirst = takeOpening()
            let opening = isFirst ? Self.opening(compression: state.withLock { $0.compression }) : nil
            holdSent(opening: opening, message: message)
            if isFirst { batch.sendInitialMetadata(opening) }
            var flags = Self.flags(compressed: compressed)
            // A buffered message delays initial metadata in its batch, and the batch would not complete.
            if isBuffered, !isFirst {
                flags |= UInt32(GRPC_WRITE_BUFFER_HINT)
            } else {
                coalesceWrites()
            }
            cgrpc_batch_send_message(&batch, storage, flags)
        }
    }

    /// Ends the call, with a last message if there is one. Nobody waits for the result.
    func finish(with status: Status, message: ByteBuffer? = nil, metadata: Metadata = Metadata()) {
        let (peerIsGone, trailing, compression) = state.withLock { state in
            state.hasFinished = true
            return (state.peerIsGone, state.trailingMetadata, state.compression)
        }
        // With a status the core would reset the HTTP/2 stream twice, and also if the call is freed before its end was
        // received.
        guard !peerIsGone else { return watchForEnd() }
        do {
            try start(.send) { batch in
                coalesceWrites()
                // Leave out metadata that gRPC does not allow: the status matters more.
                let isFirst = takeOpening()
                let opening = isFirst ? Self.opening(compression: compression) : nil
                let closing = try? CoreMetadata.make(trailing.appending(metadata))
                holdSent(opening: opening, closing: closing, message: message)
                holdSent(status)
                if isFirst { batch.sendInitialMetadata(opening) }
                if message != nil { cgrpc_batch_send_message(&batch, storage, 0) }
                cgrpc_batch_send_status_from_server(&batch, storage, closing?.entries, closing?.count ?? 0)
                if !isWatched { cgrpc_batch_recv_close_on_server(&batch, storage) }
                isWatched = true
            }
        } catch {
            // The queue has been shut down, or a task that the handler started is still sending. Without a status the
            // client would wait forever.
            cancel()
        }
    }

    /// Whether initial metadata must go with the next send. The caller has claimed ``Call/Operation/send``.
    private func takeOpening() -> Bool {
        defer { hasSentInitialMetadata = true }
        return !hasSentInitialMetadata
    }

    /// Initial metadata for a call whose handler has not sent any.
    private static func opening(compression: CompressionAlgorithm?) -> CoreMetadata? {
        // Metadata that requests compression is always valid.
        try? .make(Metadata().requesting(compression))
    }
}

extension Status {
    /// The message as it is sent. Clients accept 8 KiB of metadata by default; beyond that they report
    /// `RESOURCE_EXHAUSTED` instead of the code. Half of it is left for trailing metadata.
    var sentMessage: String { message.cut(toEncodedSize: 4096) }
}

extension String {
    /// Cuts a text that exceeds a size in a status message, where gRPC percent-encodes it: each byte other than printable
    /// ASCII becomes three. A cut text ends with three dots.
    func cut(toEncodedSize limit: Int) -> String {
        guard utf8.count > limit / 3 else { return self }
        let dots = "..."
        var size = 0
        var end = startIndex
        for index in unicodeScalars.indices {
            if size + dots.utf8.count <= limit { end = index }
            let scalar = unicodeScalars[index]
            let isPlain = (0x20...0x7E).contains(scalar.value) && scalar != "%"
            size += isPlain ? 1 : 3 * UTF8.width(scalar)
            if size > limit { return self[..<end] + dots }
        }
        return self
    }
}

extension RPCError {
    /// The reason of a failed send. There is only one: the call is over.
    static var peerIsGone: RPCError { RPCError(code: .cancelled, message: "the call has ended") }
}
