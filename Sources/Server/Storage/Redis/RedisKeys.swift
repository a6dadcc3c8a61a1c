import Messenger

/// The keys under which messages were added lately, beside a room in Redis: the script that looks them up and adds
/// messages, atomically.
///
/// `KEY:keys` is a hash from each key to its message's fingerprint and ID. `KEY:keys:age` is a sorted set of the keys
/// by the milliseconds of these IDs.
struct RedisKeys {
    private let limits: IdempotencyKeys.Limits
    private var clock: RetentionClock

    /// The code of the error if another message was added under the key.
    static let isTaken: Substring = "KEYTAKEN"

    /// - Parameters:
    ///   - latest: The time of the newest message.
    ///   - now: The time by Redis's clock.
    init(limits: IdempotencyKeys.Limits, latest: SendTime, now: SendTime) {
        self.limits = limits
        clock = RetentionClock(latest: latest, age: limits.age, wall: now)
    }

    /// The command, without the arguments of its `XADD`. Its reply is a message's ID.
    mutating func script(
        in room: String,
        _ key: IdempotencyKey,
        _ fingerprint: String,
        now: SendTime
    ) -> [String] {
        let cutoff = StreamID(RetentionPolicy.cutoff(now: clock.now(wall: now), age: limits.age)).milliseconds
        return ["EVAL", Self.script, "3", room, "\(room):keys", "\(room):keys:age"]
            + [key.text, fingerprint, "\(cutoff)", "\(limits.count)"]
    }

    /// It forgets at most a hundred keys at once, so that no sender waits long.
    private static let script = """
        local function forget(keys)
            if #keys == 0 then return end
            redis.call('HDEL', KEYS[2], unpack(keys))
            redis.call('ZREM', KEYS[3], unpack(keys))
        end
        forget(redis.call('ZRANGE', KEYS[3], '-inf', '(' .. ARGV[3], 'BYSCORE', 'LIMIT', 0, 100))
        local known = redis.call('HGET', KEYS[2], ARGV[1])
        if known then
            local fingerprint, id = known:match('^(%x+) (.+)$')
            if fingerprint == ARGV[2] then return id end
            return redis.error_reply('\(isTaken) another message has this key')
        end

        local id = redis.call('XADD', KEYS[1], unpack(ARGV, 5))
        redis.call('HSET', KEYS[2], ARGV[1], ARGV[2] .. ' ' .. id)
        redis.call('ZADD', KEYS[3], id:match('^%d+'), ARGV[1])
        local excess = redis.call('ZCARD', KEYS[3]) - tonumber(ARGV[4])
        if excess > 0 then forget(redis.call('ZRANGE', KEYS[3], 0, math.min(excess, 100) - 1)) end
        return id
        """
}
