import GRPC
import Messenger
import Redis

/// A room's stream in Redis, and the commands for it.
///
/// Beside the stream at KEY there is `KEY:begun`, the time after which the room holds messages.
struct RedisStream {
    let address: RedisAddress
    let connection: RedisConnection

    /// Connects. Blocks.
    init(at host: RedisHost, interrupt: RedisInterrupt? = nil) throws(RedisError) {
        address = host.address
        connection = try host.connect(interrupt: interrupt)
        if let credentials = address.credentials { try authenticate(credentials) }
    }

    /// The code alone is said of an error: what stands between us and Redis might quote the password.
    private func authenticate(_ credentials: [String]) throws(RedisError) {
        connection.send(["AUTH"] + credentials)
        guard case .error(let words) = try connection.reply() else { return }
        let code = RedisError(refusal: words).code
        throw RedisError(description: "\(code): Redis refuses the user or the password")
    }

    var begunKey: String { "\(address.key):begun" }

    // MARK: - Adding

    /// Queues the adding of a message to a stream of `most` messages; `addedTime()` takes the answer.
    func add(author: String, text: String, keeping most: String) {
        connection.send(["XADD", address.key, "MAXLEN", "~", most, "*", "a", author, "t", text])
    }

    /// The time of the message that was added first of those whose answers have not been taken.
    func addedTime() throws(RedisError) -> Result<SendTime, RedisError> {
        switch try connection.reply() {
        case .text(let text):
            guard let time = StreamID(text)?.sendTime else {
                return .failure(
                    RedisError(description: "Redis's clock has stepped back too far: there is no time left")
                )
            }
            return .success(time)
        case .error(let words): return .failure(RedisError(refusal: words))
        default: return .failure(RedisError(description: "XADD gave no ID"))
        }
    }

    /// Lets go of messages up to a time.
    func trim(before time: SendTime) throws(RedisError) {
        try connection.call(["XTRIM", address.key, "MINID", "~", "\(StreamID(time))"])
    }

    /// Lets go of all but the newest messages, about: the limit may have been greater before.
    func trim(toMost messages: Int) throws(RedisError) {
        try connection.call(["XTRIM", address.key, "MAXLEN", "~", "\(messages)", "LIMIT", "0"])
    }

    /// The last message before a time, and the first one that is not.
    func neighbors(of time: SendTime) throws(RedisError) -> (before: SendTime?, after: SendTime?) {
        let id = "\(StreamID(time))"
        let before = try connection.call(["XREVRANGE", address.key, "(\(id)", "-", "COUNT", "1"])
        let after = try connection.call(["XRANGE", address.key, id, "+", "COUNT", "1"])
        return (before.list?.first.flatMap(Self.id)?.time, after.list?.first.flatMap(Self.id)?.time)
    }

    // MARK: - Following

    /// Waits for a message after one, for a while.
    func wait(after last: StreamID, for duration: Duration) throws(RedisError) {
        let milliseconds = "\(Int(duration / .milliseconds(1)))"
        let command = ["XREAD", "COUNT", "1", "BLOCK", milliseconds, "STREAMS", address.key, "\(last)"]
        try connection.call(command)
    }

    /// The first messages after one, and the state of the stream, as of one moment.
    /// - Parameter known: An entry that should be there.
    func snapshot(
        after last: StreamID,
        atMost count: Int,
        knowing known: StreamID? = nil
    ) throws(RedisError) -> StreamSnapshot {
        var commands = [
            ["MULTI"],
            ["XRANGE", address.key, "(\(last)", "+", "COUNT", "\(count)"],
            ["XINFO", "STREAM", address.key],
            ["GET", begunKey],
        ]
        if let known { commands.append(["XRANGE", address.key, "\(known)", "\(known)"]) }
        commands.append(["EXEC"])
        for command in commands { connection.send(command) }
        var answers: [RedisReply] = []
        for _ in commands { answers.append(try connection.reply()) }
        let refusals = answers.compactMap(\.refusal)
        if refusals.contains(where: { $0.code == "OOM" }) {
            return try scriptedSnapshot(after: last, atMost: count, knowing: known)
        }
        if let refusal = refusals.first { throw refusal }
        return try Self.snapshot(answers.last ?? .null, count, knowing: known)
    }

