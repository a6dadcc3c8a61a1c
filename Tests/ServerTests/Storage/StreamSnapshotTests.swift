import Messenger
import Testing

@testable import Server

@Suite struct StreamIDTests {
    @Test func idsAndTimesHaveTheSameOrder() throws {
        let ids = ["1700000000000-0", "1700000000000-1", "1700000000000-999999", "1700000000001-0"]
        let times = try ids.map { try #require(StreamID($0)?.sendTime) }
        #expect(zip(times, times.dropFirst()).allSatisfy { $0 < $1 })
        #expect(times[1].nanosecondsSinceEpoch == 1_700_000_000_000_000_001)
        #expect(times.map { StreamID($0).description } == ids)
    }

    @Test func theMillionthMessageOfAMillisecondHasNoTime() {
        #expect(StreamID(milliseconds: 1, sequence: 1_000_000).sendTime == nil)
    }

    /// Entries added by hand may have any ID. None traps.
    @Test(arguments: [
        ("1-999999", 1_999_999), ("1-1000000", 1_999_999), ("1-18446744073709551615", 1_999_999),
        ("9223372036853-999999", 9_223_372_036_853_999_999), ("9223372036854-0", 9_223_372_036_853_999_999),
        ("18446744073709551615-18446744073709551615", 9_223_372_036_853_999_999),
    ])
    func anyIDHasATime(_ id: String, _ nanoseconds: Int64) throws {
        #expect(try #require(StreamID(id)).time.nanosecondsSinceEpoch == nanoseconds)
    }

    @Test(arguments: ["", "1", "1-", "-1", "a-b", "1-2-3"])
    func invalidIDs(_ text: String) {
        #expect(StreamID(text) == nil)
    }
}

@Suite struct LossDetectorTests {
    private static func time(_ number: Int64) -> SendTime { SendTime(nanosecondsSinceEpoch: number * 1_000_000) }
    private static func id(_ number: Int64) -> StreamID { StreamID(time(number)) }

    /// A snapshot of the entries after `after`. Entries have these milliseconds as IDs.
    private func snapshot(
        _ entries: [Int64],
        after: Int64,
        added: Int64? = nil,
        begun: Int64? = 0,
        trimmed: Int64 = 0,
        isComplete: Bool = true,
        invalid: Int64? = nil
    ) -> StreamSnapshot {
        let new = entries.filter { $0 > after }
        return StreamSnapshot(
            messages: new.filter { $0 != invalid }.map { Message(author: "", text: "", sendTime: Self.time($0)) },
            entryCount: new.count,
            lastReadID: new.last.map(Self.id),
            isComplete: isComplete,
            entriesAdded: added ?? Int64(entries.count),
            length: (added ?? Int64(entries.count)) - trimmed,
            firstEntryID: entries.first.map(Self.id),
            lastGeneratedID: Self.id(entries.last ?? 0),
            begun: begun.map(Self.time)
        )
    }

    private var detector: LossDetector { LossDetector(snapshot([1, 2, 3], after: 3)) }

    @Test func newMessages() {
        var detector = detector
        #expect(detector.advance(to: snapshot([1, 2, 3, 4, 5], after: 3)) == .intact)
        #expect(detector.lastID == StreamID(milliseconds: 5, sequence: 0))
        #expect(detector.advance(to: snapshot([1, 2, 3, 4, 5], after: 5)) == .intact)
    }

    @Test func anEntryThatIsNoMessage() {
        var detector = detector
        #expect(detector.advance(to: snapshot([1, 2, 3, 4, 5], after: 3, invalid: 5)) == .intact)
        #expect(detector.lastID == StreamID(milliseconds: 5, sequence: 0))
        #expect(detector.advance(to: snapshot([1, 2, 3, 4, 5, 6], after: 5)) == .intact)
    }

