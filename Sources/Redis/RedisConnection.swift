import CHiredis
import Glibc

/// A connection to Redis that blocks. Used by one thread at a time: it is not `Sendable`, so the compiler sees to it.
public final class RedisConnection {
    private let context: UnsafeMutablePointer<redisContext>
    private let interrupt: RedisInterrupt?

    /// Connects; no answer may take longer than `timeout`, from then on too.
    ///
    /// While it connects, an interrupt is not noticed.
    ///
    /// From then on the process ignores SIGPIPE: hiredis writes to connections that may have ended.
    public init(host: String, port: UInt16, timeout: Duration, interrupt: RedisInterrupt? = nil) throws(RedisError) {
        signal(SIGPIPE, SIG_IGN)
        let limit = timeval(timeout)
        guard let context = redisConnectWithTimeout(host, Int32(port), limit) else {
            throw RedisError(description: "no memory for a connection")
        }
        self.context = context
        self.interrupt = interrupt
        guard context.pointee.err == 0 else { throw failure }
        redisSetTimeout(context, limit)
        redisEnableKeepAlive(context)
        guard interrupt?.add(context.pointee.fd) ?? true else { throw RedisError(description: "interrupted") }
    }

    deinit {
        interrupt?.remove(context.pointee.fd)
        redisFree(context)
    }

    /// Whether it can be seen, without waiting, that the other side has ended the connection. For when all answers have
    /// been taken: there is nothing else to read then.
    public var hasEnded: Bool {
        var descriptor = pollfd(fd: context.pointee.fd, events: Int16(POLLIN), revents: 0)
        return context.pointee.err != 0 || poll(&descriptor, 1, 0) != 0
    }

    /// Queues a command, for ``reply()`` to send and to take its answer. Any number of them may be on their way.
    public func send(_ command: [String]) {
        var bytes: [UInt8] = []
        for word in command { bytes.append(contentsOf: word.utf8) }
        let counts = command.map(\.utf8.count)
        bytes.withUnsafeBytes { bytes in
            var next = bytes.assumingMemoryBound(to: CChar.self).baseAddress
            var words = counts.map { count in
                defer { next = next.map { $0 + count } }
                return next
            }
            // Fails for want of memory alone.
            _ = redisAppendCommandArgv(context, Int32(words.count), &words, counts)
        }
    }

    /// Sends what is queued, and waits for the answer to the first command that has none yet.
    ///
    /// - Throws: When the connection has failed, which it has for good. What Redis refuses is an answer.
    public func reply() throws(RedisError) -> RedisReply {
        var pointer: UnsafeMutableRawPointer?
        guard redisGetReply(context, &pointer) == REDIS_OK, let pointer else { throw failure }
        defer { freeReplyObject(pointer) }
        return RedisReply(pointer.assumingMemoryBound(to: redisReply.self).pointee)
    }

    /// Sends a command and waits for its answer.
    /// - Throws: Also what Redis refuses.
    @discardableResult
    public func call(_ command: [String]) throws(RedisError) -> RedisReply {
        send(command)
        let reply = try reply()
        if case .error(let words) = reply { throw RedisError(refusal: words) }
        return reply
    }

    private var failure: RedisError {
        let words = withUnsafeBytes(of: context.pointee.errstr) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        // What the system says when a time limit has passed, which tells nobody anything.
        let isLate = context.pointee.err == REDIS_ERR_IO && words == String(cString: strerror(EAGAIN))
        if isLate { return RedisError(description: "Redis does not answer") }
        return RedisError(description: words)
    }
}

extension timeval {
    fileprivate init(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        self.init(tv_sec: Int(seconds), tv_usec: suseconds_t(attoseconds / 1_000_000_000_000))
    }
}
