import Messenger
import Testing

@testable import Client

@Suite struct HTTPMemoryTests {
    @Test func noMoreIsReservedThanThereIs() {
        let memory = HTTPMemory(limit: 10)
        #expect(memory.reserve(6))
        #expect(!memory.reserve(5))
        #expect(memory.usedBytes == 6)
        memory.release(6)
        #expect(memory.reserve(10))
    }

    /// Half of it, so that a slow reader leaves room for others; and what comes back is fetched again, in order.
    @Test func messagesThatAreFetchedCountUntilTheyAreDelivered() {
        let cost = MessageBuffer.cost(of: .numbered(0))
        let memory = HTTPMemory(limit: 5 * cost)
        let inbox = Inbox(capacity: .mebibytes(1))
        for number in 0..<5 { #expect(inbox.offer(.numbered(number))) }
        var first: HTTPMemory.Lease? = memory.lease(from: inbox)
        #expect(first?.delivery.messages == [.numbered(0), .numbered(1)])
        #expect(memory.usedBytes == 2 * cost)
        #expect(inbox.counters.leasedMessages == 2 && inbox.counters.leasedBytes == 2 * cost)
        #expect(memory.lease(from: inbox).delivery.messages.isEmpty)
        first = nil
        #expect(memory.usedBytes == 0 && inbox.counters.leasedMessages == 0)
        let second = memory.lease(from: inbox)
        #expect(second.delivery.messages == [.numbered(0), .numbered(1)])
        second.delivery.confirm()
        #expect(inbox.counters.leasedMessages == 0 && inbox.counters.messages == 3)
    }

    /// It could never be fetched otherwise.
    @Test func aMessageThatIsTooLongAloneIsFetched() {
        let memory = HTTPMemory(limit: 1)
        let inbox = Inbox(capacity: .mebibytes(1))
        #expect(inbox.offer(.numbered(0)) && inbox.offer(.numbered(1)))
        #expect(memory.lease(from: inbox).delivery.messages == [.numbered(0)])
    }
}
