import ArgumentParser
import Logging
import Testing

@testable import Messenger
@testable import Server

@Suite struct ServerSettingsTests {
    private func settings(_ arguments: [String] = [], environment: [String: String] = [:]) throws -> ServerSettings {
        try ServerSettings.parse(arguments) { environment[$0] }
    }

    @Test func defaults() throws {
        let settings = try settings()
        #expect(settings.serverPort == 51075)
        #expect(settings.shared.logLevel == .info)
        #expect(settings.shared.messageLimits == MessageLimits(authorBytes: 256, textBytes: 65536))
        #expect(settings.historyMessages == 1_000_000)
        #expect(settings.historyBytes == .mebibytes(256))
        #expect(settings.connectionBytes == .mebibytes(1024))
        #expect(settings.maxConnections == 10_000)
        #expect(settings.maxStreams == 1_000)
        #expect(settings.maxCalls == 20_000)
        #expect(!settings.usesTLS)
        #expect(settings.serverSocket == .none)
    }

    @Test func everySettingHasItsVariable() throws {
        try expectAll(
            settings(environment: [
                "MESSENGER_SERVER_PORT": "1",
                "MESSENGER_LOG_LEVEL": "debug",
                "MESSENGER_MAX_AUTHOR_BYTES": "2",
                "MESSENGER_MAX_TEXT_BYTES": "3",
                "MESSENGER_HISTORY_MESSAGES": "4",
                "MESSENGER_HISTORY_BYTES": "5MiB",
                "MESSENGER_MAX_CONNECTIONS": "6",
                "MESSENGER_MAX_STREAMS": "7",
                "MESSENGER_MAX_CALLS": "8",
                "MESSENGER_SERVER_SOCKET": "9",
                "MESSENGER_CONNECTION_BYTES": "16MiB",
            ])
        )
    }

    @Test func everySettingHasItsFlag() throws {
        try expectAll(
            settings(
                [
                    "--server-port", "1", "--log-level", "debug", "--max-author-bytes", "2", "--max-text-bytes", "3",
                    "--history-messages", "4", "--history-bytes", "5MiB", "--max-connections", "6",
                    "--max-streams", "7", "--max-calls", "8", "--server-socket", "9",
                    "--connection-bytes", "16MiB",
                ],
                environment: ["MESSENGER_SERVER_PORT": "nonsense", "MESSENGER_MAX_CALLS": "9"]
            )
        )
    }

    @Test(arguments: ["memory:", "sqlite:history.db"])
    func aHistoryAndItsFileExcludeEachOther(location: String) throws {
        var both = try settings(environment: ["MESSENGER_HISTORY": location, "MESSENGER_HISTORY_FILE": "file"])
        let error = #expect(throws: StartError.self) { try both.history.readHistoryFile() }
        #expect(error?.message.hasPrefix("Both MESSENGER_HISTORY and MESSENGER_HISTORY_FILE are set.") == true)
    }

    private func expectAll(_ settings: ServerSettings) {
        #expect(settings.serverPort == 1)
        #expect(settings.shared.logLevel == .debug)
        #expect(settings.shared.messageLimits == MessageLimits(authorBytes: 2, textBytes: 3))
        #expect(settings.historyMessages == 4)
        #expect(settings.historyBytes == .mebibytes(5))
        #expect(settings.maxConnections == 6)
        #expect(settings.maxStreams == 7)
        #expect(settings.maxCalls == 8)
        #expect(settings.serverSocket.path == "9")
        #expect(settings.connectionBytes == .mebibytes(16))
    }

    @Test(arguments: [
        ("MESSENGER_SERVER_PORT", "-1"), ("MESSENGER_HISTORY_MESSAGES", "0"), ("MESSENGER_HISTORY_BYTES", "1"),
        ("MESSENGER_CONNECTION_BYTES", "1MiB"), ("MESSENGER_MAX_CONNECTIONS", "0"),
        ("MESSENGER_MAX_CONNECTIONS", "1000001"), ("MESSENGER_MAX_STREAMS", "0"),
        ("MESSENGER_MAX_STREAMS", "many"), ("MESSENGER_MAX_CALLS", "0"), ("MESSENGER_MAX_CALLS", "-1"),
    ])
    func aBadVariableIsNamed(variable: String, value: String) {
        let error = #expect(throws: StartError.self) { try settings(environment: [variable: value]) }
        #expect(error?.code == .badConfiguration)
        #expect(error?.message.hasPrefix("The value '\(value)' is invalid for '\(variable)': expected ") == true)
    }
}
