import Messenger
import Testing

@testable import Client

@Suite(.timeLimit(.minutes(5))) struct InboxTests {
    /// An inbox with space for `count` messages made by `numbered(_:)`.
    private func makeInbox(capacity count: Int) throws -> Inbox {
        Inbox(capacity: try #require(ByteCount(bytes: count * MessageBuffer.cost(of: .numbered(0)))))
    }

    @Test func leaseReturnsAllMessagesAndEmptiesTheInbox() async throws {
        let inbox = try makeInbox(capacity: 2)
        try await inbox.append(.numbered(0))
        try await inbox.append(.numbered(1))
        #expect(
            inbox.counters == Inbox.Counters(messages: 2, bytes: 2 * MessageBuffer.cost(of: .numbered(0)), received: 2)
        )

        let lease = inbox.lease()
        #expect(lease.messages == [.numbered(0), .numbered(1)])
        lease.acknowledge()
        #expect(inbox.counters == Inbox.Counters(messages: 0, bytes: 0, received: 2))
        #expect(inbox.lease().messages.isEmpty)
    }

    @Test func aLeaseKnowsWhetherTheInboxHasMore() async throws {
        let inbox = try makeInbox(capacity: 3)
        let cost = MessageBuffer.cost(of: .numbered(0))
        // Later messages do not belong to this lease.
        let empty = inbox.lease(maxBytes: cost)
        for number in 0..<3 { try await inbox.append(.numbered(number)) }
        let first = inbox.lease(maxBytes: cost)
        let second = inbox.lease(maxBytes: 0)
        let rest = inbox.lease(maxBytes: 2 * cost)
        #expect([empty, first, second, rest].map(\.hasMore) == [false, true, true, false])
        #expect([empty, first, second, rest].map(\.messages.count) == [0, 1, 0, 2])
    }

    @Test func messagesReturnIfTheLeaseIsNotAcknowledged() async throws {
        let inbox = try makeInbox(capacity: 2)
        try await inbox.append(.numbered(0))
        do {
            let lease = inbox.lease()
            try await inbox.append(.numbered(1))
            #expect(inbox.counters.messages == 1)
            #expect(lease.messages == [.numbered(0)])
        }
        #expect(inbox.lease().messages == [.numbered(0), .numbered(1)])
    }

    @Test func aFullInboxBlocksTheProducerUntilALeaseIsAcknowledged() async throws {
        let inbox = try makeInbox(capacity: 1)
        try await inbox.append(.numbered(0))
        let producer = Task { try await inbox.append(.numbered(1)) }

        let lease = inbox.lease()
        #expect(inbox.counters.messages == 0, "Leased messages count against the budget.")
        lease.acknowledge()
        try await producer.value
        #expect(inbox.lease().messages == [.numbered(1)])
    }

    @Test func cancellationEndsTheProducersWait() async throws {
        let inbox = try makeInbox(capacity: 1)
        try await inbox.append(.numbered(0))
        let producer = Task { try await inbox.append(.numbered(1)) }
        producer.cancel()
        await #expect(throws: CancellationError.self) { try await producer.value }
        #expect(inbox.counters.messages == 1)
        #expect(inbox.counters.received == 1)
    }

    @Test(arguments: [false, true])
    func concurrentLeasesReturnEachMessageOnce(everyOtherLeaseFails: Bool) async throws {
        let count = 10_000
        let inbox = try makeInbox(capacity: 100)
        let fetched = try await withThrowingTaskGroup(of: [Message].self) { group in
            for _ in 0..<4 {
                group.addTask {
                    var messages: [Message] = []
                    var fails = false
                    while !Task.isCancelled {
                        let lease = inbox.lease()
                        if !fails {
                            messages += lease.messages
                            lease.acknowledge()
                        }
                        fails = everyOtherLeaseFails && !fails
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
        if !everyOtherLeaseFails {
            for messages in fetched {
                #expect(
                    zip(messages, messages.dropFirst()).allSatisfy { $0.sendTime < $1.sendTime },
                    "Each reader gets them in order."
                )
            }
        }
        let rest = inbox.lease().messages
        #expect(
            (fetched.flatMap { $0 } + rest).sorted { $0.sendTime < $1.sendTime } == (0..<count).map { .numbered($0) }
        )
    }
}
