import Messenger

/// The ID of an entry of a stream in Redis, which stands for the `sendTime` of its message.
///
/// Redis gives out IDs that increase strictly: milliseconds of its clock, and a number within the millisecond. The time
/// has the same milliseconds, and the number as nanoseconds below them, so both have the same order.
struct StreamID: Sendable, Hashable, Comparable, CustomStringConvertible {
    var milliseconds: Int64
    var number: Int64

    static let zero = StreamID(milliseconds: 0, number: 0)

    private static let perMillisecond: Int64 = 1_000_000

    init(milliseconds: Int64, number: Int64) {
        self.milliseconds = milliseconds
        self.number = number
    }

    /// Reads `1700000000000-7`.
    init?(_ text: String) {
        // By bytes, which costs a tenth of what characters do: each message's ID is read, on each server.
        guard let dash = text.utf8.firstIndex(of: UInt8(ascii: "-")),
            let milliseconds = Int64(text[..<dash]),
            let number = Int64(text[text.utf8.index(after: dash)...])
        else { return nil }
        self.init(milliseconds: milliseconds, number: number)
    }

    /// The last ID whose time is not later than `time`.
    init(_ time: SendTime) {
        let nanoseconds = max(0, time.nanosecondsSinceEpoch)
        self.init(milliseconds: nanoseconds / Self.perMillisecond, number: nanoseconds % Self.perMillisecond)
    }

    /// `nil` for the millionth message of a millisecond and later ones, for which there is no time.
    var sendTime: SendTime? {
        guard (0..<Self.perMillisecond).contains(number), milliseconds < Int64.max / Self.perMillisecond else {
            return nil
        }
        return SendTime(nanosecondsSinceEpoch: milliseconds * Self.perMillisecond + number)
    }

    var description: String { "\(milliseconds)-\(number)" }

    static func < (left: StreamID, right: StreamID) -> Bool {
        (left.milliseconds, left.number) < (right.milliseconds, right.number)
    }
}
