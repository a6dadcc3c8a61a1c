internal import CGRPC

/// A call that the server ended without calling a handler. Strangers can cause many of them, so interceptors see them.
public struct RefusedCall: Sendable, Hashable {
    /// Why the server refused the call.
    public enum Reason: String, Sendable, CaseIterable {
        /// The server does not have this method.
        case unknownMethod
        /// More than ``ServerOptions/maxConcurrentCalls`` calls are open.
        case tooManyCalls
        /// The connection has too many calls, see ``ServerOptions/maxConcurrentStreamsPerConnection``. The server
        /// closes it.
        case tooManyCallsOnConnection
        /// The metadata exceeds ``ServerOptions/maxMetadataSize``.
        case tooMuchMetadata
        /// No message arrived within ``ServerOptions/firstMessageTimeout``.
        case noMessage
        /// The first message cannot be decompressed, or exceeds ``ServerOptions/maxReceiveMessageSize``.
        case badMessage
        /// The server is shutting down.
        case shuttingDown
    }

    /// Why the server refused the call.
    public let reason: Reason
}

extension RefusedCall.Reason {
    /// The status for the client.
    var status: Status {
        switch self {
        case .unknownMethod: Status(code: .unimplemented, message: "unknown method")
        case .tooManyCalls: Status(code: .resourceExhausted, message: "too many calls are in progress")
        case .tooManyCallsOnConnection:
            Status(code: .resourceExhausted, message: "too many calls are in progress on this connection")
        case .tooMuchMetadata: Status(code: .resourceExhausted, message: "the call has too much metadata")
        case .noMessage: Status(code: .deadlineExceeded, message: "the request message did not come in time")
        case .badMessage: Status(code: .internal, message: "the request message cannot be read")
        case .shuttingDown: Status(code: .unavailable, message: "the server is shutting down")
        }
    }
}

/// Answers calls of methods that the server does not have. The core would keep them open forever, without a limit.
///
/// It receives and drops the first message before it answers. Proxies that are still sending the message report
/// another error otherwise.
///
/// `@unchecked`: as ``ArrivingCall``. `details` belongs to the request operation until its event.
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

    /// A client may wait for an answer before it sends anything.
    override var patience: Int { server.unknownMethodTicks }

    /// Waits for such a call. Does nothing once the server is shutting down.
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
        // The client chose the name, and can repeat it for a few bytes.
        let method = String(copying: details.pointee.method).cut(toEncodedSize: 200)
        return Status(code: .unimplemented, message: "unknown method \(method)")
    }
}
