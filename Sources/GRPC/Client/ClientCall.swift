internal import CGRPC
internal import Synchronization

/// A call of a client, from its beginning to its status.
///
/// `@unchecked`: as ``Call``; what is added here is immutable or in `ending`.
final class ClientCall: Call, @unchecked Sendable {
    private let channel: Channel
    private let ending = Mutex(Ending.open)

    private enum Ending {
        case open
        case awaited([CheckedContinuation<Void, Never>])
        case ended
    }

    init(channel: Channel, path: String, options: CallOptions) throws(RPCError) {
        self.channel = channel
        super.init(queue: channel.group.next())
        guard queue.gate.enter() else { throw .shutDown }
        defer { queue.leaveGate() }
        // The core takes the reference to the slice.
        storage.pointee.call = grpc_channel_create_call(
            channel.handle,
            nil,
            0,
            queue.handle,
            grpc_slice(copying: path.utf8),
            nil,
            Deadline.after(options.timeout),
            nil
        )
    }

    override func completed(_ operation: Operation, succeeded: Bool) {
        super.completed(operation, succeeded: succeeded)
        guard operation == .end else { return }
        let waiting = ending.withLock { ending in
            defer { ending = .ended }
            if case .awaited(let waiting) = ending { return waiting }
            return []
        }
        for continuation in waiting {
            continuation.resume()
        }
    }

    private static func flags(_ options: CallOptions) -> UInt32 {
        guard options.waitForReady else { return 0 }
        return UInt32(GRPC_INITIAL_METADATA_WAIT_FOR_READY | GRPC_INITIAL_METADATA_WAIT_FOR_READY_EXPLICITLY_SET)
    }

    /// The whole of a call with one request and one response, as one batch.
    func exchange(_ request: ByteBuffer, options: CallOptions) async throws(RPCError) -> ByteBuffer {
        let metadata = try CoreMetadata(options.metadata)
        _ = try await perform(.end) { batch in
            holdSent(metadata: metadata, message: request)
            cgrpc_batch_send_initial_metadata(&batch, metadata.entries, metadata.count, Self.flags(options))
            cgrpc_batch_send_message(&batch, storage, 0)
            cgrpc_batch_send_close_from_client(&batch)
            cgrpc_batch_recv_initial_metadata(&batch, storage)
            cgrpc_batch_recv_message(&batch, storage)
            cgrpc_batch_recv_status_on_client(&batch, storage)
        }
        if let error = receivedError { throw error }
        guard let message = try takeReceivedMessage() else {
            throw RPCError(code: .unimplemented, message: "the server sent no response message")
        }
        return message
    }

    /// Begins a call with one request and a stream of responses.
    func startStream(_ request: ByteBuffer, options: CallOptions) throws(RPCError) {
        let metadata = try CoreMetadata(options.metadata)
        var status = cgrpc_batch()
        cgrpc_batch_recv_status_on_client(&status, storage)
        try start(.end, &status)

        _ = begin(.receiveInitialMetadata)
        var initialMetadata = cgrpc_batch()
        cgrpc_batch_recv_initial_metadata(&initialMetadata, storage)
        try start(.receiveInitialMetadata, &initialMetadata)

        _ = begin(.send)
        holdSent(metadata: metadata, message: request)
        var batch = cgrpc_batch()
        cgrpc_batch_send_initial_metadata(&batch, metadata.entries, metadata.count, Self.flags(options))
        cgrpc_batch_send_message(&batch, storage, 0)
        cgrpc_batch_send_close_from_client(&batch)
        try start(.send, &batch)
    }

    /// Waits for the server's initial metadata. At most once.
    func initialMetadata() async throws(RPCError) -> Metadata {
        if await completion(of: .receiveInitialMetadata) {
            return Metadata(copying: storage.pointee.received_initial_metadata)
        }
        // Without it the call has failed, or ended with a status alone.
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

    /// Of a call that has ended: its status, unless that is OK.
    var receivedError: RPCError? {
        let code = Status.Code(rawValue: Int(storage.pointee.status.rawValue)) ?? .unknown
        guard code != .ok else { return nil }
        return RPCError(
            code: code,
            message: String(copying: storage.pointee.status_details),
            metadata: trailingMetadata
        )
    }

    /// Of a call that has ended: what the server sent with the status.
    var trailingMetadata: Metadata { Metadata(copying: storage.pointee.received_trailing_metadata) }
}