    /// The same by a script, which costs Redis four times as much: at its `maxmemory` it refuses all within MULTI.
    private func scriptedSnapshot(
        after last: StreamID,
        atMost count: Int,
        knowing known: StreamID?
    ) throws(RedisError) -> StreamSnapshot {
        let arguments = ["(\(last)", "\(count)"] + (known.map { ["\($0)"] } ?? [])
        let command = ["EVAL_RO", Self.reading, "2", address.key, begunKey] + arguments
        return try Self.snapshot(try connection.call(command), count, knowing: known)
    }

    private static let reading = """
        local reply = {
            redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', ARGV[2]),
            redis.pcall('XINFO', 'STREAM', KEYS[1]),
            redis.call('GET', KEYS[2])
        }
        if ARGV[3] then reply[4] = redis.call('XRANGE', KEYS[1], ARGV[3], ARGV[3]) end
        return reply
        """

    private static func snapshot(
        _ answer: RedisReply,
        _ count: Int,
        knowing known: StreamID?
    ) throws(RedisError) -> StreamSnapshot {
        guard let parts = answer.list, parts.count == (known == nil ? 3 : 4) else { throw .unexpected("EXEC") }
        var snapshot = try Self.snapshot(entries: parts[0], state: parts[1], begun: parts[2], count)
        if let known, parts[3] == .list([]) { snapshot.lacks = known }
        return snapshot
    }

    private static func snapshot(
        entries: RedisReply,
        state: RedisReply,
        begun: RedisReply,
        _ count: Int
    ) throws(RedisError) -> StreamSnapshot {
        guard let entries = entries.list else { throw entries.refusal ?? .unexpected("XRANGE") }
        if let refusal = begun.refusal { throw refusal }
        let messages = entries.map(message)
        var fields: [String: RedisReply] = [:]
        switch state {
        case .list(let list):
            for index in stride(from: 0, to: list.count - 1, by: 2) { fields[list[index].text ?? ""] = list[index + 1] }
            guard fields["entries-added"] != nil else { throw .tooOld }
        // There is no stream yet.
        case .error(let words) where words.contains("no such key"): break
        default: throw state.refusal ?? .unexpected("XINFO")
        }
        return StreamSnapshot(
            messages: messages.compactMap(\.self),
            entries: entries.count,
            lastEntry: entries.last.flatMap(id),
            foreign: messages.firstIndex(of: nil).flatMap { entries[$0].list?.first?.text },
            isWhole: entries.count < count,
            added: fields["entries-added"]?.integer ?? 0,
            length: fields["length"]?.integer ?? 0,
            first: fields["first-entry"].flatMap(id),
            newest: fields["last-entry"].flatMap(id),
            lastRemoved: fields["max-deleted-entry-id"]?.text.flatMap { StreamID($0) } ?? .zero,
            last: fields["last-generated-id"]?.text.flatMap { StreamID($0) } ?? .zero,
            begun: begun.text.flatMap { Int64($0) }.map { SendTime(nanosecondsSinceEpoch: $0) }
        )
    }

    private static func id(_ entry: RedisReply) -> StreamID? { entry.list?.first?.text.flatMap { StreamID($0) } }

    /// `[ID, ["a", author, "t", text]]`; `nil` for what somebody else has added, and what has no time.
    private static func message(_ entry: RedisReply) -> Message? {
        guard
            let time = id(entry)?.sendTime,
            let parts = entry.list, parts.count == 2,
            let fields = parts[1].list, fields.count == 4,
            fields[0].text?.hasBytes(of: "a") == true, let author = fields[1].text,
            fields[2].text?.hasBytes(of: "t") == true, let text = fields[3].text
        else { return nil }
        return Message(author: author, text: text, sendTime: time)
    }
}

extension RedisReply {
    /// What Redis refuses, if it does.
    fileprivate var refusal: RedisError? {
        if case .error(let words) = self { RedisError(refusal: words) } else { nil }
    }
}

extension RedisError {
    static var tooOld: RedisError { RedisError(description: "Redis 7 or later is needed") }

    fileprivate static func unexpected(_ command: String) -> RedisError {
        RedisError(description: "Redis's answer to \(command) has another form")
    }
}
