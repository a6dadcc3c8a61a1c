import Messenger
import Testing

@testable import Server

@Suite struct RetentionPolicyTests {
    private static func time(_ seconds: Int64) -> SendTime { SendTime(nanosecondsSinceEpoch: seconds * 1_000_000_000) }

    private func isExceeded(_ retention: RetentionPolicy, messages: Int, bytes: Int = 0, oldest: Int64 = 100) -> Bool {
        let usage = RetentionPolicy.Usage(messages: messages, bytes: bytes)
        return retention.isExceeded(by: usage, oldest: Self.time(oldest), now: Self.time(200))
    }

    @Test func eachLimit() {
        let retention = RetentionPolicy(maxMessages: 10, maxBytes: 1000, maxAge: .seconds(100))
        #expect(!isExceeded(retention, messages: 10, bytes: 1000, oldest: 100))
        #expect(isExceeded(retention, messages: 11))
        #expect(isExceeded(retention, messages: 2, bytes: 1001))
        #expect(isExceeded(retention, messages: 2, oldest: 99))
    }

    @Test func theNewestMessageStays() {
        #expect(
            !isExceeded(
                RetentionPolicy(maxMessages: 1, maxBytes: 1, maxAge: .seconds(1)),
                messages: 1,
                bytes: 100,
                oldest: 0
            )
        )
    }

    @Test func withoutAMaximumAgeNoMessageIsTooOld() {
        #expect(!isExceeded(RetentionPolicy(), messages: 2, oldest: -9_000_000_000))
    }

    @Test(arguments: [.seconds(Int64.max), .seconds(9_223_372_036) + .milliseconds(900), .seconds(9_223_372_036)])
    func aMaximumAgeLongerThanTime(age: Duration) {
        #expect(!isExceeded(RetentionPolicy(maxAge: age), messages: 2, oldest: -9_000_000_000))
    }

    /// So that not every new message has to remove an old one.
    @Test func removingContinuesToBelowTheLimit() {
        let retention = RetentionPolicy(maxMessages: 80)
        var usage = RetentionPolicy.Usage(messages: 81, bytes: 0)
        while retention.shouldRemoveOldest(usage, oldest: Self.time(0), now: Self.time(0)) { usage.remove(0) }
        #expect(usage.messages == 70)
    }
}

@Suite struct RetentionClockTests {
    private static let day: Int64 = 86_400

    private static func time(_ seconds: Int64) -> SendTime { SendTime(nanosecondsSinceEpoch: seconds * 1_000_000_000) }

    /// The wall clock is at the second 1000 when the monotonic clock is at 0.
    private func clock(latest: Int64 = 1000, age: Duration = .seconds(86_400 * 30)) -> RetentionClock {
        RetentionClock(latest: Self.time(latest), age: age, wall: Self.time(1000), monotonic: .zero)
    }

    private func now(_ clock: inout RetentionClock, wall: Int64, after seconds: Int64) -> SendTime {
        clock.now(wall: Self.time(wall), monotonic: .seconds(seconds))
    }

    @Test func itFollowsTheWallClock() {
        var clock = clock()
        for second: Int64 in 0...100 {
            #expect(now(&clock, wall: 1000 + second, after: second) == Self.time(1000 + second))
        }
    }

    @Test func aShortJumpAheadIsIgnored() {
        var clock = clock()
        for second: Int64 in 1...60 {
            #expect(now(&clock, wall: 1000 + second + Self.day, after: second) == Self.time(1000 + second))
        }
        #expect(now(&clock, wall: 1061, after: 61) == Self.time(1061))
    }

    @Test func shortJumpsAheadDoNotAddUp() {
        var clock = clock()
        for second: Int64 in 1...10_000 {
            let isAhead = second % 1000 < 900
            let time = now(&clock, wall: 1000 + second + (isAhead ? Self.day : 0), after: second)
            #expect(time == Self.time(1000 + second))
        }
    }

    @Test func aLongJumpAheadIsAccepted() {
        var clock = clock()
        #expect(now(&clock, wall: 1000 + Self.day, after: 0) == Self.time(1000))
        #expect(now(&clock, wall: 4599 + Self.day, after: 3599) == Self.time(4599))
        #expect(now(&clock, wall: 4600 + Self.day, after: 3600) == Self.time(4600 + Self.day))
    }

    /// Setting the clock does not make messages with a maximum age of a second stay for an hour.
    @Test func aMaximumAgeBelowAnHourIsTheConfirmation() {
        var clock = clock(age: .seconds(1))
        #expect(now(&clock, wall: 1000 + Self.day, after: 0) == Self.time(1000))
        #expect(now(&clock, wall: 1001 + Self.day, after: 1) == Self.time(1001 + Self.day))
    }

    @Test func aJumpBackIsAcceptedAtOnce() {
        var clock = clock()
        #expect(now(&clock, wall: 500, after: 1) == Self.time(500))
        #expect(now(&clock, wall: 501, after: 2) == Self.time(501))
    }

    @Test func theSmallestOffsetDuringAJumpIsAccepted() {
        var clock = clock()
        _ = now(&clock, wall: 1000 + 9 * Self.day, after: 0)
        _ = now(&clock, wall: 2000 + Self.day, after: 1000)
        #expect(now(&clock, wall: 4600 + 9 * Self.day, after: 3600) == Self.time(4600 + Self.day))
    }

    /// With a wrong clock, or after a long pause.
    @Test func itStartsWithTheTimeOfTheLastMessage() {
        var clock = clock(latest: 10)
        #expect(now(&clock, wall: 1001, after: 1) == Self.time(11))
        #expect(now(&clock, wall: 4601, after: 3601) == Self.time(4601))
    }

    @Test func itDoesNotStartInTheFuture() {
        var clock = clock(latest: 1000 + Self.day)
        #expect(now(&clock, wall: 1001, after: 1) == Self.time(1001))
    }

    private func trustedStart(_ messages: [Int64], age: Duration? = .seconds(86_400)) -> Int64 {
        let times = messages.map(Self.time)
        let last = RetentionClock.trustedStart(latest: times[times.count - 1], age: age) { (time) throws(Never) in
            (times.last { $0 < time }, times.first { $0 >= time })
        }
        return last.nanosecondsSinceEpoch / 1_000_000_000
    }

    /// The clock is ahead at the start, and was ahead for the last messages.
    @Test func itStartsBeforeAPause() {
        #expect(trustedStart([1, 2, 3, 100_000, 100_001]) == 3)
        #expect(trustedStart([1, 2, 3, 4, 5]) == 5)
        #expect(trustedStart([1, 3000, 6000, 9000]) == 9000)
        #expect(trustedStart([7]) == 7)
        #expect(trustedStart([1, 100_000], age: nil) == 100_000)
        #expect(trustedStart([1, 100, 102], age: .seconds(10)) == 1)
    }

    @Test func theFirstAndTheLastTime() {
        for latest in [Int64.min, .max] {
            var clock = RetentionClock(
                latest: SendTime(nanosecondsSinceEpoch: latest),
                age: nil,
                wall: Self.time(1000),
                monotonic: .zero
            )
            #expect(clock.now(wall: Self.time(1001), monotonic: .seconds(1)) == Self.time(1001))
        }
    }
}
