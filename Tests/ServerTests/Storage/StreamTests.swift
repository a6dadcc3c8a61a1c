import Messenger
import Testing

@testable import Server

@Suite struct StreamIDTests {
    @Test func orderIsTheSameInBoth() throws {
        let ids = ["1700000000000-0", "1700000000000-1", "1700000000000-999999", "1700000000001-0"]
        let times = try ids.map { try #require(StreamID($0)?.sendTime) }
        #expect(zip(times, times.dropFirst()).allSatisfy { $0 < $1 })
        #expect(times[1].nanosecondsSinceEpoch == 1_700_000_000_000_000_001)
        #expect(times.map { StreamID($0).description } == ids)
    }

    @Test func tooManyInAMillisecondHaveNoTime() {
        #expect(StreamID(milliseconds: 1, number: 1_000_000).sendTime == nil)
    }

    /// Whatever somebody adds by hand: no trap, and an order.
    @Test(arguments: [
        ("1-999999", 1_999_999), ("1-1000000", 1_999_999), ("1-18446744073709551615", 1_999_999),
        ("9223372036853-999999", 9_223_372_036_853_999_999), ("9223372036854-0", 9_223_372_036_853_999_999),
        ("18446744073709551615-18446744073709551615", 9_223_372_036_853_999_999),
    ])
    func theLastTimeThatIsNotLater(_ id: String, _ nanoseconds: Int64) throws {
        #expect(try #require(StreamID(id)).time.nanosecondsSinceEpoch == nanoseconds)
    }

    @Test(arguments: ["", "1", "1-", "-1", "a-b", "1-2-3"])
    func isNone(_ text: String) {
        #expect(StreamID(text) == nil)
    }
}

@Suite struct StreamWatchTests {
    private static func time(_ number: Int64) -> SendTime { SendTime(nanosecondsSinceEpoch: number * 1_000_000) }
    private static func id(_ number: Int64) -> StreamID { StreamID(time(number)) }

    /// A stream whose entries have these milliseconds as IDs, as it is seen after the one at `after`.
    private func snapshot(
        _ entries: [Int64],
        after: Int64,
        added: Int64? = nil,
        begun: Int64? = 0,
        trimmed: Int64 = 0,
        isWhole: Bool = true,
        foreign: Int64? = nil
    ) -> StreamSnapshot {
        let new = entries.filter { $0 > after }
        return StreamSnapshot(
            messages: new.filter { $0 != foreign }.map { Message(author: "", text: "", sendTime: Self.time($0)) },
            entries: new.count,
            lastEntry: new.last.map(Self.id),
            isWhole: isWhole,
            added: added ?? Int64(entries.count),
            length: (added ?? Int64(entries.count)) - trimmed,
            first: entries.first.map(Self.id),
            last: Self.id(entries.last ?? 0),
            begun: begun.map(Self.time)
        )
    }

    private var watch: StreamWatch { StreamWatch(snapshot([1, 2, 3], after: 3)) }

    @Test func newMessagesAreSound() {
        var watch = watch
        #expect(watch.advance(snapshot([1, 2, 3, 4, 5], after: 3)) == .sound)
        #expect(watch.last == StreamID(milliseconds: 5, number: 0))
        #expect(watch.advance(snapshot([1, 2, 3, 4, 5], after: 5)) == .sound)
    }

    @Test func whatIsNoMessageIsSound() {
        var watch = watch
        #expect(watch.advance(snapshot([1, 2, 3, 4, 5], after: 3, foreign: 5)) == .sound)
        #expect(watch.last == StreamID(milliseconds: 5, number: 0))
        #expect(watch.advance(snapshot([1, 2, 3, 4, 5, 6], after: 5)) == .sound)
    }

    @Test func aPartIsSound() {
        var watch = watch
        #expect(watch.advance(snapshot([1, 2, 3, 4], after: 3, added: 9, isWhole: false)) == .sound)
        #expect(watch.advance(snapshot([5, 6, 7, 8, 9], after: 4, added: 9)) == .sound)
    }

