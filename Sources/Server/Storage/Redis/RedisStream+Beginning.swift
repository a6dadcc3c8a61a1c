import Messenger
import Redis

// From when on a room in Redis holds messages.

extension RedisStream {
    /// Sees to it that the room has begun, and takes the state of its stream.
    ///
    /// Writes only what is not there yet: so a server can also start at a replica.
    /// - Parameter lost: Nothing up to this time is held from now on.
    func begun(after lost: SendTime? = nil) throws(RedisError) -> StreamSnapshot {
        if lost == nil {
            let snapshot = try snapshot(after: .zero, atMost: 1)
            if let begun = snapshot.begun, snapshot.last >= StreamID(begun) { return snapshot }
        }
        try begin(after: lost)
        return try snapshot(after: .zero, atMost: 1)
    }

    /// - Throws: With the code `READONLY` if this is a replica.
    func checkIsPrimary() throws(RedisError) {
        // Removes nothing, but is a write, which Redis also takes when it is out of memory.
        try connection.call(["XTRIM", address.key, "MINID", "0"])
    }

    /// Says that nothing up to a time is held, unless a later time is said already; without a time, that the room begins
    /// now, if nothing is said. From then on all IDs are later than what is said.
    func begin(after time: SendTime? = nil) throws(RedisError) {
        let lost = time.map(Self.digits) ?? ""
        do throws(RedisError) {
            try connection.call(["EVAL", Self.beginning, "2", begunKey, address.key, lost])
        } catch {
            // Before 7, scripts had no flags in their first line.
            throw error.description.contains("compiling script") ? .tooOld : error
        }
    }

    /// Two things that Redis does not do by itself: it gives out IDs by its clock alone, also where another Redis, whose
    /// clock was ahead, had the room before; and it has no command to make a stream without an entry, which would count.
    ///
    /// It may use memory where Redis has none left: 19 bytes, without which readers are not told of a loss.
    ///
    /// Lua's numbers are too coarse for nanoseconds: times are 19 digits, which are compared as strings.
    private static let beginning = """
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
