import Messenger
import NIOCore
import Testing

@testable import Client

@Suite struct EventRingTests {
    /// A ring of a server that sends positions. The numbers are those of ``Message/numbered(_:author:text:)``.
    private func ring(_ numbers: Range<Int>, start: Int = 0, capacity: Int = 1 << 20) -> EventRing {
        var ring = EventRing(capacity: capacity)
        ring.opened(at: time(start))
        for number in numbers { ring.append(Event(.numbered(number))) }
        return ring
    }

    private func time(_ number: Int) -> SendTime { Message.numbered(number).sendTime }

    @Test func findsTheFirstEventAfterATime() {
        let ring = ring(10..<13, start: 5)
        #expect(ring.index(after: time(4)) == nil)
        #expect(ring.index(after: time(5)) == 0)
        #expect(ring.index(after: time(9)) == 0)
        #expect(ring.index(after: time(10)) == 1)
        #expect(ring.index(after: time(11)) == 2)
        #expect(ring.index(after: time(12)) == 3)
        #expect(ring.index(after: time(99)) == 3)
    }

    @Test func aPositionIsTheTimeOfTheEventBefore() {
        let ring = ring(10..<12, start: 5)
        #expect(ring.position(before: 0) == time(5))
        #expect(ring.position(before: 1) == time(10))
        #expect(ring.position(before: 2) == time(11))
        #expect(ring.position(before: 3) == nil)
        #expect(EventRing(capacity: 1).position(before: 0) == nil)
    }

    @Test func oldEventsGoWhenTheMemoryIsUsedUp() {
        let cost = Event(.numbered(1)).cost
        var ring = ring(1..<101, capacity: 10 * cost)
        func batch(_ index: Int, _ count: Int) -> EventRing.Batch? { ring.batch(from: index, maxCount: count) }
        #expect(ring.startIndex == 90)
        #expect(ring.endIndex == 100)
        #expect(ring.start == time(90))
        #expect(ring.index(after: time(89)) == nil)
        #expect(ring.index(after: time(90)) == 90)
        #expect(batch(89, 1) == nil)
        #expect(batch(90, 1)?.lastTime == time(91))
    }

    @Test func oneEventIsHeldHoweverLargeItIs() {
        let ring = ring(1..<3, capacity: 1)
        #expect(ring.startIndex == 1)
        #expect(ring.endIndex == 2)
    }

    @Test func aResumedStreamAddsNothingTwice() {
        var ring = ring(1..<4)
        ring.closed()
        #expect(!ring.isOpen)
        #expect(ring.resumption == time(3))
        ring.opened(at: time(3))
        for number in 2..<6 { ring.append(Event(.numbered(number))) }
        #expect(ring.endIndex == 5)
        #expect(ring.index(after: time(3)) == 3)
    }

    @Test func aServerWithoutPositionsMayUseATimeTwice() {
        var ring = EventRing(capacity: 1 << 20)
        ring.opened(at: nil)
        ring.append(Event(.numbered(1)))
        ring.append(Event(.numbered(1)))
        #expect(ring.endIndex == 2)
        #expect(ring.resumption == nil)
        #expect(ring.index(after: time(0)) == nil)
        // It is replaced by one that sends them.
        ring.closed()
        ring.opened(at: time(7))
        #expect(ring.startIndex == 2)
        #expect(ring.endIndex == 2)
        #expect(ring.start == time(7))
        #expect(ring.epoch == 1)
    }

    @Test func indicesAreNotUsedAgainAfterAReset() {
        var ring = ring(1..<4)
        func batch(_ index: Int, _ count: Int) -> EventRing.Batch? { ring.batch(from: index, maxCount: count) }
        ring.reset()
        #expect(ring.startIndex == 3)
        #expect(ring.endIndex == 3)
        #expect(ring.hasPositions == nil)
        #expect(ring.end == nil)
        #expect(batch(3, 1) == nil)
    }

    @Test func aBatchHoldsAllThatFollowsUpToItsSize() throws {
        let text = String(repeating: "x", count: EventRing.batchBytes / 4)
        var ring = EventRing(capacity: 1 << 20)
        func batch(_ index: Int, _ count: Int) -> EventRing.Batch? { ring.batch(from: index, maxCount: count) }
        ring.opened(at: time(0))
        for number in 1...10 { ring.append(Event(.numbered(number, text: text))) }
        var index = 0
        var bytes = ByteBuffer()
        while let batch = batch(index, 100) {
            #expect(batch.indices == index..<min(index + 4, 10))
            bytes.writeImmutableBuffer(batch.bytes)
            index = batch.indices.upperBound
        }
        var expected = ByteBuffer()
        for number in 1...10 { expected.writeEvent(.numbered(number, text: text)) }
        #expect(bytes == expected)
    }

    @Test func readersThatFollowTogetherGetTheSameBytes() throws {
        var ring = ring(1..<4)
        func batch(_ index: Int, _ count: Int) -> EventRing.Batch? { ring.batch(from: index, maxCount: count) }
        let first = try #require(batch(0, 10))
        #expect(first.indices == 0..<3)
        #expect(batch(0, 10)?.bytes == first.bytes)
        #expect(batch(0, 2)?.indices == 0..<2)
        #expect(batch(1, 10)?.indices == 1..<3)
        ring.append(Event(.numbered(9)))
        #expect(batch(0, 10)?.indices == 0..<4)
        #expect(batch(1, 10)?.indices == 1..<4)
    }
}
