import Testing

@testable import Messenger

@Suite struct SendTimeTests {
    @Test func aClockThatIsCenturiesAheadLeavesTimesForMessages() {
        let last = SendTime.lastOfClock.nanosecondsSinceEpoch
        #expect(last > 0 && last < Int64.max - 1_000_000_000)
        #expect(Platform.nanoseconds(9_223_372_037, 0) == last)
        #expect(Platform.nanoseconds(.max, 999_999_999) == last)
        #expect(Platform.nanoseconds(-9_223_372_037, 0) == -last)
        #expect(Platform.nanoseconds(.min, 999_999_999) == -last)
        #expect(Platform.nanoseconds(-1, 5) == -999_999_995)
        #expect(Platform.nanoseconds(1_631_442_322, 454_093_428) == 1_631_442_322_454_093_428)
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
    func refusesPartsThatAreNoTime(seconds: Int64, nanos: Int32) {
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
