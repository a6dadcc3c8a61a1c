import Messenger
import Testing

@testable import Client

@Suite struct MessageBufferTests {
    private let cost = MessageBuffer.cost(of: .numbered(0))

    private func makeBuffer(holding count: Int, roomFor capacity: Int) -> MessageBuffer {
        var buffer = MessageBuffer(capacity: capacity * self.cost)
        for number in 0..<count {
            #expect(buffer.append(.numbered(number)) == true)
        }
        return buffer
    }

    @Test func keepsTheOrderOfArrival() {
        var buffer = self.makeBuffer(holding: 3, roomFor: 3)
        #expect(buffer.take().messages == [.numbered(0), .numbered(1), .numbered(2)])
        #expect(buffer.messages.isEmpty)
        #expect(buffer.heldBytes == 0)
    }

    @Test func exceedsTheBudgetAsFarAsItIsToldTo() {
        var buffer = self.makeBuffer(holding: 2, roomFor: 2)
        #expect(!buffer.isOverBudget)
        #expect(buffer.append(.numbered(2), beyondBudget: self.cost) == true)
        #expect(buffer.isOverBudget)
        #expect(buffer.append(.numbered(3), beyondBudget: self.cost) == false)
        #expect(buffer.append(.numbered(3)) == false)
        let batch = buffer.take()
        #expect(batch.messages == [.numbered(0), .numbered(1), .numbered(2)])
        buffer.settle(batch)
        #expect(!buffer.isOverBudget)
    }

    @Test func refusesWhatExceedsTheBudget() {
        var buffer = self.makeBuffer(holding: 2, roomFor: 2)
        #expect(buffer.append(.numbered(2)) == false)
        #expect(buffer.messages == [.numbered(0), .numbered(1)])
        #expect(buffer.heldBytes == 2 * self.cost)
    }

    @Test func countsTheBytesOfTheStrings() {
        #expect(
            MessageBuffer.cost(of: .numbered(0, author: "Иван", text: "й")) == MessageBuffer.cost(
                of: .numbered(0, author: "", text: "")
            ) + 10
        )
    }

    @Test func takesAMessageGreaterThanTheBudgetWhenThereIsNothingElse() {
        var buffer = MessageBuffer(capacity: 1)
        #expect(buffer.append(.numbered(0)) == true)
        #expect(buffer.append(.numbered(1)) == false)
        let batch = buffer.take()
        #expect(buffer.append(.numbered(1)) == false)
        buffer.settle(batch)
        #expect(buffer.append(.numbered(1)) == true)
    }

    @Test func messagesOutForDeliveryCountUntilTheyAreSettled() {
        var buffer = self.makeBuffer(holding: 2, roomFor: 2)
        let batch = buffer.take()
        #expect(buffer.deliveringBytes == 2 * self.cost)
        #expect(buffer.append(.numbered(2)) == false)
        buffer.settle(batch)
        #expect(buffer.deliveringBytes == 0)
        #expect(buffer.append(.numbered(2)) == true)
    }

    @Test func messagesThatComeBackAreBeforeTheLaterOnes() {
        var buffer = self.makeBuffer(holding: 2, roomFor: 4)
        let batch = buffer.take()
        #expect(buffer.append(.numbered(2)) == true)
        buffer.putBack(batch)
        #expect(buffer.deliveringBytes == 0)
        #expect(buffer.heldBytes == 3 * self.cost)
        #expect(buffer.take().messages == [.numbered(0), .numbered(1), .numbered(2)])
    }

    @Test(arguments: [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]])
    func batchesMayComeBackInAnyOrder(order: [Int]) {
        var buffer = MessageBuffer(capacity: 100 * self.cost)
        let batches = (0..<3).map { batch in
            for number in 0..<2 {
                #expect(buffer.append(.numbered(batch * 2 + number)) == true)
            }
            return buffer.take()
        }
        #expect(buffer.append(.numbered(6)) == true)
        for index in order {
            buffer.putBack(batches[index])
        }
        #expect(buffer.messages == (0...6).map { .numbered($0) })
        #expect(buffer.heldBytes == 7 * self.cost)
    }

    @Test func anEmptyBatchChangesNothing() {
        var buffer = MessageBuffer(capacity: 100 * self.cost)
        let empty = buffer.take()
        #expect(buffer.append(.numbered(0)) == true)
        buffer.putBack(empty)
        #expect(buffer.messages == [.numbered(0)])
    }
}
