import Messenger
import Redis

/// A room's stream in Redis, and the commands for it. Calls block.
///
/// The stream is at KEY. `KEY:begun` has the time after which the room holds messages.
struct RedisStream {
    let address: RedisAddress
    let connection: RedisConnection

    private var begunKey: String { "\(address.key):begun" }

    init(at host: RedisHost, interrupt: RedisInterrupt? = nil) throws(RedisError) {
        address = host.address
        connection = try host.connect(interrupt: interrupt)
        if let credentials = address.credentials { try authenticate(credentials) }
    }

    private func authenticate(_ credentials: [String]) throws(RedisError) {
        connection.queue(["AUTH"] + credentials)
        guard case .error(let message) = try connection.reply() else { return }
        // Only the code: a proxy's message might quote the password.
        let code = RedisError(serverError: message).code
        throw RedisError(description: "\(code): Redis refuses the user or the password")
    }

    // MARK: - Writing

    /// Queues an `XADD`, in a script if the message has a key. ``appendResult()`` receives the reply.
    /// - Parameter maxLength: The approximate number of messages that the stream keeps.
    func queueAppend(_ message: NewMessage, maxLength: String, _ keys: inout RedisKeys, now: SendTime) {
        let add = ["MAXLEN", "~", maxLength, "*", "a", message.author, "t", message.text]
        if let key = message.key {
            connection.queue(keys.script(in: address.key, key, message.fingerprint, now: now) + add)
        } else {
            connection.queue(["XADD", address.key] + add)
        }
    }

    /// The reply to the first queued append that has none yet: the message's time.
    func appendResult() throws(RedisError) -> Result<SendTime, RedisError> {
        switch try connection.reply() {
        case .text(let text):
            guard let time = StreamID(text)?.sendTime else {
                return .failure(
                    RedisError(description: "Redis's clock has stepped back too far: there is no time left")
                )
            }
            return .success(time)
        case .error(let message): return .failure(RedisError(serverError: message))
        default: return .failure(RedisError(description: "XADD returned no ID"))
        }
    }

    /// Removes messages before a time, approximately.
    func trim(before time: SendTime) throws(RedisError) {
        try connection.call(["XTRIM", address.key, "MINID", "~", "\(StreamID(time))"])
    }

    /// Removes all but the newest messages, approximately. For the start: the limit may have been higher before.
    func trim(toLength maxLength: Int) throws(RedisError) {
        try connection.call(["XTRIM", address.key, "MAXLEN", "~", "\(maxLength)", "LIMIT", "0"])
    }

    /// - Throws: With the code `READONLY` if this is a replica.
    func checkIsPrimary() throws(RedisError) {
        // A write that removes nothing, and that Redis accepts when it is out of memory.
        try connection.call(["XTRIM", address.key, "MINID", "0"])
    }

    /// Why Redis would refuse a message: with `OOM`, `READONLY`, `MISCONF` or another code; `nil` if it would not.
    func writeRefusal() throws(RedisError) -> RedisError? {
        // A script without flags may write, so Redis refuses it whenever it refuses writes.
        connection.queue(["EVAL", "#!lua\nreturn 0", "1", begunKey])
        return try connection.reply().serverError
    }

    // MARK: - Reading

    /// The time by Redis's clock.
    func now() throws(RedisError) -> SendTime {
        let parts = try connection.call(["TIME"]).list?.compactMap { $0.text.flatMap { Int64($0) } } ?? []
        guard parts.count == 2 else { throw RedisError(description: "Redis's reply to TIME has an unexpected form") }
        return .clockTime(seconds: parts[0], nanos: parts[1] * 1000)
    }

    /// The last message before a time, and the first one at or after it.
    func neighbors(of time: SendTime) throws(RedisError) -> (before: SendTime?, after: SendTime?) {
        let id = "\(StreamID(time))"
        let before = try connection.call(["XREVRANGE", address.key, "(\(id)", "-", "COUNT", "1"])
        let after = try connection.call(["XRANGE", address.key, id, "+", "COUNT", "1"])
        let ids = [before, after].map { reply in reply.list?.first.flatMap { StreamID(entry: $0) } }
        return (ids[0]?.time, ids[1]?.time)
    }

    /// The time of the message before the latest `count`; `nil` if there is none. Redis has no command for it, so this
    /// reads all of these messages, a page at a time.
    func position(beforeLast count: Int) throws(RedisError) -> SendTime? {
        var left = count
        var end = "+"
        while true {
            let limit = min(left, Self.positionPage) + 1
            let reply = try connection.call(["XREVRANGE", address.key, end, "-", "COUNT", "\(limit)"])
            guard let entries = reply.list, let last = entries.last.flatMap({ StreamID(entry: $0) }) else { return nil }
            // Readers get no other entries, so they would wait for one in vain.
            for message in entries.lazy.compactMap(StreamSnapshot.message) {
                if left == 0 { return message.sendTime }
                left -= 1
            }
            end = "(\(last)"
        }
    }

    private static let positionPage = 64

    /// Waits for an entry after an ID, or for the timeout.
    func waitForEntry(after last: StreamID, timeout: Duration) throws(RedisError) {
        let milliseconds = "\(Int(timeout / .milliseconds(1)))"
        let command = ["XREAD", "COUNT", "1", "BLOCK", milliseconds, "STREAMS", address.key, "\(last)"]
        try connection.call(command)
    }

