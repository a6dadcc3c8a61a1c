import Messenger
import Testing

@testable import Server

@Suite struct RetentionClockTests {
    private static let day: Int64 = 86_400

    private static func time(_ seconds: Int64) -> SendTime { SendTime(nanosecondsSinceEpoch: seconds * 1_000_000_000) }

    /// Begins at the second 1000 of the wall clock, where the monotonic one is at 0.
    private func clock(latest: Int64 = 1000, age: Duration = .seconds(86_400 * 30)) -> RetentionClock {
        RetentionClock(latest: Self.time(latest), age: age, wall: Self.time(1000), monotonic: .zero)
    }

    private func now(_ clock: inout RetentionClock, wall: Int64, after seconds: Int64) -> SendTime {
        clock.now(wall: Self.time(wall), monotonic: .seconds(seconds))
    }

    @Test func itRunsWithTheWallClock() {
        var clock = clock()
        for second: Int64 in 0...100 {
            #expect(now(&clock, wall: 1000 + second, after: second) == Self.time(1000 + second))
        }
    }

    @Test func aJumpAheadForSecondsIsNotFollowed() {
        var clock = clock()
        for second: Int64 in 1...60 {
            #expect(now(&clock, wall: 1000 + second + Self.day, after: second) == Self.time(1000 + second))
        }
        #expect(now(&clock, wall: 1061, after: 61) == Self.time(1061))
    }

    /// Each by itself is short, so none counts.
    @Test func jumpsAheadAreNotAddedUp() {
        var clock = clock()
        for second: Int64 in 1...10_000 {
            let isAhead = second % 1000 < 900
            let time = now(&clock, wall: 1000 + second + (isAhead ? Self.day : 0), after: second)
            #expect(time == Self.time(1000 + second))
        }
    }

    @Test func aJumpAheadThatLastsCounts() {
        var clock = clock()
        #expect(now(&clock, wall: 1000 + Self.day, after: 0) == Self.time(1000))
        #expect(now(&clock, wall: 4599 + Self.day, after: 3599) == Self.time(4599))
        #expect(now(&clock, wall: 4600 + Self.day, after: 3600) == Self.time(4600 + Self.day))
    }

    /// Messages that are kept for a second are not kept for an hour because the clock was set.
    @Test func aShortAgeIsEnough() {
        var clock = clock(age: .seconds(1))
        #expect(now(&clock, wall: 1000 + Self.day, after: 0) == Self.time(1000))
        #expect(now(&clock, wall: 1001 + Self.day, after: 1) == Self.time(1001 + Self.day))
    }

    @Test func aJumpBackCountsAtOnce() {
        var clock = clock()
        #expect(now(&clock, wall: 500, after: 1) == Self.time(500))
        #expect(now(&clock, wall: 501, after: 2) == Self.time(501))
    }

    /// What lasts is the smallest jump of the time in which it lasted.
    @Test func theSmallestJumpCounts() {
        var clock = clock()
        _ = now(&clock, wall: 1000 + 9 * Self.day, after: 0)
        _ = now(&clock, wall: 2000 + Self.day, after: 1000)
        #expect(now(&clock, wall: 4600 + 9 * Self.day, after: 3600) == Self.time(4600 + Self.day))
    }

    /// A start with a wrong clock, or after a long pause: as old as the last message makes it.
    @Test func aStartBeginsWithTheLastMessage() {
        var clock = clock(latest: 10)
        #expect(now(&clock, wall: 1001, after: 1) == Self.time(11))
        #expect(now(&clock, wall: 4601, after: 3601) == Self.time(4601))
    }

    /// The last message is from tomorrow.
    @Test func aMessageFromTheFutureMakesNothingOld() {
        var clock = clock(latest: 1000 + Self.day)
        #expect(now(&clock, wall: 1001, after: 1) == Self.time(1001))
    }

    /// With messages at these seconds.
    private func trustedStart(_ messages: [Int64], age: Duration? = .seconds(86_400)) -> Int64 {
        let times = messages.map(Self.time)
        let last = RetentionClock.trustedStart(latest: times[times.count - 1], age: age) { (time) throws(Never) in
            (times.last { $0 < time }, times.first { $0 >= time })
        }
        return last.nanosecondsSinceEpoch / 1_000_000_000
    }

    /// A start while the clock is ahead, of which there are messages already.
    @Test func messagesThatAClockAheadHasMadeAreNoProof() {
        #expect(trustedStart([1, 2, 3, 100_000, 100_001]) == 3)
        #expect(trustedStart([1, 2, 3, 4, 5]) == 5)
        #expect(trustedStart([1, 3000, 6000, 9000]) == 9000)
        #expect(trustedStart([7]) == 7)
        #expect(trustedStart([1, 100_000], age: nil) == 100_000)
        #expect(trustedStart([1, 100, 102], age: .seconds(10)) == 1)
    }

    @Test func timesAtTheEndsOfTime() {
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
