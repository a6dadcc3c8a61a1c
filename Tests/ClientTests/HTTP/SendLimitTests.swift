import NIOCore
import NIOHTTP1
import Testing

@testable import Client

@Suite(.timeLimit(.minutes(1))) struct SendLimitTests {
    @Test func moreSendsThanMayBeUnderWayAreRefused() async throws {
        let room = FakeRoom(hasBeenOpen: false)
        let endpoint = SendMessageEndpoint(
            room: room,
            limits: ClientSettings.forTests.messageLimits,
            barrier: FirstOpeningBarrier(room: room, timeout: .seconds(3600)),
            sends: SendLimit(1)
        )
        let head = HTTPRequestHead(version: .http1_1, method: .POST, uri: "/sendMessage")
        let request = HTTPRequest(head, body: ByteBuffer(string: #"{"author":"Ivan","text":"hey"}"#))
        guard case .later(let send) = try endpoint.reply(to: request) else {
            Issue.record("a send waits for the room")
            return
        }
        async let first = send(Gate()).status
        try await waitUntil { room.firstOpening.waiterCount == 1 }
        await #expect(throws: HTTPFailure.tooManySends) { try await send(Gate()) }
        room.firstOpening.open()
        #expect(try await first == .ok)
        // Neither the one that is over nor the one that was refused counts any longer.
        #expect(try await send(Gate()).status == .ok)
        #expect(room.sent.count == 2)
    }
}
