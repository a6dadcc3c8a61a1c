import Testing

@testable import Messenger

@Suite struct SendTimeTests {
    @Test func theClockIsClamped() {
        func clockTime(_ seconds: Int64, _ nanos: Int64) -> Int64 {
            SendTime.clockTime(seconds: seconds, nanos: nanos).nanosecondsSinceEpoch
        }
        let max = SendTime.maxClockTime.nanosecondsSinceEpoch
        #expect(max > 0 && max < Int64.max - 1_000_000_000)
        #expect(clockTime(9_223_372_037, 0) == max)
        #expect(clockTime(.max, 999_999_999) == max)
        #expect(clockTime(-9_223_372_037, 0) == -max)
        #expect(clockTime(.min, 999_999_999) == -max)
        #expect(clockTime(-1, 5) == -999_999_995)
        #expect(clockTime(1_631_442_322, 454_093_428) == 1_631_442_322_454_093_428)
    }

    @Test(
        arguments: [
            (0, 0, 0),
            (1_631_442_322_454_093_428, 1_631_442_322, 454_093_428),
            (999_999_999, 0, 999_999_999),
            (-1, -1, 999_999_999),
            (-1_000_000_000, -1, 0),
            (-1_000_000_001, -2, 999_999_999),
            (.max, 9_223_372_036, 854_775_807),
            (.min, -9_223_372_037, 145_224_192),
        ] as [(Int64, Int64, Int32)]
    )
    func splitsIntoProtobufPartsAndBack(nanoseconds: Int64, seconds: Int64, nanos: Int32) {
        let time = SendTime(nanosecondsSinceEpoch: nanoseconds)
        #expect(time.seconds == seconds)
        #expect(time.nanos == nanos)
        #expect(SendTime(seconds: seconds, nanos: nanos) == time)
    }

    @Test(
        arguments: [
            (0, -1),
            (0, 1_000_000_000),
            (0, .max),
            (9_223_372_036, 854_775_808),
            (9_223_372_037, 0),
            (-9_223_372_037, 145_224_191),
            (-9_223_372_038, 999_999_999),
            (.max, 999_999_999),
            (.min, 0),
        ] as [(Int64, Int32)]
    )
    func rejectsInvalidParts(seconds: Int64, nanos: Int32) {
        #expect(SendTime(seconds: seconds, nanos: nanos) == nil)
    }

    @Test func isOrderedByTime() {
        let times = [Int64.min, -1, 0, 1, .max].map(SendTime.init(nanosecondsSinceEpoch:))
        #expect(times.shuffled().sorted() == times)
    }

    @Test func readsTheWallClock() throws {
        let start = try #require(SendTime(rfc3339: "2025-01-01T00:00:00Z"))
        let end = try #require(SendTime(rfc3339: "2200-01-01T00:00:00Z"))
        #expect((start..<end).contains(.now()))
    }
}

