import Messenger
import Testing

@testable import Server

@Suite struct HistoryTests {
    private static func time(_ nanoseconds: Int64) -> SendTime { SendTime(nanosecondsSinceEpoch: nanoseconds) }

    /// A history that begins at 100 and holds messages of these times.
    private func history(_ times: [Int64], messages: Int = 1000, bytes: Int = .max) -> History<Int64> {
        var history = History<Int64>(limits: .init(messages: messages, bytes: bytes), start: Self.time(100))
        for time in times { history.append(time, sendTime: Self.time(time), byteCount: 10) }
        return history
    }

    @Test func timesIncreaseWhateverTheClockDoes() {
        var history = history([])
        var times: [SendTime] = []
        for clock: Int64 in [200, 200, 150, -7, 201, 500] {
            let time = history.nextSendTime(clock: Self.time(clock))
            history.append(0, sendTime: time, byteCount: 0)
            times.append(time)
        }
        #expect(times == [200, 201, 202, 203, 204, 500].map(Self.time))
    }

    private static let reads: [(after: Int64, expected: [Int64])] = [
        (100, [110, 120, 130]), (109, [110, 120, 130]), (110, [120, 130]), (119, [120, 130]), (129, [130]), (130, []),
    ]

    @Test(arguments: reads)
    func readsAfterATime(after: Int64, expected: [Int64]) throws {
        var history = history([110, 120, 130])
        let sequence = try history.sequence(after: Self.time(after), now: Self.time(130))
        #expect(try history.contents(from: sequence) == expected)
    }

    @Test func aTimeBeforeItsBeginning() {
        var history = history([110])
        #expect(throws: RoomError.noLongerHeld(heldAfter: Self.time(100))) {
            try history.sequence(after: Self.time(99), now: Self.time(200))
        }
    }

    @Test func theOldestAreDroppedByCount() throws {
        var history = history([110, 120, 130, 140], messages: 2)
        #expect(history.heldAfter == Self.time(120))
        #expect(try history.contents(from: 2) == [130, 140])
        #expect(throws: RoomError.noLongerHeld(heldAfter: Self.time(120))) { try history.message(at: 1) }
        #expect(throws: RoomError.noLongerHeld(heldAfter: Self.time(120))) {
            try history.sequence(after: Self.time(119), now: Self.time(200))
        }
        #expect(try history.sequence(after: Self.time(120), now: Self.time(200)) == 2)
    }

    @Test func theOldestAreDroppedByBytes() throws {
        let cost = 10 + History<Int64>.overhead
        let history = history([110, 120, 130, 140], bytes: 3 * cost)
        #expect(try history.contents(from: 1) == [120, 130, 140])
        #expect(throws: RoomError.self) { try history.message(at: 0) }
    }

    @Test func theLatestMessageStays() throws {
        let history = history([110, 120], bytes: 1)
        #expect(try history.contents(from: 1) == [120])
    }

    @Test func aTimeInTheFuture() {
        var history = history([110])
        #expect(throws: RoomError.inTheFuture) { try history.sequence(after: Self.time(201), now: Self.time(200)) }
    }

    /// Send times follow a clock that is set back and forth. The monotonic clock is not.
    @Test func messagesAcceptedSinceATime() {
        let start = MonotonicClock.now
        var history = History<Int64>(limits: .init(messages: 3, bytes: .max), start: Self.time(100), at: start)
        func positions(_ seconds: Int...) -> [Int64?] {
            seconds.map { history.position(at: start + .seconds($0))?.nanosecondsSinceEpoch }
        }
        #expect(positions(0) == [100])
        for (seconds, time) in [(10, 5000), (20, 5001), (30, 5002)] {
            history.append(0, sendTime: Self.time(Int64(time)), byteCount: 0, at: start + .seconds(seconds))
        }
        #expect(positions(-1, 0, 10, 11, 20, 25, 30, 31) == [nil, 100, 100, 5000, 5000, 5001, 5001, 5002])
        // The first one is dropped.
        history.append(0, sendTime: Self.time(9000), byteCount: 0, at: start + .seconds(40))
        #expect(positions(5, 10, 15, 50) == [nil, 5000, 5000, 9000])
        history.reset(heldAfter: Self.time(9500), at: start + .seconds(60))
        #expect(positions(50, 60) == [nil, 9500])
    }

    @Test func laterMessagesGetTimesAfterAReadersPosition() throws {
        var history = history([110])
        _ = try history.sequence(after: Self.time(150), now: Self.time(200))
        #expect(history.nextSendTime(clock: Self.time(120)) == Self.time(151))
    }
}

extension History {
    /// All contents from a sequence number on.
    fileprivate func contents(from sequence: Int) throws -> [Content] {
        var contents: [Content] = []
        while let message = try message(at: sequence + contents.count) { contents.append(message.content) }
        return contents
    }
}