    /// Reads the first entries after an ID and the state of the stream, atomically.
    /// - Parameter expected: An entry that should be in the stream.
    func snapshot(
        after last: StreamID,
        count: Int,
        expecting expected: StreamID? = nil
    ) throws(RedisError) -> StreamSnapshot {
        var commands = [
            ["MULTI"],
            ["XRANGE", address.key, "(\(last)", "+", "COUNT", "\(count)"],
            ["XINFO", "STREAM", address.key],
            ["GET", begunKey],
        ]
        if let expected { commands.append(["XRANGE", address.key, "\(expected)", "\(expected)"]) }
        commands.append(["EXEC"])
        for command in commands { connection.queue(command) }
        var replies: [RedisReply] = []
        for _ in commands { replies.append(try connection.reply()) }
        let errors = replies.compactMap(\.serverError)
        if errors.contains(where: { $0.code == "OOM" }) {
            return try scriptedSnapshot(after: last, count: count, expecting: expected)
        }
        if let error = errors.first { throw error }
        return try StreamSnapshot(replies.last ?? .null, count: count, expecting: expected)
    }

    /// The same by a read-only script, which costs Redis four times as much. At its `maxmemory` Redis refuses `MULTI`.
    private func scriptedSnapshot(
        after last: StreamID,
        count: Int,
        expecting expected: StreamID?
    ) throws(RedisError) -> StreamSnapshot {
        let arguments = ["(\(last)", "\(count)"] + (expected.map { ["\($0)"] } ?? [])
        let reply = try connection.call(["EVAL_RO", Self.snapshotScript, "2", address.key, begunKey] + arguments)
        return try StreamSnapshot(reply, count: count, expecting: expected)
    }

    private static let snapshotScript = """
        local reply = {
            redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', ARGV[2]),
            redis.pcall('XINFO', 'STREAM', KEYS[1]),
            redis.call('GET', KEYS[2])
        }
        if ARGV[3] then reply[4] = redis.call('XRANGE', KEYS[1], ARGV[3], ARGV[3]) end
        return reply
        """

    // MARK: - Beginning

    /// Creates the room if there is none, and takes a snapshot.
    ///
    /// Without `lost` it writes only what is missing, so that a server can also start at a replica.
    /// - Parameter lost: The room holds no message up to this time from now on.
    func begin(after lost: SendTime? = nil) throws(RedisError) -> StreamSnapshot {
        if lost == nil {
            let snapshot = try snapshot(after: .zero, count: 1)
            if let begun = snapshot.begun, snapshot.lastGeneratedID >= StreamID(begun) { return snapshot }
        }
        try setBegun(to: lost)
        return try snapshot(after: .zero, count: 1)
    }

    /// Sets `KEY:begun` to a time, unless it is later already; without a time, to now unless it is set. All later IDs
    /// are after it.
    func setBegun(to time: SendTime?) throws(RedisError) {
        let argument = time.map(Self.digits) ?? ""
        do throws(RedisError) {
            try connection.call(["EVAL", Self.beginScript, "2", begunKey, address.key, argument])
        } catch {
            // Redis before 7 cannot parse the flags in a script's first line.
            throw error.description.contains("compiling script") ? .redisIsTooOld : error
        }
    }

    /// Also does what Redis has no command for:
    /// - It makes later IDs start after `KEY:begun`. Redis assigns IDs by its clock alone, even if an earlier Redis
    ///   with a clock ahead had the room.
    /// - It creates a stream without an entry, which would count as added.
    ///
    /// It may allocate memory beyond `maxmemory`: 19 bytes, without which readers would not learn of a loss.
    ///
    /// Lua's numbers are too imprecise for nanoseconds. Times are 19 digits, compared as strings.
    private static let beginScript = """
        #!lua flags=allow-oom
        local begun = redis.call('GET', KEYS[1])
        if begun and (#begun ~= 19 or begun:find('%D')) then
            return redis.error_reply('WRONGTYPE there is no time in KEY:begun')
        end
        local first = ARGV[1]
        if first == '' then
            local now = redis.call('TIME')
            first = begun or string.format('%010d%06d000', tonumber(now[1]), tonumber(now[2]))
        end
        if not begun or begun < first then
            begun = first
            redis.call('SET', KEYS[1], begun)
        end

        if redis.call('EXISTS', KEYS[2]) == 0 then
            redis.call('XGROUP', 'CREATE', KEYS[2], 'begun', '$', 'MKSTREAM')
            redis.call('XGROUP', 'DESTROY', KEYS[2], 'begun')
        end
        local last = '0-0'
        local stream = redis.call('XINFO', 'STREAM', KEYS[2])
        for index = 1, #stream, 2 do
            if stream[index] == 'last-generated-id' then last = stream[index + 1] end
        end
        local dash = last:find('-')
        local milliseconds, number = tonumber(last:sub(1, dash - 1)), tonumber(last:sub(dash + 1))
        local begunMilliseconds, begunNumber = tonumber(begun:sub(1, 13)), tonumber(begun:sub(14))
        if milliseconds < begunMilliseconds or (milliseconds == begunMilliseconds and number < begunNumber) then
            redis.call('XSETID', KEYS[2], string.format('%d-%d', begunMilliseconds, begunNumber))
        end
        """

    private static func digits(_ time: SendTime) -> String {
        let digits = "\(max(0, time.nanosecondsSinceEpoch))"
        return String(repeating: "0", count: 19 - digits.count) + digits
    }
}

/// A room's stream that connects when it is first used, and reconnects after the connection was closed.
struct ReconnectingStream {
    private let host: RedisHost
    private let interrupt: RedisInterrupt
    private var stream: RedisStream?

    init(_ host: RedisHost, _ interrupt: RedisInterrupt) {
        self.host = host
        self.interrupt = interrupt
    }

    /// Blocks while it connects.
    mutating func connected() throws(RedisError) -> RedisStream {
        if let stream, !stream.connection.isClosedByPeer { return stream }
        let stream = try RedisStream(at: host, interrupt: interrupt)
        self.stream = stream
        return stream
    }

    mutating func disconnect() { stream = nil }
}
