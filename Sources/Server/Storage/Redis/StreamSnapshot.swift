import LibGRPC
import Messenger
import Redis

/// The ID of an entry in a Redis stream, which represents the `sendTime` of its message.
///
/// Redis assigns strictly increasing IDs: milliseconds of its clock, and a sequence number within the millisecond. The
/// time has the same milliseconds, and the sequence number as nanoseconds below them. So both have the same order.
struct StreamID: Sendable, Hashable, Comparable, CustomStringConvertible {
    var milliseconds: UInt64
    var sequence: UInt64

    static let zero = StreamID(milliseconds: 0, sequence: 0)

    private static let perMillisecond: UInt64 = 1_000_000
    /// The last millisecond whose nanoseconds all fit into a `SendTime`.
    private static let lastMillisecond = UInt64(Int64.max) / perMillisecond - 1

    init(milliseconds: UInt64, sequence: UInt64) {
        self.milliseconds = milliseconds
        self.sequence = sequence
    }

    /// Parses `1700000000000-7`.
    init?(_ text: String) {
        // Bytes cost a tenth of characters, and every server parses the ID of every message.
        guard let dash = text.utf8.firstIndex(of: UInt8(ascii: "-")),
            let milliseconds = UInt64(text[..<dash]),
            let sequence = UInt64(text[text.utf8.index(after: dash)...])
        else { return nil }
        self.init(milliseconds: milliseconds, sequence: sequence)
    }

    /// The last ID whose time is not later than `time`.
    init(_ time: SendTime) {
        let nanoseconds = UInt64(max(0, time.nanosecondsSinceEpoch))
        self.init(milliseconds: nanoseconds / Self.perMillisecond, sequence: nanoseconds % Self.perMillisecond)
    }

    /// `nil` from the millionth message of a millisecond on: no time is left for it.
    var sendTime: SendTime? { StreamID(time) == self ? time : nil }

    /// The time of this ID, or the last representable one before it.
    var time: SendTime {
        let isTooLate = milliseconds > Self.lastMillisecond
        let sequence = isTooLate ? Self.perMillisecond - 1 : min(sequence, Self.perMillisecond - 1)
        let nanoseconds = min(milliseconds, Self.lastMillisecond) * Self.perMillisecond + sequence
        return SendTime(nanosecondsSinceEpoch: Int64(nanoseconds))
    }

    var description: String { "\(milliseconds)-\(sequence)" }

    static func < (left: StreamID, right: StreamID) -> Bool {
        (left.milliseconds, left.sequence) < (right.milliseconds, right.sequence)
    }
}

/// A room's stream at one moment: its next messages, and what shows whether messages are missing.
struct StreamSnapshot: Sendable {
    /// The messages after the requested ID, up to the requested number.
    var messages: [Message]
    /// How many entries were read. More than messages if some entries are not messages.
    var entryCount: Int
    /// The last entry that was read.
    var lastReadID: StreamID?
    /// The first entry that was read and is not a message.
    var invalidEntry: String?
    /// Whether fewer entries were read than requested, so there are no more.
    var isComplete: Bool
    /// How many entries were ever added to the stream. Redis calls it `entries-added`.
    var entriesAdded: Int64
    /// How many entries are in the stream.
    var length: Int64
    var firstEntryID: StreamID?
    var lastEntryID: StreamID?
    /// The last ID that was removed by `XDEL`.
    var maxDeletedID = StreamID.zero
    /// The last ID that was ever assigned.
    var lastGeneratedID: StreamID
    /// The value of `KEY:begun`: no message up to this time is in the room. `nil` if Redis was emptied.
    var begun: SendTime?
    /// The expected entry, if it is missing.
    var missingID: StreamID?

    /// Every message after this time is in the stream.
    var heldAfter: SendTime? {
        guard let begun else { return nil }
        guard entriesAdded > length else { return begun }
        guard let firstEntryID else { return max(begun, lastGeneratedID.time) }
        return max(begun, SendTime(nanosecondsSinceEpoch: firstEntryID.time.nanosecondsSinceEpoch - 1))
    }