    @Test func aPartThatIsAllThereIsIsSound() {
        var watch = watch
        #expect(watch.advance(snapshot([1, 2, 3, 4, 5], after: 3, added: 5, isWhole: false)) == .sound)
        #expect(watch.advance(snapshot([1, 2, 3, 4, 5], after: 5)) == .sound)
    }

    @Test func oldOnesMayGo() {
        var watch = watch
        #expect(watch.advance(snapshot([3, 4], after: 3, added: 4, trimmed: 2)) == .sound)
    }

    @Test func emptiedIsLost() {
        var watch = watch
        #expect(watch.advance(snapshot([], after: 3, begun: nil)) == .lost)
    }

    @Test func emptiedAndUsedAgainIsLost() {
        var watch = watch
        #expect(watch.advance(snapshot([4, 5, 6], after: 3, begun: 0)) == .lost)
    }

    @Test func anEarlierEndIsLost() {
        var watch = watch
        #expect(watch.advance(snapshot([1, 2], after: 3)) == .lost)
    }

    @Test func asManyNewOnesAsWereLostIsLost() {
        var watch = watch
        #expect(watch.advance(snapshot([1, 4, 5], after: 3)) == .lost)
    }

    @Test func trimmedBeforeTheyWereReadIsLost() {
        var watch = watch
        #expect(watch.advance(snapshot([6, 7], after: 3, added: 7, trimmed: 5)) == .lost)
    }

    /// Also where more has come meanwhile than is read at once.
    @Test func trimmedBeforeAPartWasReadIsLost() {
        var watch = watch
        let part = snapshot([6, 7], after: 3, added: 9, trimmed: 5, isWhole: false)
        #expect(watch.advance(part) == .lost)
    }

    @Test func whatWasToldHasToBeThere() {
        let entries = snapshot([1, 2, 3, 4, 6], after: 3)
        var watch = watch
        #expect(watch.advance(entries, told: [Self.time(4), Self.time(6)]) == .sound)
        for lost in [5, 7] as [Int64] {
            var watch = self.watch
            #expect(watch.advance(entries, told: [Self.time(4), Self.time(lost)]) == .lost)
        }
    }

    @Test func whatWasToldMayComeWithTheNextPart() {
        let part = snapshot([1, 2, 3, 4, 6], after: 3, added: 9, isWhole: false)
        var watch = watch
        #expect(watch.advance(part, told: [Self.time(4), Self.time(7)]) == .sound)
        var other = self.watch
        #expect(other.advance(part, told: [Self.time(5)]) == .lost)
    }

    @Test func anotherServersFindingIsTaken() {
        var watch = watch
        #expect(watch.advance(snapshot([1, 2, 3, 4], after: 3, begun: 4)) == .begunAnew)
    }

    /// Also when entries are missing by count: who has found that has said so.
    @Test func anotherServersFindingOfTheSameLossIsTaken() {
        var watch = watch
        #expect(watch.advance(snapshot([1, 5], after: 3, begun: 4)) == .begunAnew)
    }

    /// As in a replica that lags: not something that another server has found.
    @Test func anEarlierBeginningIsLost() {
        var watch = StreamWatch(snapshot([1, 2, 3], after: 3, begun: 2))
        #expect(watch.advance(snapshot([1, 2, 3], after: 3, begun: 1)) == .lost)
    }

    @Test func whatIsHeldBeginsWithTheFirstThatIsThere() {
        #expect(snapshot([5, 6], after: 0, added: 2, begun: 1).heldAfter == Self.time(1))
        let trimmed = snapshot([5, 6], after: 0, added: 3, begun: 1, trimmed: 1)
        #expect(trimmed.heldAfter?.nanosecondsSinceEpoch == 4_999_999)
    }
}
