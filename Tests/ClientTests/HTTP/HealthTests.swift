import Messenger
import NIOHTTP1
import Testing

@testable import Client

@Suite struct HealthTests {
    @Test func isAliveWhateverTheStreamDoes() async throws {
        let room = FakeRoom(hasBeenOpen: false, subscription: SubscriptionStatus(stream: .closed, gaps: 0))
        try await withHTTP(room: room) { client in
            try await client.execute(uri: "/healthz", method: .GET) { response in
                #expect(response.status == .ok)
                #expect(response.text == #"{"status":"ok"}"#)
            }
        }
    }

    @Test func isReadyWhileTheBufferIsFull() async throws {
        try await withHTTP(room: FakeRoom(subscription: SubscriptionStatus(stream: .paused, gaps: 0))) { client in
            try await client.execute(uri: "/readyz", method: .GET) { response in
                #expect(response.status == .ok)
                #expect(response.text.hasPrefix(#"{"status":"ready","stream":"paused","gaps":0,"#))
            }
        }
    }

    @Test func isReadyWhileTheStreamIsOpen() async throws {
        let inbox = Inbox(capacity: .mebibytes(1))
        try await inbox.append(.numbered(0))
        inbox.lease().acknowledge()
        try await inbox.append(.numbered(1))
        let room = FakeRoom(subscription: SubscriptionStatus(stream: .open, gaps: 3))
        try await withHTTP(room: room, inbox: inbox) { client in
            try await client.execute(uri: "/readyz", method: .GET) { response in
                #expect(response.status == .ok)
                #expect(
                    response.text
                        == #"{"status":"ready","stream":"open","gaps":3,"received":2,"buffered":1,"#
                        + #""bufferedBytes":\#(MessageBuffer.cost(of: .numbered(1))),"leased":0,"leasedBytes":0}"#
                )
            }
        }
    }

    @Test(arguments: [SubscriptionStatus.Stream.connecting, .reconnecting, .closed])
    func isNotReadyWhileTheStreamIsNotOpen(stream: SubscriptionStatus.Stream) async throws {
        let room = FakeRoom(subscription: SubscriptionStatus(stream: stream, gaps: 0))
        try await withHTTP(room: room) { client in
            try await client.execute(uri: "/readyz", method: .GET) { response in
                #expect(response.status == .serviceUnavailable)
                #expect(response.text.hasPrefix(#"{"status":"not ready","stream":"\#(stream.rawValue)","gaps":0,"#))
            }
        }
    }
}
