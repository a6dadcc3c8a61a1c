import CHiredis
import Glibc
import Synchronization

/// A blocking connection to Redis, for one thread at a time. It is not `Sendable`, so the compiler checks that.
public final class RedisConnection {
    private let context: UnsafeMutablePointer<redisContext>
    private let interrupt: RedisInterrupt?

    /// Connects. `timeout` applies to connecting and to every later reply.
    ///
    /// An interrupt has no effect while it connects.
    ///
    /// Makes the process ignore SIGPIPE, because hiredis writes to connections that may be closed.
    public init(host: String, port: UInt16, timeout: Duration, interrupt: RedisInterrupt? = nil) throws(RedisError) {
        signal(SIGPIPE, SIG_IGN)
        let timeout = timeval(timeout)
        guard let context = redisConnectWithTimeout(host, Int32(port), timeout) else {
            throw RedisError(description: "no memory for a connection")
        }
        self.context = context
        self.interrupt = interrupt
        guard context.pointee.err == 0 else { throw connectionError }
        redisSetTimeout(context, timeout)
        redisEnableKeepAlive(context)
        guard interrupt?.add(context.pointee.fd) ?? true else { throw RedisError(description: "interrupted") }
    }

    deinit {
        interrupt?.remove(context.pointee.fd)
        redisFree(context)
    }

    /// Whether the peer has closed the connection, or it has failed. Does not block. Only for use when every command
    /// has its reply, because then nothing else can arrive.
    public var isClosedByPeer: Bool {
        var descriptor = pollfd(fd: context.pointee.fd, events: Int16(POLLIN), revents: 0)
        return context.pointee.err != 0 || poll(&descriptor, 1, 0) != 0
    }

    /// Queues a command. ``reply()`` sends it. Any number of commands may be in flight.
    public func queue(_ command: [String]) {
        var bytes: [UInt8] = []
        for argument in command { bytes.append(contentsOf: argument.utf8) }
        let counts = command.map(\.utf8.count)
        bytes.withUnsafeBytes { bytes in
            var next = bytes.assumingMemoryBound(to: CChar.self).baseAddress
            var arguments = counts.map { count in
                defer { next = next.map { $0 + count } }
                return next
            }
            // Fails only without memory.
            _ = redisAppendCommandArgv(context, Int32(arguments.count), &arguments, counts)
        }
    }

    /// Sends the queued commands, and waits for the reply to the first command that has none yet.
    ///
    /// - Throws: When the connection has failed, which is final. An error from Redis is a reply.
    public func reply() throws(RedisError) -> RedisReply {
        var pointer: UnsafeMutableRawPointer?
        guard redisGetReply(context, &pointer) == REDIS_OK, let pointer else { throw connectionError }
        defer { freeReplyObject(pointer) }
        return RedisReply(pointer.assumingMemoryBound(to: redisReply.self).pointee)
    }

    /// Sends a command and waits for its reply.
    /// - Throws: Also errors from Redis.
    @discardableResult
    public func call(_ command: [String]) throws(RedisError) -> RedisReply {
        queue(command)
        let reply = try reply()
        if case .error(let message) = reply { throw RedisError(serverError: message) }
        return reply
    }

    private var connectionError: RedisError {
        let message = withUnsafeBytes(of: context.pointee.errstr) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        // The system's message for a timeout is "Resource temporarily unavailable".
        let isTimeout = context.pointee.err == REDIS_ERR_IO && message == String(cString: strerror(EAGAIN))
        return RedisError(description: isTimeout ? "Redis does not answer" : message)
    }
}

extension timeval {
    fileprivate init(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        self.init(tv_sec: Int(seconds), tv_usec: suseconds_t(attoseconds / 1_000_000_000_000))
    }
}

/// Shuts down connections on which other threads are waiting. Thread-safe.
public final class RedisInterrupt: Sendable {
    private struct State {
        var descriptors: Set<Int32> = []
        var isTriggered = false
    }

    private let state = Mutex(State())

    /// For any number of connections.
    public init() {}

    /// Whether ``trigger()`` was called.
    public var isTriggered: Bool { state.withLock { $0.isTriggered } }

    /// Makes every connection fail, also those that are created later.
    public func trigger() {
        state.withLock { state in
            state.isTriggered = true
            for descriptor in state.descriptors { shutdown(descriptor, Int32(SHUT_RDWR)) }
        }
    }

    /// - Returns: `false` after ``trigger()``.
    func add(_ descriptor: Int32) -> Bool {
        state.withLock { state in
            if !state.isTriggered { state.descriptors.insert(descriptor) }
            return !state.isTriggered
        }
    }

    /// Must be called before the descriptor is closed, because the system may then reuse its number.
    func remove(_ descriptor: Int32) {
        state.withLock { _ = $0.descriptors.remove(descriptor) }
    }
}
