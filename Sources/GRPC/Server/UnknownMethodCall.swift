internal import CGRPC

/// Answers calls of methods that the server does not have. Left in the core they would wait for ever, without bound.
///
/// `@unchecked`: as ``Call``; `details` belongs to the request operation until its event.
final class UnknownMethodCall: Call, @unchecked Sendable {
    private let server: Server
    private let details: UnsafeMutablePointer<grpc_call_details>

    init(server: Server, queue: CompletionQueue) {
        self.server = server
        details = .allocate(capacity: 1)
        details.initialize(to: grpc_call_details())
        grpc_call_details_init(details)
        super.init(queue: queue)
    }

    deinit {
        grpc_call_details_destroy(details)
        details.deallocate()
    }

    /// Waits for such a call. Nothing happens once the server is shutting down.
    func post() {
        _ = queue.whileOpen {
            let tag = Tag(tagPointer(.opening))
            tag.retain(self)
            let error = cgrpc_request_call(server.handle, details, storage, queue.handle, tag.pointer)
            if error != GRPC_CALL_OK { tag.release() }
        }
    }

    override func completed(_ operation: Operation, succeeded: Bool) {
        guard operation == .opening, succeeded else { return }
        UnknownMethodCall(server: server, queue: queue).post()
        var batch = cgrpc_batch()
        // Cut: it is the client's, and goes back in a header.
        let method = String(decoding: [UInt8](copying: details.pointee.method).prefix(200), as: UTF8.self)
        holdSent(Status(code: .unimplemented, message: "unknown method \(method)"))
        cgrpc_batch_send_initial_metadata(&batch, nil, 0, 0)
        cgrpc_batch_send_status_from_server(&batch, storage, nil, 0)
        cgrpc_batch_recv_close_on_server(&batch, storage)
        do {
            try start(.send, &batch)
        } catch {
            cancel()
        }
    }
}
