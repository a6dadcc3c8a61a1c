internal import CGRPC

/// Answers calls of methods that the server does not have. Left in the core they would wait for ever, without bound.
///
/// The first message is received and dropped: proxies that are still sending it when the status comes make another error
/// of it.
///
/// `@unchecked`: as ``ArrivingCall``; `details` belongs to the request operation until its event.
final class UnknownMethodCall: ArrivingCall, @unchecked Sendable {
    private let details: UnsafeMutablePointer<grpc_call_details>

    override init(server: Server, awaited: AwaitedCalls) {
        details = .allocate(capacity: 1)
        details.initialize(to: grpc_call_details())
        grpc_call_details_init(details)
        super.init(server: server, awaited: awaited)
    }

    deinit {
        grpc_call_details_destroy(details)
        details.deallocate()
    }

    /// A client may send nothing before it has an answer.
    override var patience: Int { server.unknownMethodTicks }

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
        guard operation == .opening else {
            _ = takeAwaited(operation, succeeded: succeeded)
            return
        }
        guard succeeded else { return }
        UnknownMethodCall(server: server, awaited: awaited).post()
        if admit(pathSize: cgrpc_slice_length(&details.pointee.method)) { awaitMessage() }
    }

    override func messageCame(succeeded: Bool) {
        guard succeeded else { return refuse(.badMessage) }
        server.callRefused(.unknownMethod)
        var batch = cgrpc_batch()
        holdSent(status)
        cgrpc_batch_send_initial_metadata(&batch, nil, 0, 0)
        cgrpc_batch_send_status_from_server(&batch, storage, nil, 0)
        cgrpc_batch_recv_close_on_server(&batch, storage)
        do {
            try start(.send, &batch)
        } catch {
            cancel()
        }
    }

    override func messageDidNotCome() {
        refuse(.unknownMethod, status)
    }

    private var status: Status {
        // Cut: it is the client's, and goes back in a header.
        let method = details.pointee.method.withBytes { String(decoding: $0.prefix(200), as: UTF8.self) }
        return Status(code: .unimplemented, message: "unknown method \(method)")
    }
}
