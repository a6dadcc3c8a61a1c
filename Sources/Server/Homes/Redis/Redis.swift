import CHiredis

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

// hiredis for Swift, as much of it as a history needs. No pointer leaves this file.

/// Redis cannot be reached, or says no.
struct RedisError: Error, CustomStringConvertible {
    let description: String
}

/// What Redis answers.
indirect enum RedisReply: Sendable {
    case null
    case integer(Int64)
    case text(String)
    case list([RedisReply])
    case error(String)

    var text: String? { if case .text(let text) = self { text } else { nil } }
    var integer: Int64? { if case .integer(let integer) = self { integer } else { nil } }
    var list: [RedisReply]? { if case .list(let list) = self { list } else { nil } }
}

/// A connection to Redis that blocks.
///
/// `@unchecked`: each is used by one thread at a time.
final class RedisConnection: @unchecked Sendable {
    private let context: UnsafeMutablePointer<redisContext>

    /// Connects and signs in; no answer may take longer than `timeout`, from then on too.
    init(_ address: RedisAddress, timeout: Duration) throws(RedisError) {
        // hiredis writes to connections that may have ended, which would end the process.
        signal(SIGPIPE, SIG_IGN)
        let limit = timeval(timeout)
        guard let context = redisConnectWithTimeout(address.host, Int32(address.port), limit) else {
            throw RedisError(description: "no memory for a connection")
        }
        self.context = context
        guard context.pointee.err == 0 else { throw failure }
        redisSetTimeout(context, limit)
        redisEnableKeepAlive(context)
        if let credentials = address.credentials { try call(["AUTH"] + credentials) }
    }

    deinit {
        redisFree(context)
    }

    /// Queues a command, for ``reply()`` to send and to take its answer.
    func send(_ command: [String]) {
        var bytes: [UInt8] = []
        bytes.append(contentsOf: "*\(command.count)\r\n".utf8)
        for word in command {
            bytes.append(contentsOf: "$\(word.utf8.count)\r\n".utf8)
            bytes.append(contentsOf: word.utf8)
            bytes.append(contentsOf: "\r\n".utf8)
        }
        bytes.withUnsafeBytes { bytes in
            // Fails for want of memory alone.
            _ = redisAppendFormattedCommand(context, bytes.assumingMemoryBound(to: CChar.self).baseAddress, bytes.count)
        }
    }

    /// Sends what is queued, and waits for the answer to the first command that has none yet.
    ///
    /// - Throws: When the connection has failed, which it has for good. What Redis refuses is an answer.
    func reply() throws(RedisError) -> RedisReply {
        var pointer: UnsafeMutableRawPointer?
        guard redisGetReply(context, &pointer) == REDIS_OK, let pointer else { throw failure }
        defer { freeReplyObject(pointer) }
        return RedisReply(pointer.assumingMemoryBound(to: redisReply.self).pointee)
    }

    /// Sends a command and waits for its answer.
    /// - Throws: Also what Redis refuses.
    @discardableResult
    func call(_ command: [String]) throws(RedisError) -> RedisReply {
        send(command)
        let reply = try reply()
        if case .error(let words) = reply { throw RedisError(description: words) }
        return reply
    }

    private var failure: RedisError {
        let words = withUnsafeBytes(of: context.pointee.errstr) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        return RedisError(description: words)
    }
}

extension RedisReply {
    fileprivate init(_ reply: redisReply) {
        switch reply.type {
        case REDIS_REPLY_INTEGER: self = .integer(reply.integer)
        case REDIS_REPLY_STRING, REDIS_REPLY_STATUS: self = .text(Self.text(reply))
        case REDIS_REPLY_ERROR: self = .error(Self.text(reply))
        case REDIS_REPLY_ARRAY:
            let elements = UnsafeBufferPointer(start: reply.element, count: reply.elements)
            self = .list(elements.map { element in element.map { RedisReply($0.pointee) } ?? .null })
        default: self = .null
        }
    }

    private static func text(_ reply: redisReply) -> String {
        String(decoding: UnsafeRawBufferPointer(start: reply.str, count: reply.len), as: UTF8.self)
    }
}

extension timeval {
    fileprivate init(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        self.init(tv_sec: Int(seconds), tv_usec: suseconds_t(attoseconds / 1_000_000_000_000))
    }
}
