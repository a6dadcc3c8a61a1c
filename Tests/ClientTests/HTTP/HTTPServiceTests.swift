import HummingbirdTesting
import Messenger
import ServiceLifecycle
import Testing

@testable import Client

@Suite(.timeLimit(.minutes(1))) struct HTTPServiceTests {
    @Test func aPortInUseIsNamed() async throws {
        try await withHTTP(.live) { client in
            let port = Port(UInt16(try #require(client.port)))
            var settings = ClientSettings.forTests
            settings.httpPort = port
            let application = makeHTTPApplication(
                settings: settings,
                inbox: Inbox(capacity: .mebibytes(1)),
                room: FakeRoom(),
                logger: .silent
            )
            let group = ServiceGroup(services: [HTTPService(application: application, port: port)], logger: .silent)
            let error = await #expect(throws: StartError.self) { try await group.run() }
            #expect(error?.code == .unavailable)
            #expect(
                error?.message == "Port \(port) is in use; choose another one with MESSENGER_HTTP_PORT or --http-port."
            )
        }
    }

    @Test func saysItsPortOnceItListensAndEndsOnAGracefulShutdown() async throws {
        let port = Gate()
        let application = makeHTTPApplication(
            settings: .forTests,
            inbox: Inbox(capacity: .mebibytes(1)),
            room: FakeRoom(),
            logger: .silent,
            onRunning: { if $0 != 0 { port.open() } }
        )
        let group = ServiceGroup(services: [HTTPService(application: application, port: 0)], logger: .silent)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            #expect(await port.wait())
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
        }
    }

    @Test func aGracefulShutdownEndsTheWaitForTheFirstOpening() async throws {
        let room = FakeRoom(hasBeenOpen: false)
        var settings = ClientSettings.forTests
        settings.openTimeout = .seconds(3600)
        let (ports, listening) = AsyncStream<Port>.makeStream()
        let application = makeHTTPApplication(
            settings: settings,
            inbox: Inbox(capacity: .mebibytes(1)),
            room: room,
            logger: .silent,
            onRunning: { listening.yield($0) }
        )
        let group = ServiceGroup(services: [HTTPService(application: application, port: 0)], logger: .silent)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            let port = try #require(await ports.first { _ in true })
            async let answer = RawConnection(port: Int(port.number))
                .exchange("POST /getAndFlushMessages HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
            try await waitUntil { room.firstOpening.waiterCount == 1 }
            await group.triggerGracefulShutdown()
            #expect(try await answer.hasPrefix("HTTP/1.1 503 "))
            try await tasks.waitForAll()
        }
    }
}
