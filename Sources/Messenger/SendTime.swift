import Glibc

/// The time at which the room accepted a message, in nanoseconds since the Unix epoch.
///
/// It is strictly increasing within a room, so it identifies a message and is a reader's position. The server's history
/// assigns it, or Redis. Its range is that of
/// 64-bit nanoseconds: from September 1677 to April 2262.
public struct SendTime: Sendable, Hashable {
    /// Without leap seconds; negative before 1970-01-01T00:00:00Z.
    public let nanosecondsSinceEpoch: Int64

    /// The maximum of the clock, in 2262. Messages that are accepted then get later times.
    public static let maxClockTime = SendTime(nanosecondsSinceEpoch: .max - (1 << 50))

    /// A history whose last message is later has hardly any times left for new messages.
    public static let maxHistoryEnd = SendTime(nanosecondsSinceEpoch: .max - (1 << 40))

    public init(nanosecondsSinceEpoch: Int64) {
        self.nanosecondsSinceEpoch = nanosecondsSinceEpoch
    }

    /// Creates a time from the two parts of a `google.protobuf.Timestamp`.
    ///
    /// - Parameters:
    ///   - seconds: Whole seconds since the Unix epoch, rounded down.
    ///   - nanos: Nanoseconds after `seconds`, in `0...999_999_999`, also before the epoch.
    /// - Returns: `nil` if `nanos` is out of its range, or the time does not fit into 64-bit nanoseconds.
    public init?(seconds: Int64, nanos: Int32) {
        guard (0..<Self.nanosecondsPerSecond).contains(Int64(nanos)) else { return nil }
        // Before the epoch, move a second between the parts: the product may overflow although the sum fits.
        let borrow: Int64 = seconds < 0 ? 1 : 0
        let whole = (seconds + borrow).multipliedReportingOverflow(by: Self.nanosecondsPerSecond)
        let sum = whole.partialValue.addingReportingOverflow(Int64(nanos) - borrow * Self.nanosecondsPerSecond)
        guard !whole.overflow, !sum.overflow else { return nil }
        self.init(nanosecondsSinceEpoch: sum.partialValue)
    }

    /// Reads the system's wall clock, which may step back.
    public static func now() -> SendTime {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return clockTime(seconds: Int64(time.tv_sec), nanos: Int64(time.tv_nsec))
    }

    /// A clock that is centuries off stands still at the first or last allowed time.
    public static func clockTime(seconds: Int64, nanos: Int64) -> SendTime {
        let max = maxClockTime.nanosecondsSinceEpoch
        guard seconds < max / nanosecondsPerSecond else { return maxClockTime }
        guard seconds > -max / nanosecondsPerSecond else { return SendTime(nanosecondsSinceEpoch: -max) }
        return SendTime(nanosecondsSinceEpoch: seconds * nanosecondsPerSecond + nanos)
    }

    /// Whole seconds since the Unix epoch, rounded down.
    public var seconds: Int64 { parts.seconds }

    /// Nanoseconds after ``seconds``: always in `0...999_999_999`.
    public var nanos: Int32 { Int32(truncatingIfNeeded: parts.nanos) }

