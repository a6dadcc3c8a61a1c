/// The time at which the room accepted a message, in nanoseconds since the Unix epoch.
///
/// Within a room it is strictly increasing, so it identifies a message and says where a reader stands.
/// Its range is that of 64-bit nanoseconds: from September 1677 to April 2262.
public struct SendTime: Sendable, Hashable {
    /// Nanoseconds since 1970-01-01T00:00:00Z, leap seconds not counted; negative before it.
    public let nanosecondsSinceEpoch: Int64

    /// The last time that a clock may say, in 2262: later ones are left for messages that come then.
    public static let lastOfClock = SendTime(nanosecondsSinceEpoch: .max - (1 << 50))

    /// A room whose latest message is later than this has hardly any times left.
    public static let lastToBeginAfter = SendTime(nanosecondsSinceEpoch: .max - (1 << 40))

    /// Creates a time from nanoseconds since the Unix epoch.
    public init(nanosecondsSinceEpoch: Int64) {
        self.nanosecondsSinceEpoch = nanosecondsSinceEpoch
    }

    /// Creates a time from the two parts of a `google.protobuf.Timestamp`.
    ///
    /// - Parameters:
    ///   - seconds: Whole seconds since the Unix epoch, rounded down.
    ///   - nanos: Nanoseconds after `seconds`, in `0...999_999_999` also for times before the epoch.
    /// - Returns: `nil` when `nanos` is out of its range or the time does not fit into 64-bit nanoseconds.
    public init?(seconds: Int64, nanos: Int32) {
        guard (0..<Self.nanosecondsPerSecond).contains(Int64(nanos)) else { return nil }
        // Before the epoch both parts are moved up by a second: the product alone may not fit where the sum does.
        let borrow: Int64 = seconds < 0 ? 1 : 0
        let whole = (seconds + borrow).multipliedReportingOverflow(by: Self.nanosecondsPerSecond)
        let sum = whole.partialValue.addingReportingOverflow(Int64(nanos) - borrow * Self.nanosecondsPerSecond)
        guard !whole.overflow, !sum.overflow else { return nil }
        self.init(nanosecondsSinceEpoch: sum.partialValue)
    }

    /// Reads the system's wall clock.
    ///
    /// The clock may step back; who needs increasing times compares with the last one that it gave out.
    public static func now() -> SendTime {
        SendTime(nanosecondsSinceEpoch: Platform.wallClock())
    }

    /// Whole seconds since the Unix epoch, rounded down.
    public var seconds: Int64 { self.parts.seconds }

    /// Nanoseconds after ``seconds``: always in `0...999_999_999`.
    public var nanos: Int32 { Int32(truncatingIfNeeded: self.parts.nanos) }

    private var parts: (seconds: Int64, nanos: Int64) {
        let (quotient, remainder) = self.nanosecondsSinceEpoch.quotientAndRemainder(
            dividingBy: Self.nanosecondsPerSecond
        )
        return remainder < 0 ? (quotient - 1, remainder + Self.nanosecondsPerSecond) : (quotient, remainder)
    }

    private static let nanosecondsPerSecond: Int64 = 1_000_000_000
}

extension SendTime: Comparable {
    public static func < (left: SendTime, right: SendTime) -> Bool {
        left.nanosecondsSinceEpoch < right.nanosecondsSinceEpoch
    }
}
