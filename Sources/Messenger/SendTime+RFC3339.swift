/// RFC 3339 in UTC with nine fractional digits, always: then the order of the texts is the order of the times.
extension SendTime: CustomStringConvertible {
    /// The time as text, for example `2021-09-12T10:25:22.454093428Z`: always 30 ASCII characters.
    public var description: String {
        let bytes = self.rfc3339
        return String(unsafeUninitializedCapacity: bytes.count) { buffer in
            for index in bytes.indices {
                buffer[index] = bytes[index]
            }
            return bytes.count
        }
    }

    /// The ``description`` as ASCII bytes, for writers that need no string.
    public var rfc3339: InlineArray<30, UInt8> {
        let days = self.seconds.flooredQuotient(dividingBy: 86_400)
        let date = CivilDate(daysSinceEpoch: days)
        let secondOfDay = self.seconds - days * 86_400

        var bytes = InlineArray<30, UInt8>(repeating: UInt8(ascii: "0"))
        // The years that 64-bit nanoseconds reach, 1677...2262, have four digits each.
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
        bytes.write(Int64(self.nanos), into: 20..<29)
        bytes[29] = UInt8(ascii: "Z")
        return bytes
    }

    /// Parses a time as ``description`` writes it, or with fewer fractional digits.
    ///
    /// - Parameter text: RFC 3339 in UTC, written with `T` and `Z`, with none to nine fractional digits.
    /// - Returns: `nil` when the text has another form, names no existing day or time, or does not fit into 64-bit
    ///   nanoseconds. A leap second (`:60`) is no time of the Unix clock, so it is refused too.
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

    /// Nanoseconds of a fraction with its point; an empty fraction is zero.
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
    /// Writes a number in decimal, right-aligned, with leading zeros, into `positions`.
    fileprivate mutating func write(_ number: Int64, into positions: Range<Int>) {
        var rest = number
        for position in positions.reversed() {
            self[position] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
    }
}

extension Int64 {
    /// Parses at most nine decimal digits, and nothing but digits.
    fileprivate init?(digits: ArraySlice<UInt8>) {
        var value: Int64 = 0
        for digit in digits {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
            value = value * 10 + Int64(digit - UInt8(ascii: "0"))
        }
        self = value
    }

    fileprivate func flooredQuotient(dividingBy divisor: Int64) -> Int64 {
        let (quotient, remainder) = self.quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? quotient - 1 : quotient
    }
}
