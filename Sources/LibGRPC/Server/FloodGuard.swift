internal import CGRPC
internal import Glibc
internal import Synchronization

/// Ends connections that keep a queue's thread inside the core.
///
/// The core parses all that a peer sends before it announces any of the calls. A peer that never stops sending would
/// therefore pass every limit. So a thread of the guard wakes up whenever a queue's thread has used some CPU time. It
/// sleeps while the server is idle.
final class FloodGuard: Sendable {
    private let stopSignal = Mutex<Int32?>(nil)

    /// Starts the guard's thread. The queues must not end before this returns, and ``stop()`` must follow.
    func start(watching queues: [CompletionQueue], of acceptor: Acceptor) throws(SystemError) {
        let (started, signal) = (cgrpc_signal_create(), cgrpc_signal_create())
        do throws(SystemError) {
            guard started >= 0, signal >= 0 else { throw SystemError(doing: "watching for floods", errno: errno) }
            try Thread.start(named: "grpc-guard") {
                var watch = FloodWatch(queues: queues)
                watch.startTimers()
                cgrpc_signal_send(started)
                watch.run(until: signal) { acceptor.endFloods() }
                close(signal)
            }
        } catch {
            close(started)
            close(signal)
            throw error
        }
        stopSignal.withLock { $0 = signal }
        // The thread finds the queues' threads while these are there.
        var entry = pollfd(fd: started, events: Int16(POLLIN), revents: 0)
        while poll(&entry, 1, -1) < 0 {}
        close(started)
    }

    func stop() {
        if let signal = stopSignal.withLock({ $0.take() }) { cgrpc_signal_send(signal) }
    }
}

/// What the guard's thread has seen of the queues' threads.
private struct FloodWatch {
    private let queues: [CompletionQueue]
    private var timers: [timer_t] = []
    private var expirations: Int32 = -1
    /// For each queue, when its thread last used up ``step``, in which poll, and how often in a row in that one.
    private var seen: [(time: ContinuousClock.Instant, poll: UInt, count: Int)?]

    /// CPU time in ms after which the guard looks at a thread.
    private static let step: UInt64 = 20
    /// One poll may use up this many steps. A burst of 1,000 calls with 4 KB of metadata each can use more than 15 ms.
    private static let limit = 3
    /// A poll that takes longer for a step mostly waits.
    private static let pause = Duration.milliseconds(500)

    init(queues: [CompletionQueue]) {
        self.queues = queues
        seen = queues.map { _ in nil }
    }

    /// For the calling thread. The queues' threads must not end meanwhile.
    mutating func startTimers() {
        expirations = cgrpc_timers_open()
        for (index, queue) in queues.enumerated() {
            var timer: timer_t?
            let isStarted = queue.withThread { cgrpc_timer_start(&timer, $0, Self.step, Int32(index)) }
            if let timer { timers.append(timer) }
            if !isStarted { CoreLog.error("the system has no timer left: floods on a queue go unnoticed") }
        }
    }

    /// Calls `endFloods` as long as a thread is stuck in a poll. Ends the timers.
    mutating func run(until stopSignal: Int32, endFloods: () -> Void) {
        var polled = [stopSignal, expirations].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        while poll(&polled, nfds_t(polled.count), -1) < 0 || polled[0].revents == 0 {
            while case let index = Int(cgrpc_timers_next(expirations)), seen.indices.contains(index) {
                if isStuck(index) { endFloods() }
            }
        }
        for timer in timers { timer_delete(timer) }
        close(expirations)
    }

    /// A queue's thread has used up a step.
    private mutating func isStuck(_ index: Int) -> Bool {
        let now = ContinuousClock.now
        guard let poll = queues[index].currentPoll else {
            seen[index] = nil
            return false
        }
        var count = 0
        if let before = seen[index], before.poll == poll, now - before.time < Self.pause { count = before.count + 1 }
        seen[index] = (now, poll, count)
        return count >= Self.limit
    }
}

extension Acceptor {
    /// More than a client may send before HTTP/2's flow control stops it, headers aside.
    private static let unreadBytes: Int32 = 96 << 10

    /// Ends the connections with much unread input.
    fileprivate func endFloods() {
        for connection in all where cgrpc_unread_bytes(connection.socket.descriptor) > Self.unreadBytes {
            guard connection.socket.isOpen else { continue }
            connection.socket.disconnect()
            // Otherwise the core continues to read.
            cgrpc_drop_unread_bytes(connection.socket.descriptor)
        }
    }
}