    @Test func aSnapshotAtItsLimit() {
        var detector = detector
        #expect(detector.advance(to: snapshot([1, 2, 3, 4], after: 3, added: 9, isComplete: false)) == .intact)
        #expect(detector.advance(to: snapshot([5, 6, 7, 8, 9], after: 4, added: 9)) == .intact)
    }

    @Test func aSnapshotAtItsLimitThatIsComplete() {
        var detector = detector
        #expect(detector.advance(to: snapshot([1, 2, 3, 4, 5], after: 3, added: 5, isComplete: false)) == .intact)
        #expect(detector.advance(to: snapshot([1, 2, 3, 4, 5], after: 5)) == .intact)
    }

    @Test func trimmedAfterReading() {
        var detector = detector
        #expect(detector.advance(to: snapshot([3, 4], after: 3, added: 4, trimmed: 2)) == .intact)
    }

    @Test func emptied() {
        var detector = detector
        #expect(detector.advance(to: snapshot([], after: 3, begun: nil)) == .lost)
    }

    @Test func emptiedAndUsedAgain() {
        var detector = detector
        #expect(detector.advance(to: snapshot([4, 5, 6], after: 3, begun: 0)) == .lost)
    }

    @Test func theNewestEntriesAreLost() {
        var detector = detector
        #expect(detector.advance(to: snapshot([1, 2], after: 3)) == .lost)
    }

    @Test func asManyAddedAsWereLost() {
        var detector = detector
        #expect(detector.advance(to: snapshot([1, 4, 5], after: 3)) == .lost)
    }

    @Test func trimmedBeforeReading() {
        var detector = detector
        #expect(detector.advance(to: snapshot([6, 7], after: 3, added: 7, trimmed: 5)) == .lost)
    }

    @Test func trimmedBeforeReadingASnapshotAtItsLimit() {
        var detector = detector
        let part = snapshot([6, 7], after: 3, added: 9, trimmed: 5, isComplete: false)
        #expect(detector.advance(to: part) == .lost)
    }

    @Test func acknowledgedMessagesMustBeThere() {
        let entries = snapshot([1, 2, 3, 4, 6], after: 3)
        var detector = detector
        #expect(detector.advance(to: entries, acknowledged: [Self.time(4), Self.time(6)]) == .intact)
        for lost in [5, 7] as [Int64] {
            var detector = self.detector
            #expect(detector.advance(to: entries, acknowledged: [Self.time(4), Self.time(lost)]) == .lost)
        }
    }

    @Test func acknowledgedMessagesMayFollowInTheNextSnapshot() {
        let part = snapshot([1, 2, 3, 4, 6], after: 3, added: 9, isComplete: false)
        var detector = detector
        #expect(detector.advance(to: part, acknowledged: [Self.time(4), Self.time(7)]) == .intact)
        var other = self.detector
        #expect(other.advance(to: part, acknowledged: [Self.time(5)]) == .lost)
    }

    @Test func aLossReportedByAnotherServer() {
        var detector = detector
        #expect(detector.advance(to: snapshot([1, 2, 3, 4], after: 3, begun: 4)) == .lossReported)
    }

    /// The report counts more than this server's own finding.
    @Test func aReportedLossThatIsDetectedHereToo() {
        var detector = detector
        #expect(detector.advance(to: snapshot([1, 5], after: 3, begun: 4)) == .lossReported)
    }

    /// As in a replica that lags. No other server has reported that.
    @Test func begunHasMovedBack() {
        var detector = LossDetector(snapshot([1, 2, 3], after: 3, begun: 2))
        #expect(detector.advance(to: snapshot([1, 2, 3], after: 3, begun: 1)) == .lost)
    }

    @Test func messagesAreHeldFromTheFirstEntryOn() {
        #expect(snapshot([5, 6], after: 0, added: 2, begun: 1).heldAfter == Self.time(1))
        let trimmed = snapshot([5, 6], after: 0, added: 3, begun: 1, trimmed: 1)
        #expect(trimmed.heldAfter?.nanosecondsSinceEpoch == 4_999_999)
    }
}
