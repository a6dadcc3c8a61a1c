import ServiceLifecycle
import Testing

@testable import Messenger

@Suite struct ServiceNameTests {
    private struct Talkative: Service, CustomStringConvertible {
        var description: String { "with all its settings, also those that are secret" }

        func run() async throws {}
    }

    @Test func aServiceHasTheNameOfItsType() {
        let configuration = ServiceGroupConfiguration([Talkative()], gracefulShutdownSignals: [])
        #expect(configuration.services.map(\.serviceName) == ["Talkative"])
    }
}
