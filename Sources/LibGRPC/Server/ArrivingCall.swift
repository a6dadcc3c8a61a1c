internal import CGRPC
internal import CGRPCTuning
internal import Synchronization

/// A call on the server, of a known method or not. The object exists before its call does: it is a slot for one call
/// to arrive in. A call counts against the limits from the arrival of its headers.
///
/// `@unchecked`: as ``Call``. What this class adds is immutable, set once before there is a handler (`hasArrived`,
/// `connection`), or used on the queue's thread only. After that thread has ended, ``LateEvents`` allows one thread at
/// a time.
class ArrivingCall: Call, @unchecked Sendable {
    let server: Server
    /// The list that holds the call while its first message is missing.
    let awaited: AwaitedCalls
    /// The position in that list, and the list's tick at which the call joined it.
    var awaitedIndex: Int?
    var awaitedSince = 0
    private(set) var connection: Connection?
    private var hasArrived = false
    /// The server ended the call without a handler.
    private var isRefused = false
    /// The receive that ``awaitMessage()`` started is in flight.
    private var isAwaitingMessage = false
    /// The operation that reports the call's end has been started.
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

    /// Whether a call in the ``awaited`` list still needs its first message.
    var needsMessage: Bool { true }

    /// How many ticks the first message may take.
    var patience: Int { server.firstMessageTicks }

    /// Counts the call against the limits. Returns `false` if it exceeds one; the call is refused then.
    /// - Parameter pathSize: The size of the method's name, for a method that the server does not know.
    final func admit(pathSize: Int = 0) -> Bool {
        hasArrived = true
        connection = storage.pointee.call.flatMap { server.acceptor.connection(of: $0) }
        guard let reason = server.callBegan(on: connection, metadataSize: metadataSize + pathSize) else { return true }
        // After the deadline the client expects DEADLINE_EXCEEDED, whatever the limit.
        refuse(reason, isPastDeadline ? Status(code: .deadlineExceeded, message: "the deadline has passed") : nil)
        return false
    }

    /// The size as HTTP/2 counts it: 32 bytes per entry on top of key and value.
    private var metadataSize: Int {
        let array = storage.pointee.received_initial_metadata
        var size = server.group.core.isKnown ? cgrpc_call_authority_size(storage.pointee.call) : 0
        for index in 0..<array.count {
            let entry = array.metadata + index
            withUnsafePointer(to: entry.pointee.key) { size += cgrpc_slice_length($0) + 32 }
            withUnsafePointer(to: entry.pointee.value) { size += cgrpc_slice_length($0) }
        }
        return size
    }

    /// Receives the first message. Calls ``messageCame(succeeded:)`` now if it is there already, else at its event.
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

    /// Handles the event of ``awaitMessage()``. Returns `false` for any other event.
    final func takeAwaited(_ operation: Operation, succeeded: Bool) -> Bool {
        guard operation == .receiveMessage, isAwaitingMessage else { return false }
        isAwaitingMessage = false
        awaited.remove(self)
        if !isRefused { messageCame(succeeded: succeeded) }
        return true
    }

    /// Called when the first message has arrived. `succeeded` is `false` if the core ended the call because of it.
    func messageCame(succeeded: Bool) {}

    /// Called when the first message has not arrived within ``patience`` ticks.
    func messageDidNotCome() {
        refuse(.noMessage)
    }

    /// Ends the call with a status and frees what it holds, even if its client reads nothing.
    final func refuse(_ reason: RefusedCall.Reason, _ status: Status? = nil) {
        isRefused = true
        server.callEnded()
        server.callRefused(reason)
        // Otherwise the core resets the HTTP/2 stream twice.
        watchForEnd()
        let status = status ?? reason.status
        let code = grpc_status_code(rawValue: Int32(status.code.rawValue))
        grpc_call_cancel_with_status(storage.pointee.call, code, status.sentMessage, nil)
    }

    /// Starts the operation that reports the call's end. Nothing else reports a client that is gone in time.
    final func watchForEnd() {
        guard !isWatched else { return }
        isWatched = true
        var batch = cgrpc_batch()
        cgrpc_batch_recv_close_on_server(&batch, storage)
        // Fails only if the queue is shut down, which ends the call too.
        try? start(.end, &batch)
    }
}

/// The calls on one completion queue that still wait for their first message. Ends those that wait too long.
///
/// Time is counted in ticks of the server, so no call needs to read a clock.
///
/// `@unchecked`: the fields of the queue's thread are used on that thread only.
final class AwaitedCalls: TurnWork, @unchecked Sendable {
    let queue: CompletionQueue
    /// The number of calls, for other threads.
    private let count = Atomic<Int>(0)
    /// Set when the server shuts down: refuse all waiting calls at the next tick.
    private let isEnding = Atomic<Bool>(false)

    // The fields of the queue's thread.
    private var calls: [ArrivingCall] = []
    private var now = 0

    init(queue: CompletionQueue) {
        self.queue = queue
    }

    /// Called once per tick, from any thread.
    func tick(isEnding: Bool) {
        if isEnding { self.isEnding.store(true, ordering: .relaxed) }
        if count.load(ordering: .relaxed) > 0 { queue.perform(self) }
    }

    func add(_ call: ArrivingCall) {
        call.awaitedIndex = calls.count
        call.awaitedSince = now
        calls.append(call)
        count.store(calls.count, ordering: .relaxed)
    }

    func remove(_ call: ArrivingCall) {
        guard let index = call.awaitedIndex else { return }
        call.awaitedIndex = nil
        let last = calls.removeLast()
        count.store(calls.count, ordering: .relaxed)
        guard last !== call else { return }
        calls[index] = last
        last.awaitedIndex = index
    }

    func run() {
        now += 1
        let isEnding = isEnding.load(ordering: .relaxed)
        for call in calls where isEnding || now - call.awaitedSince > call.patience {
            remove(call)
            guard call.needsMessage else { continue }
            if isEnding { call.refuse(.shuttingDown) } else { call.messageDidNotCome() }
        }
    }
}
