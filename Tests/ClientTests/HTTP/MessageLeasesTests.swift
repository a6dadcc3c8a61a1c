import HTTPServing
import Messenger
import Testing

@testable import Client

@Suite struct MessageLeasesTests {
    /// Half of it, so that a slow reader leaves room for others; and what comes back is fetched again, in order.
    @Test func messagesThatAreFetchedCountUntilTheyAreDelivered() {
        let cost = MessageBuffer.cost(of: .numbered(0))
        let memory = HTTPMemory(limit: 5 * cost)
        let inbox = Inbox(capacity: .mebibytes(1))
        for number in 0..<5 { #expect(inbox.offer(.numbered(number))) }
        let leases = MessageLeases(inbox: inbox, memory: memory)
        var first: MessageLeases.Lease? = leases.take()
        #expect(first?.delivery.messages == [.numbered(0), .numbered(1)])
        #expect(memory.usedBytes == 2 * cost)
        #expect(inbox.counters.leasedMessages == 2 && inbox.counters.leasedBytes == 2 * cost)
        #expect(leases.take().delivery.messages.isEmpty)
        first = nil
        #expect(memory.usedBytes == 0 && inbox.counters.leasedMessages == 0)
        let second = leases.take()
        #expect(second.delivery.messages == [.numbered(0), .numbered(1)])
        second.delivery.acknowledge()
        #expect(inbox.counters.leasedMessages == 0 && inbox.counters.messages == 3)
    }

    /// It could never be fetched otherwise.
    @Test func aMessageThatIsTooLongAloneIsFetched() {
        let inbox = Inbox(capacity: .mebibytes(1))
        let leases = MessageLeases(inbox: inbox, memory: HTTPMemory(limit: 1))
        #expect(inbox.offer(.numbered(0)) && inbox.offer(.numbered(1)))
        #expect(leases.take().delivery.messages == [.numbered(0)])
    }
}