@Suite struct SendTimeRFC3339Tests {
    @Test(
        arguments: [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (1, "1970-01-01T00:00:00.000000001Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
            (1_631_442_322_454_093_428, "2021-09-12T10:25:22.454093428Z"),
            (1_631_442_322_500_000_000, "2021-09-12T10:25:22.500000000Z"),
            (951_782_399_000_000_000, "2000-02-28T23:59:59.000000000Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00.000000000Z"),
            (951_868_800_000_000_000, "2000-03-01T00:00:00.000000000Z"),
            (4_107_542_400_000_000_000, "2100-03-01T00:00:00.000000000Z"),
            (.max, "2262-04-11T23:47:16.854775807Z"),
            (.min, "1677-09-21T00:12:43.145224192Z"),
        ] as [(Int64, String)]
    )
    func formatsAndParses(nanoseconds: Int64, text: String) {
        let time = SendTime(nanosecondsSinceEpoch: nanoseconds)
        #expect(time.description == text)
        #expect(SendTime(rfc3339: text) == time)
    }

    @Test func bytesEqualTheDescription() {
        let time = SendTime(nanosecondsSinceEpoch: 1_631_442_322_454_093_428)
        let bytes = time.rfc3339
        #expect(bytes.indices.map { bytes[$0] } == Array(time.description.utf8))
    }

    @Test func textsSortLikeTimes() {
        var generator = SplitMix64(seed: 3)
        let times = (0..<1000).map { _ in SendTime(nanosecondsSinceEpoch: .random(in: .min ... .max, using: &generator))
        }
        #expect(times.sorted().map(\.description) == times.map(\.description).sorted())
        #expect(times.allSatisfy { SendTime(rfc3339: $0.description) == $0 })
    }

    @Test(
        arguments: [
            ("2021-09-12T10:25:22Z", 0),
            ("2021-09-12T10:25:22.5Z", 500_000_000),
            ("2021-09-12T10:25:22.05Z", 50_000_000),
            ("2021-09-12T10:25:22.454093Z", 454_093_000),
            ("2021-09-12T10:25:22.00000001Z", 10),
        ] as [(String, Int32)]
    )
    func parsesFewerDigits(text: String, nanos: Int32) {
        #expect(SendTime(rfc3339: text) == SendTime(seconds: 1_631_442_322, nanos: nanos))
    }

    @Test(arguments: [
        "",
        "Z",
        "2021-09-12T10:25:22",
        "2021-09-12T10:25:22.Z",
        "2021-09-12T10:25:22.0000000000Z",
        "2021-09-12T10:25:22.-1Z",
        "2021-09-12T10:25:22,5Z",
        "2021-09-12T10:25:22+00:00",
        "2021-09-12T10:25:22z",
        "2021-09-12t10:25:22Z",
        "2021-09-12 10:25:22Z",
        "2021-09-12T10:25:60Z",
        "2021-09-12T10:60:22Z",
        "2021-09-12T24:25:22Z",
        "2021-13-12T10:25:22Z",
        "2021-00-12T10:25:22Z",
        "2021-09-31T10:25:22Z",
        "2021-09-00T10:25:22Z",
        "2021-02-29T10:25:22Z",
        "1900-02-29T10:25:22Z",
        "2262-04-11T23:47:16.854775808Z",
        "1677-09-21T00:12:43.145224191Z",
        "9999-12-31T23:59:59.999999999Z",
        "+021-09-12T10:25:22Z",
        "2021-09-12T10:25:22ZZ",
        "٢٠٢١-09-12T10:25:22Z",
        "2021-09-12T10:25:2\u{0}Z",
    ])
    func rejectsOtherTexts(text: String) {
        #expect(SendTime(rfc3339: text) == nil)
    }
}

/// A generator with a seed, so that failures are reproducible.
private struct SplitMix64: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

@Suite struct CivilDateTests {
    @Test func eachDayFollowsTheOneBefore() {
        // Two eras around the epoch: every kind of year, and dates before and after 1970.
        var previous = CivilDate(daysSinceEpoch: -150_001)
        for days in Int64(-150_000)...150_000 {
            let date = CivilDate(daysSinceEpoch: days)
            let isNextDay = (date.year, date.month, date.day) == (previous.year, previous.month, previous.day + 1)
            let isNextMonth = (date.year, date.month, date.day) == (previous.year, previous.month + 1, 1)
            let isNextYear =
                (date.year, date.month, date.day) == (previous.year + 1, 1, 1)
                && (previous.month, previous.day) == (12, 31)
            // #require for each day would take most of the time.
            guard
                date.daysSinceEpoch == days,
                isNextDay || isNextMonth || isNextYear,
                CivilDate(year: date.year, month: date.month, day: date.day) == date
            else {
                Issue.record("day \(days) is \(date) after \(previous)")
                return
            }
            previous = date
        }
    }

    @Test(arguments: [
        (2023, 2, 29), (1900, 2, 29), (2024, 2, 30), (2024, 4, 31), (2024, 0, 1), (2024, 13, 1), (2024, 1, 0),
    ])
    func rejectsDaysThatDoNotExist(year: Int64, month: Int64, day: Int64) {
        #expect(CivilDate(year: year, month: month, day: day) == nil)
    }
}
