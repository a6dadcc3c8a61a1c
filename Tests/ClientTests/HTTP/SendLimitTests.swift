import HTTPServing
import Messenger
import NIOCore
import NIOHTTP1
import Synchronization
import Testing

@testable import Client

@Suite(.timeLimit(.minutes(5))) struct SendLimitTests {
    @Test func moreSendsThanMayBeUnderWayAreRefused() throws {
        let room = FakeRoom(answersLater: true)
        var settings = try ClientSettings.forTests()
        settings.httpConnections = 1
        let routes = Routes(
            room: room,
            inbox: Inbox(capacity: 1),
            events: EventHub(room: room, maxReaders: 1, pingInterval: .seconds(15), logger: .quiet),
            memory: HTTPMemory(limit: 1),
            settings: settings
        )
        let route = try #require(routes.all.first { $0.path == "/sendMessage" })
        let head = HTTPRequestHead(version: .http1_1, method: .POST, uri: "/sendMessage")
        let request = HTTPRequest(head: head, body: ByteBuffer(string: #"{"author":"Ivan","text":"hey"}"#))
        let statuses = Mutex<[HTTPResponseStatus]>([])
        func send() throws {
            guard case .callback(let start) = try route.answer(request) else {
                Issue.record("a send calls back")
                return
            }
            _ = start { result in
                statuses.withLock { statuses in
                    switch result {
                    case .success(let response): statuses.append(response.status)
                    case .failure(let failure): statuses.append(failure.status)
                    }
                }
            }
        }
        // A reply that is not begun, as its connection has gone, does not count.
        _ = try route.answer(request)
        try send()
        try send()
        #expect(statuses.withLock { $0 } == [.serviceUnavailable])
        room.answerAll()
        // Neither the one that is over nor the one that was refused counts any longer.
        try send()
        room.answerAll()
        #expect(statuses.withLock { $0 } == [.serviceUnavailable, .ok, .ok])
        #expect(room.sent.count == 2)
    }
}
