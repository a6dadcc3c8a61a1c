import Messenger
import NIOCore
import NIOHTTP1
import Synchronization
import Testing

@testable import Client

@Suite(.timeLimit(.minutes(1))) struct SendLimitTests {
    @Test func moreSendsThanMayBeUnderWayAreRefused() throws {
        let room = FakeRoom(answersLater: true)
        var settings = try ClientSettings.forTests()
        settings.httpConnections = 1
        let routes = Routes(room: room, inbox: Inbox(capacity: 1), memory: HTTPMemory(limit: 1), settings: settings)
        let head = HTTPRequestHead(version: .http1_1, method: .POST, uri: "/sendMessage")
        let request = HTTPRequest(head: head, body: ByteBuffer(string: #"{"author":"Ivan","text":"hey"}"#))
        let statuses = Mutex<[HTTPResponseStatus]>([])
        func send() throws {
            guard case .whenOpen(let reply) = try routes.route(for: head).answer(request),
                case .later(let start) = try reply()
            else {
                Issue.record("a send calls back")
                return
            }
            _ = start { response in statuses.withLock { $0.append(response.status) } }
        }
        // A reply that is not begun, as its connection has gone, does not count.
        _ = try routes.route(for: head).answer(request)
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
