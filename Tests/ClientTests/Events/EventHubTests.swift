import Messenger
import Synchronization
import Testing

@testable import Client

@Suite struct EventHubTests {
    /// Readers that leave are in the queue until the pages before them have been read.
    @Test func morePagesThanMayWaitAreRefused() {
        let hub = EventHub(room: FakeRoom(), maxReaders: 1, pingInterval: .seconds(15), logger: .quiet)
        let refused = Atomic(0)
        let message = ReadMessagesRequest(last: 1, untilNow: true, limit: 1)
        let request = EventPage.Request(message: message, epoch: 0, ringStart: nil, ringEnd: nil)
        func load() {
            hub.load(
                EventHub.PageLoad(request) { result in
                    if case .failure(.unavailable) = result { refused.add(1, ordering: .relaxed) }
                }
            )
        }
        for _ in 0..<EventHub.maxWaitingPages { load() }
        #expect(refused.load(ordering: .relaxed) == 0)
        load()
        #expect(refused.load(ordering: .relaxed) == 1)
    }
}
