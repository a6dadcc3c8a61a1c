import Messenger

/// The ID of an entry of a stream in Redis, which stands for the `sendTime` of its message.
///
/// Redis gives out IDs that increase strictly: milliseconds of its clock, and a number within the millisecond. The time
/// has the same milliseconds, and the number as nanoseconds below them, so both have the same order.
struct StreamID: Sendable, Hashable, Comparable, CustomStringConvertible {
    var milliseconds: UInt64
    var number: UInt64

    static let zero = StreamID(milliseconds: 0, number: 0)

    private static let perMillisecond: UInt64 = 1_000_000
    /// The last millisecond of which all times are times.
    private static let lastMillisecond = UInt64(Int64.max) / perMillisecond - 1

    init(milliseconds: UInt64, number: UInt64) {
        self.milliseconds = milliseconds
        self.number = number
    }

    /// Reads `1700000000000-7`.
    init?(_ text: String) {
        // By bytes, which costs a tenth of what characters do: each message's ID is read, on each server.
        guard let dash = text.utf8.firstIndex(of: UInt8(ascii: "-")),
            let milliseconds = UInt64(text[..<dash]),
            let number = UInt64(text[text.utf8.index(after: dash)...])
        else { return nil }
        self.init(milliseconds: milliseconds, number: number)
    }

    /// The last ID whose time is not later than `time`.
    init(_ time: SendTime) {
        let nanoseconds = UInt64(max(0, time.nanosecondsSinceEpoch))
        self.init(milliseconds: nanoseconds / Self.perMillisecond, number: nanoseconds % Self.perMillisecond)
    }

    /// `nil` for the millionth message of a millisecond and later ones, for which there is no time.
    var sendTime: SendTime? { StreamID(time) == self ? time : nil }

    /// The time that it stands for, or the last one before it.
    var time: SendTime {
        let isTooLate = milliseconds > Self.lastMillisecond
        let number = isTooLate ? Self.perMillisecond - 1 : min(number, Self.perMillisecond - 1)
        let nanoseconds = min(milliseconds, Self.lastMillisecond) * Self.perMillisecond + number
        return SendTime(nanosecondsSinceEpoch: Int64(nanoseconds))
    }

    var description: String { "\(milliseconds)-\(number)" }

    static func < (left: StreamID, right: StreamID) -> Bool {
        (left.milliseconds, left.number) < (right.milliseconds, right.number)
    }
}