    private var parts: (seconds: Int64, nanos: Int64) {
        let (quotient, remainder) = nanosecondsSinceEpoch.quotientAndRemainder(
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

/// RFC 3339 in UTC, always with nine fractional digits: the texts sort like the times.
extension SendTime: CustomStringConvertible {
    /// For example `2021-09-12T10:25:22.454093428Z`: always 30 ASCII characters.
    public var description: String {
        let bytes = rfc3339
        return String(unsafeUninitializedCapacity: bytes.count) { buffer in
            for index in bytes.indices {
                buffer[index] = bytes[index]
            }
            return bytes.count
        }
    }

    /// The ``description`` as ASCII bytes.
    public var rfc3339: InlineArray<30, UInt8> {
        let days = seconds.flooredQuotient(dividingBy: 86_400)
        let date = CivilDate(daysSinceEpoch: days)
        let secondOfDay = seconds - days * 86_400

        var bytes = InlineArray<30, UInt8>(repeating: UInt8(ascii: "0"))
        // The years 1677...2262 have four digits.
        bytes.write(date.year, into: 0..<4)
        bytes[4] = UInt8(ascii: "-")
        bytes.write(date.month, into: 5..<7)
        bytes[7] = UInt8(ascii: "-")
        bytes.write(date.day, into: 8..<10)
        bytes[10] = UInt8(ascii: "T")
        bytes.write(secondOfDay / 3600, into: 11..<13)
        bytes[13] = UInt8(ascii: ":")
        bytes.write(secondOfDay / 60 % 60, into: 14..<16)
        bytes[16] = UInt8(ascii: ":")
        bytes.write(secondOfDay % 60, into: 17..<19)
        bytes[19] = UInt8(ascii: ".")
        bytes.write(Int64(nanos), into: 20..<29)
        bytes[29] = UInt8(ascii: "Z")
        return bytes
    }

    /// Parses RFC 3339 in UTC, written with `T` and `Z`, with at most nine fractional digits.
    ///
    /// - Returns: `nil` for another format, a day or time that does not exist (including leap seconds), or a time that
    ///   does not fit into 64-bit nanoseconds.
    public init?(rfc3339 text: String) {
        guard text.utf8.count <= 30 else { return nil }
        let bytes = Array(text.utf8)
        let separators: [(Int, Unicode.Scalar)] = [(4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":")]
        guard
            bytes.count >= 20, bytes.last == UInt8(ascii: "Z"),
            separators.allSatisfy({ position, separator in bytes[position] == UInt8(ascii: separator) }),
            let year = Int64(digits: bytes[0..<4]),
            let month = Int64(digits: bytes[5..<7]),
            let day = Int64(digits: bytes[8..<10]),
            let hour = Int64(digits: bytes[11..<13]), hour < 24,
            let minute = Int64(digits: bytes[14..<16]), minute < 60,
            let second = Int64(digits: bytes[17..<19]), second < 60,
            let nanos = Self.nanos(fraction: bytes[19..<(bytes.count - 1)]),
            let date = CivilDate(year: year, month: month, day: day)
        else { return nil }
        self.init(seconds: date.daysSinceEpoch * 86_400 + hour * 3600 + minute * 60 + second, nanos: nanos)
    }

    /// - Parameter fraction: A point and digits, or nothing.
    private static func nanos(fraction: ArraySlice<UInt8>) -> Int32? {
        guard let point = fraction.first else { return 0 }
        let digits = fraction.dropFirst()
        guard point == UInt8(ascii: "."), (1...9).contains(digits.count), let value = Int64(digits: digits) else {
            return nil
        }
        let scale = (digits.count..<9).reduce(1) { scale, _ in scale * 10 }
        return Int32(value * Int64(scale))
    }
}

extension InlineArray where Element == UInt8 {
    /// Writes a decimal number with leading zeros.
    fileprivate mutating func write(_ number: Int64, into positions: Range<Int>) {
        var rest = number
        for position in positions.reversed() {
            self[position] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
    }
}

extension Int64 {
    /// Parses up to nine decimal digits.
    fileprivate init?(digits: ArraySlice<UInt8>) {
        var value: Int64 = 0
        for digit in digits {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
            value = value * 10 + Int64(digit - UInt8(ascii: "0"))
        }
        self = value
    }

    fileprivate func flooredQuotient(dividingBy divisor: Int64) -> Int64 {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? quotient - 1 : quotient
    }
}

/// A day of the proleptic Gregorian calendar.
///
/// The conversions count in eras of 400 years, the calendar's period. Years begin on March 1, so that the leap day is the
/// last day of a year.
struct CivilDate: Equatable {
    /// The year, 0 being 1 BC.
    let year: Int64
    /// The month, in `1...12`.
    let month: Int64
    /// The day of the month, in `1...31`.
    let day: Int64

    /// - Returns: `nil` if the calendar has no such day.
    init?(year: Int64, month: Int64, day: Int64) {
        guard (1...12).contains(month), (1...Self.dayCount(ofMonth: month, year: year)).contains(day) else {
            return nil
        }
        (self.year, self.month, self.day) = (year, month, day)
    }

    /// - Parameter days: Days after 1970-01-01.
    init(daysSinceEpoch days: Int64) {
        let shifted = days + Self.daysFromEraStartToEpoch
        let era = (shifted >= 0 ? shifted : shifted - (Self.daysPerEra - 1)) / Self.daysPerEra
        let dayOfEra = shifted - era * Self.daysPerEra
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / (Self.daysPerEra - 1)) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    /// Days after 1970-01-01.
    var daysSinceEpoch: Int64 {
        let year = month <= 2 ? self.year - 1 : self.year
        let era = (year >= 0 ? year : year - 399) / 400
        let yearOfEra = year - era * 400
        let monthFromMarch = month > 2 ? month - 3 : month + 9
        let dayOfYear = (153 * monthFromMarch + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * Self.daysPerEra + dayOfEra - Self.daysFromEraStartToEpoch
    }

    private static func dayCount(ofMonth month: Int64, year: Int64) -> Int64 {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    private static let daysPerEra: Int64 = 146_097
    /// From 0000-03-01 to 1970-01-01.
    private static let daysFromEraStartToEpoch: Int64 = 719_468
}
