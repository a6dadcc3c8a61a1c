import NIOCore
import NIOHTTP1
import Synchronization
import Testing

@testable import Client

@Suite(.timeLimit(.minutes(1))) struct SendLimitTests {
    @Test func moreSendsThanMayBeUnderWayAreRefused() throws {
        let room = FakeRoom(answersLater: true)
        let endpoint = SendMessageEndpoint(
            room: room,
            limits: ClientSettings.forTests.messageLimits,
            barrier: FirstOpeningBarrier(room: room, timeout: .seconds(3600)),
            sends: SendLimit(1)
        )
        let head = HTTPRequestHead(version: .http1_1, method: .POST, uri: "/sendMessage")
        let request = HTTPRequest(head, body: ByteBuffer(string: #"{"author":"Ivan","text":"hey"}"#))
        let statuses = Mutex<[HTTPResponseStatus]>([])
        func send() throws {
            guard case .begin(let begin) = try endpoint.reply(to: request) else {
                Issue.record("a send calls back")
                return
            }
            _ = begin { response in statuses.withLock { $0.append(response().status) } }
        }
        // A reply that is not begun, as its connection has gone, does not count.
        _ = try endpoint.reply(to: request)
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
