import HTTPServing
import Messenger
import NIOCore
import NIOHTTP1
import Testing

@testable import Client

@Suite struct EventsRouteTests {
    /// Otherwise a reader that comes right after the answer could be refused.
    @Test func anAnswerWithoutABodyTakesNoPlace() throws {
        let hub = EventHub(room: FakeRoom(), maxReaders: 1, pingInterval: .seconds(15), logger: .quiet)
        let route = EventsRoute(hub: hub, memory: HTTPMemory(limit: 1)).route
        func ask(_ method: HTTPMethod) throws -> HTTPReply {
            let head = HTTPRequestHead(version: .http1_1, method: method, uri: "/events")
            return try route.answer(HTTPRequest(head: head, body: ByteBuffer()))
        }
        let answer = try ask(.HEAD)
        #expect(hub.readerCount == 0)
        let stream = try ask(.GET)
        #expect(hub.readerCount == 1)
        #expect(throws: HTTPFailure.self) { try ask(.HEAD) }
        extendLifetime((answer, stream))
    }
}
