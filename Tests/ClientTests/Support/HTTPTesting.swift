import Hummingbird
import HummingbirdTesting
import Logging
import Messenger

@testable import Client

/// Runs a test against the client's HTTP server.
func withHTTP<Value>(
    _ setup: TestingSetup = .router,
    room: FakeRoom = FakeRoom(),
    inbox: Inbox = Inbox(capacity: .mebibytes(64)),
    settings: ClientSettings = .forTests,
    test: @Sendable (any TestClientProtocol) async throws -> Value
) async throws -> Value {
    let application = makeHTTPApplication(settings: settings, inbox: inbox, room: room, logger: .silent)
    return try await application.test(setup, test)
}

extension ClientSettings {
    /// The defaults, on any free port.
    static var forTests: ClientSettings {
        ClientSettings(httpPort: 0)
    }
}

extension Logger {
    static let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
}

extension TestResponse {
    var text: String { String(buffer: self.body) }
}
