import Messenger
import Testing

@testable import Client

@Suite(.timeLimit(.minutes(1))) struct InboxTests {
    /// An inbox with room for so many messages made by `numbered(_:)`.
    private func makeInbox(roomFor count: Int) throws -> Inbox {
        Inbox(capacity: try #require(ByteCount(bytes: count * MessageBuffer.cost(of: .numbered(0)))))
    }

    @Test func flushReturnsWhatHasArrivedAndEmptiesTheInbox() async throws {
        let inbox = try self.makeInbox(roomFor: 2)
        try await inbox.append(.numbered(0))
        try await inbox.append(.numbered(1))
        #expect(
            inbox.counters == Inbox.Counters(messages: 2, bytes: 2 * MessageBuffer.cost(of: .numbered(0)), received: 2)
        )

        let delivery = inbox.flush()
        #expect(delivery.messages == [.numbered(0), .numbered(1)])
        delivery.confirm()
        #expect(inbox.counters == Inbox.Counters(messages: 0, bytes: 0, received: 2))
        #expect(inbox.flush().messages.isEmpty)
    }

    @Test func aDeliveryKnowsWhetherItWasCutShort() async throws {
        let inbox = try self.makeInbox(roomFor: 3)
        let cost = MessageBuffer.cost(of: .numbered(0))
        // What arrives after this one is no part of it.
        let empty = inbox.flush(atMost: cost)
        for number in 0..<3 { try await inbox.append(.numbered(number)) }
        let first = inbox.flush(atMost: cost)
        let second = inbox.flush(atMost: 0)
        let rest = inbox.flush(atMost: 2 * cost)
        #expect([empty, first, second, rest].map(\.isCutShort) == [false, true, true, false])
        #expect([empty, first, second, rest].map(\.messages.count) == [0, 1, 0, 2])
    }

    @Test func aDeliveryThatIsNotConfirmedComesBack() async throws {
        let inbox = try self.makeInbox(roomFor: 2)
        try await inbox.append(.numbered(0))
        do {
            let delivery = inbox.flush()
            try await inbox.append(.numbered(1))
            #expect(inbox.counters.messages == 1)
            #expect(delivery.messages == [.numbered(0)])
        }
        #expect(inbox.flush().messages == [.numbered(0), .numbered(1)])
    }

    @Test func aFullInboxHoldsTheProducerBackUntilADelivery() async throws {
        let inbox = try self.makeInbox(roomFor: 1)
        try await inbox.append(.numbered(0))
        let producer = Task { try await inbox.append(.numbered(1)) }

        let delivery = inbox.flush()
        #expect(inbox.counters.messages == 0, "What is being delivered counts against the budget.")
        delivery.confirm()
        try await producer.value
        #expect(inbox.flush().messages == [.numbered(1)])
    }

    @Test func cancellationEndsTheWaitOfTheProducer() async throws {
        let inbox = try self.makeInbox(roomFor: 1)
        try await inbox.append(.numbered(0))
        let producer = Task { try await inbox.append(.numbered(1)) }
        producer.cancel()
        await #expect(throws: CancellationError.self) { try await producer.value }
        #expect(inbox.counters.messages == 1)
        #expect(inbox.counters.received == 1)
    }

    @Test(arguments: [false, true])
    func concurrentFlushesReturnEachMessageOnceAndAllTogether(everyOtherDeliveryFails: Bool) async throws {
        let count = 10_000
        let inbox = try self.makeInbox(roomFor: 100)
        let fetched = try await withThrowingTaskGroup(of: [Message].self) { group in
            for _ in 0..<4 {
                group.addTask {
                    var messages: [Message] = []
                    var fails = false
                    while !Task.isCancelled {
                        let delivery = inbox.flush()
                        if !fails {
                            messages += delivery.messages
                            delivery.confirm()
                        }
                        fails = everyOtherDeliveryFails && !fails
                        await Task.yield()
                    }
                    return messages
                }
            }
            for number in 0..<count {
                try await inbox.append(.numbered(number))
            }
            group.cancelAll()
            return try await group.reduce(into: []) { $0.append($1) }
        }
        if !everyOtherDeliveryFails {
            for messages in fetched {
                #expect(
                    zip(messages, messages.dropFirst()).allSatisfy { $0.sendTime < $1.sendTime },
                    "Each fetcher sees the order."
                )
            }
        }
        let rest = inbox.flush().messages
        #expect(
            (fetched.flatMap { $0 } + rest).sorted { $0.sendTime < $1.sendTime } == (0..<count).map { .numbered($0) }
        )
    }
}
