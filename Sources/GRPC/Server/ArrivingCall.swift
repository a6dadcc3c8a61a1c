internal import CGRPC
internal import CGRPCTuning

/// A call on the server, of a known method or not: first a slot in which one may arrive, then that call. It counts from
/// the arrival of its headers on.
///
/// `@unchecked`: as ``Call``; what is added here is immutable, set once before there is a handler (`hasArrived`,
/// `connection`), or touched on the queue's thread alone (after that thread's end by one thread at a time, see
/// ``LateEvents``).
class ArrivingCall: Call, @unchecked Sendable {
    let server: Server
    /// Where the call is as long as its first message has not come.
    let awaited: AwaitedCalls
    /// The place there, and since which of its ticks.
    var awaitedIndex: Int?
    var awaitedSince = 0
    private(set) var connection: Connection?
    private var hasArrived = false
    /// It has been ended without a handler.
    private var isRefused = false
    /// ``awaitMessage()`` waits for its event.
    private var isAwaitingMessage = false
    /// The end is received, or has been.
    private(set) var isWatched = false

    init(server: Server, awaited: AwaitedCalls) {
        self.server = server
        self.awaited = awaited
        super.init(queue: awaited.queue)
    }

    deinit {
        guard hasArrived else { return }
        connection?.callEnded()
        if !isRefused { server.callEnded() }
    }

    override var peer: String { connection?.peer ?? super.peer }

    override var maxReceivedMessageSize: Int { server.maxReceivedMessageSize }

    var isPastDeadline: Bool { false }

    /// Whether its first message is still to come, if it is among the ``awaited`` ones.
    var needsMessage: Bool { true }

    /// How long it may be among the ``awaited`` ones, in their ticks.
    var patience: Int { server.firstMessageTicks }

    /// Counts the call, which has just arrived. `false` if it has been refused.
    /// - Parameter pathSize: The size of the method's name, if the server does not know it.
    final func admit(pathSize: Int = 0) -> Bool {
        hasArrived = true
        connection = storage.pointee.call.flatMap { server.acceptor.connection(of: $0) }
        guard let reason = server.callBegan(on: connection, metadataSize: metadataSize + pathSize) else { return true }
        // A client that does not wait is told so, whatever else there is.
        refuse(reason, isPastDeadline ? Status(code: .deadlineExceeded, message: "the call's time is up") : nil)
        return false
    }

    /// As HTTP/2 counts it, 32 bytes for each entry beside the text.
    private var metadataSize: Int {
        let array = storage.pointee.received_initial_metadata
        var size = cgrpc_call_authority_size(storage.pointee.call)
        for index in 0..<array.count {
            let entry = array.metadata + index
            withUnsafePointer(to: entry.pointee.key) { size += cgrpc_slice_length($0) + 32 }
            withUnsafePointer(to: entry.pointee.value) { size += cgrpc_slice_length($0) }
        }
        return size
    }

    /// Receives a message. The event is for ``messageCame(succeeded:)``, now or later.
    final func awaitMessage() {
        var batch = cgrpc_batch()
        cgrpc_batch_recv_message(&batch, storage)
        do {
            try start(.receiveMessage, &batch)
        } catch {
            return cancel()
        }
        if let succeeded = queue.takePostedEvent(of: Tag(tagPointer(.receiveMessage))) {
            messageCame(succeeded: succeeded)
        } else {
            isAwaitingMessage = true
            awaited.add(self)
        }
    }

    /// Whether the event is that of ``awaitMessage()``, which has been handled then.
    final func takeAwaited(_ operation: Operation, succeeded: Bool) -> Bool {
        guard operation == .receiveMessage, isAwaitingMessage else { return false }
        isAwaitingMessage = false
        awaited.remove(self)
        if !isRefused { messageCame(succeeded: succeeded) }
        return true
    }

    /// The first message has come, or will not come. `succeeded` is false if the core has ended the call because of it.
    func messageCame(succeeded: Bool) {}

    /// The first message has not come within the ``patience``.
    func messageDidNotCome() {
        refuse(.noMessage)
    }

    /// Ends the call with a status, and lets go of all that it holds, also where its client takes nothing.
    final func refuse(_ reason: RefusedCall.Reason, _ status: Status? = nil) {
        isRefused = true
        server.callEnded()
        server.callRefused(reason)
        // Without it the core would end the HTTP/2 stream a second time.
        watchForEnd()
        let status = status ?? reason.status
        let code = grpc_status_code(rawValue: Int32(status.code.rawValue))
        grpc_call_cancel_with_status(storage.pointee.call, code, status.message, nil)
    }

    /// The peer's end is the only prompt sign that it is gone.
    final func watchForEnd() {
        guard !isWatched else { return }
        isWatched = true
        var batch = cgrpc_batch()
        cgrpc_batch_recv_close_on_server(&batch, storage)
        // Fails only when the queue is shut down, with the call.
        try? start(.end, &batch)
    }
}
