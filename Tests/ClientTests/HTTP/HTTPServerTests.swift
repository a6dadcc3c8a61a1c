import Messenger
import NIOHTTP1
import Testing

@testable import Client

@Suite(.timeLimit(.minutes(5))) struct HTTPServerTests {
    @Test func aPortInUseIsNamed() async throws {
        try await withHTTP { client in
            var settings = try ClientSettings.forTests()
            settings.httpPort = Port(UInt16(client.port))
            let error = await #expect(throws: StartError.self) { try await withHTTP(settings: settings) { _ in } }
            #expect(error?.code == .unavailable)
            #expect(
                error?.message.hasSuffix("Choose another port with MESSENGER_HTTP_PORT.") == true
            )
        }
    }

    @Test func aGracefulShutdownEndsTheWaitForTheFirstOpening() async throws {
        let room = FakeRoom(hasBeenOpen: false)
        var settings = try ClientSettings.forTests()
        settings.openTimeout = .seconds(3600)
        try await withHTTP(room: room, settings: settings) { client in
            async let status = client.execute(uri: "/getAndFlushMessages", method: .POST) { $0.status }
            try await waitUntil { room.streamOpened.waiterCount == 1 }
            await client.shutDown()
            #expect(try await status == .serviceUnavailable)
        }
    }
}
