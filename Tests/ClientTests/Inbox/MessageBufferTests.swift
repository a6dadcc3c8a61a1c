import Messenger
import Testing

@testable import Client

@Suite struct MessageBufferTests {
    private let cost = MessageBuffer.cost(of: .numbered(0))

    private func makeBuffer(holding count: Int, capacity: Int) -> MessageBuffer {
        var buffer = MessageBuffer(capacity: capacity * cost)
        for number in 0..<count {
            #expect(buffer.append(.numbered(number)) == true)
        }
        return buffer
    }

    @Test func keepsTheOrder() {
        var buffer = makeBuffer(holding: 3, capacity: 3)
        #expect(buffer.lease().messages == [.numbered(0), .numbered(1), .numbered(2)])
        #expect(buffer.messages.isEmpty)
        #expect(buffer.bytes == 0)
    }

    @Test func exceedsTheBudgetAsFarAsAllowed() {
        var buffer = makeBuffer(holding: 2, capacity: 2)
        #expect(!buffer.isOverBudget)
        #expect(buffer.append(.numbered(2), beyondBudget: cost) == true)
        #expect(buffer.isOverBudget)
        #expect(buffer.append(.numbered(3), beyondBudget: cost) == false)
        #expect(buffer.append(.numbered(3)) == false)
        let batch = buffer.lease()
        #expect(batch.messages == [.numbered(0), .numbered(1), .numbered(2)])
        buffer.acknowledge(batch)
        #expect(!buffer.isOverBudget)
    }

    @Test func refusesMessagesBeyondTheBudget() {
        var buffer = makeBuffer(holding: 2, capacity: 2)
        #expect(buffer.append(.numbered(2)) == false)
        #expect(buffer.messages == [.numbered(0), .numbered(1)])
        #expect(buffer.bytes == 2 * cost)
    }

    @Test func countsBytesNotCharacters() {
        #expect(
            MessageBuffer.cost(of: .numbered(0, author: "Иван", text: "й")) == MessageBuffer.cost(
                of: .numbered(0, author: "", text: "")
            ) + 10
        )
    }

    @Test func anEmptyBufferAcceptsAnyMessage() {
        var buffer = MessageBuffer(capacity: 1)
        #expect(buffer.append(.numbered(0)) == true)
        #expect(buffer.append(.numbered(1)) == false)
        let batch = buffer.lease()
        #expect(buffer.append(.numbered(1)) == false)
        buffer.acknowledge(batch)
        #expect(buffer.append(.numbered(1)) == true)
    }

    @Test func leasedMessagesCountUntilAcknowledged() {
        var buffer = makeBuffer(holding: 2, capacity: 2)
        let batch = buffer.lease()
        #expect(buffer.leasedBytes == 2 * cost)
        #expect(buffer.append(.numbered(2)) == false)
        buffer.acknowledge(batch)
        #expect(buffer.leasedBytes == 0)
        #expect(buffer.append(.numbered(2)) == true)
    }

    @Test func returnedMessagesComeBeforeLaterOnes() {
        var buffer = makeBuffer(holding: 2, capacity: 4)
        let batch = buffer.lease()
        #expect(buffer.append(.numbered(2)) == true)
        buffer.putBack(batch)
        #expect(buffer.leasedBytes == 0)
        #expect(buffer.bytes == 3 * cost)
        #expect(buffer.lease().messages == [.numbered(0), .numbered(1), .numbered(2)])
    }

    @Test(arguments: [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]])
    func batchesMayReturnInAnyOrder(order: [Int]) {
        var buffer = MessageBuffer(capacity: 100 * cost)
        let batches = (0..<3).map { batch in
            for number in 0..<2 {
                #expect(buffer.append(.numbered(batch * 2 + number)) == true)
            }
            return buffer.lease()
        }
        #expect(buffer.append(.numbered(6)) == true)
        for index in order {
            buffer.putBack(batches[index])
        }
        #expect(buffer.messages == (0...6).map { .numbered($0) })
        #expect(buffer.bytes == 7 * cost)
    }

    @Test func anEmptyBatchChangesNothing() {
        var buffer = MessageBuffer(capacity: 100 * cost)
        let empty = buffer.lease()
        #expect(buffer.append(.numbered(0)) == true)
        buffer.putBack(empty)
        #expect(buffer.messages == [.numbered(0)])
    }
}