    /// Whether any message with these times is missing. They were in the stream before the snapshot was requested.
    func isMissing(anyOf times: [SendTime]) -> Bool {
        guard !times.isEmpty else { return false }
        let present = Set(messages.map(\.sendTime))
        let end = isComplete ? nil : lastReadID?.time
        return times.contains { time in end.map { time <= $0 } ?? true && !present.contains(time) }
    }

    /// Whether the expected entry is lost, rather than trimmed or deleted.
    var hasLostExpectedEntry: Bool {
        guard let missingID, let heldAfter else { return false }
        return missingID > maxDeletedID && missingID.time > heldAfter
    }
}

// MARK: - Parsing

extension StreamSnapshot {
    /// - Parameter reply: The replies to `XRANGE`, `XINFO STREAM` and `GET`, and to a second `XRANGE` if an entry is
    ///   expected.
    init(_ reply: RedisReply, count: Int, expecting expected: StreamID?) throws(RedisError) {
        guard let parts = reply.list, parts.count == (expected == nil ? 3 : 4) else { throw .unexpectedReply("EXEC") }
        guard let entries = parts[0].list else { throw parts[0].serverError ?? .unexpectedReply("XRANGE") }
        if let error = parts[2].serverError { throw error }
        let messages = entries.map(Self.message)
        let info = try Self.streamInfo(parts[1])
        self.init(
            messages: messages.compactMap(\.self),
            entryCount: entries.count,
            lastReadID: entries.last.flatMap { StreamID(entry: $0) },
            invalidEntry: messages.firstIndex(of: nil).flatMap { entries[$0].list?.first?.text },
            isComplete: entries.count < count,
            entriesAdded: info["entries-added"]?.integer ?? 0,
            length: info["length"]?.integer ?? 0,
            firstEntryID: info["first-entry"].flatMap { StreamID(entry: $0) },
            lastEntryID: info["last-entry"].flatMap { StreamID(entry: $0) },
            maxDeletedID: info["max-deleted-entry-id"]?.text.flatMap { StreamID($0) } ?? .zero,
            lastGeneratedID: info["last-generated-id"]?.text.flatMap { StreamID($0) } ?? .zero,
            begun: parts[2].text.flatMap { Int64($0) }.map { SendTime(nanosecondsSinceEpoch: $0) },
            missingID: expected != nil && parts[3] == .list([]) ? expected : nil
        )
    }

    /// Empty if there is no stream.
    private static func streamInfo(_ reply: RedisReply) throws(RedisError) -> [String: RedisReply] {
        switch reply {
        case .list(let list):
            var info: [String: RedisReply] = [:]
            for index in stride(from: 0, to: list.count - 1, by: 2) { info[list[index].text ?? ""] = list[index + 1] }
            guard info["entries-added"] != nil else { throw .redisIsTooOld }
            return info
        case .error(let message) where message.contains("no such key"): return [:]
        default: throw reply.serverError ?? .unexpectedReply("XINFO")
        }
    }

    /// Parses `[ID, ["a", author, "t", text]]`; `nil` if the entry is not a message, its ID is not a
    /// `sendTime`, or no client could receive it.
    static func message(_ entry: RedisReply) -> Message? {
        guard
            let sendTime = StreamID(entry: entry)?.sendTime,
            let parts = entry.list, parts.count == 2,
            let fields = parts[1].list, fields.count == 4,
            fields[0].text?.hasBytes(of: "a") == true, let author = fields[1].text,
            fields[2].text?.hasBytes(of: "t") == true, let text = fields[3].text,
            MessageLimits.highest.violation(author: author, text: text) == nil
        else { return nil }
        return Message(author: author, text: text, sendTime: sendTime)
    }
}

extension StreamID {
    init?(entry: RedisReply) {
        guard let text = entry.list?.first?.text else { return nil }
        self.init(text)
    }
}

extension RedisReply {
    /// The error that Redis replied with, if any.
    var serverError: RedisError? {
        if case .error(let message) = self { RedisError(serverError: message) } else { nil }
    }
}

extension RedisError {
    static var redisIsTooOld: RedisError { RedisError(description: "Redis 7 or later is needed") }

    fileprivate static func unexpectedReply(_ command: String) -> RedisError {
        RedisError(description: "Redis's reply to \(command) has an unexpected form")
    }
}
