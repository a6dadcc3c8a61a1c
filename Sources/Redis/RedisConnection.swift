import CHiredis
import Glibc
import Synchronization

/// A blocking connection to Redis, for one thread at a time. It is not `Sendable`, so the compiler checks that.
public final class RedisConnection {
    private let context: UnsafeMutablePointer<redisContext>
    private let interrupt: RedisInterrupt?
    /// With TLS, hiredis only connects, formats commands and parses replies.
    private var session: TLSSession?
    /// Commands that were not sent yet, with TLS.
    private var output: [UInt8] = []

    /// Connects. `timeout` applies to connecting and to every later reply.
    ///
    /// An interrupt has no effect while it connects.
    ///
    /// Makes the process ignore SIGPIPE, because hiredis writes to connections that may be closed.
    ///
    /// - Parameter tls: What to trust, and the name that the certificate must have; `nil` for no TLS.
    public init(
        host: String,
        port: UInt16,
        timeout: Duration,
        interrupt: RedisInterrupt? = nil,
        tls: (RedisTLS, name: String)? = nil
    ) throws(RedisError) {
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
        if let (tls, name) = tls { session = try TLSSession(tls, on: context.pointee.fd, name: name) }
    }

    deinit {
        interrupt?.remove(context.pointee.fd)
        redisFree(context)
    }

    /// Whether the peer has closed the connection, or it has failed. Does not block. Only for use when every command
    /// has its reply, because then nothing else can arrive.
    public var isClosedByPeer: Bool {
        var descriptor = pollfd(fd: context.pointee.fd, events: Int16(POLLIN), revents: 0)
        return context.pointee.err != 0 || session?.hasFailed == true || poll(&descriptor, 1, 0) != 0
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
            // Both fail only without memory.
            guard session != nil else {
                _ = redisAppendCommandArgv(context, Int32(arguments.count), &arguments, counts)
                return
            }
            var formatted: UnsafeMutablePointer<CChar>?
            let length = redisFormatCommandArgv(&formatted, Int32(arguments.count), &arguments, counts)
            if length > 0 { output += UnsafeRawBufferPointer(start: formatted, count: Int(length)) }
            redisFreeCommand(formatted)
        }
    }

    /// Sends the queued commands, and waits for the reply to the first command that has none yet.
    ///
    /// - Throws: When the connection has failed, which is final. An error from Redis is a reply.
    public func reply() throws(RedisError) -> RedisReply {
        var pointer: UnsafeMutableRawPointer?
        if let session {
            try session.write(output)
            output.removeAll(keepingCapacity: output.capacity <= 1 << 20)
            while true {
                guard redisGetReplyFromReader(context, &pointer) == REDIS_OK else { throw connectionError }
                if pointer != nil { break }
                try session.read { redisReaderFeed(context.pointee.reader, $0, $1) }
            }
        } else if redisGetReply(context, &pointer) != REDIS_OK {
            throw connectionError
        }
        guard let pointer else { throw connectionError }
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
        let isTimeout = context.pointee.err == REDIS_ERR_IO && message == String(cString: strerror(EAGAIN))
        return isTimeout ? .noAnswer : RedisError(description: message)
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
