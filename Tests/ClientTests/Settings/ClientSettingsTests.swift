import ArgumentParser
import Glibc
import HTTPServing
import Logging
import Testing

@testable import Client
@testable import Messenger

@Suite struct ClientSettingsTests {
    private func settings(_ arguments: [String] = [], environment: [String: String] = [:]) throws -> ClientSettings {
        try ClientSettings.parse(arguments) { environment[$0] }
    }

    @Test func defaults() throws {
        let settings = try self.settings()
        #expect(settings.serverAddress.description == "localhost:51075")
        #expect(settings.httpPort == 8080)
        #expect(settings.httpConnections == 4096)
        #expect(settings.httpIdleTimeout == .seconds(120))
        #expect(settings.httpRequestTimeout == .seconds(30))
        #expect(settings.shared.logLevel == .info)
        #expect(settings.openTimeout == .seconds(10))
        #expect(settings.sendTimeout == .seconds(10))
        #expect(settings.bufferBytes == .mebibytes(64))
        #expect(settings.shared.messageLimits == MessageLimits(authorBytes: 256, textBytes: 65536))
    }

    @Test func everySettingHasItsVariable() throws {
        let settings = try self.settings(environment: [
            "MESSENGER_SERVER_ADDR": "server:1",
            "MESSENGER_HTTP_PORT": "2",
            "MESSENGER_LOG_LEVEL": "debug",
            "MESSENGER_OPEN_TIMEOUT": "3s",
            "MESSENGER_SEND_TIMEOUT": "4s",
            "MESSENGER_BUFFER_BYTES": "5MiB",
            "MESSENGER_MAX_AUTHOR_BYTES": "6",
            "MESSENGER_MAX_TEXT_BYTES": "7",
            "MESSENGER_HTTP_CONNECTIONS": "8",
            "MESSENGER_HTTP_IDLE_TIMEOUT": "9s",
            "MESSENGER_HTTP_REQUEST_TIMEOUT": "10s",
        ])
        expectAll(settings)
    }

    @Test func everySettingHasItsFlag() throws {
        let settings = try self.settings(
            [
                "--server-addr", "server:1", "--http-port", "2", "--log-level", "debug", "--open-timeout", "3s",
                "--send-timeout", "4s", "--buffer-bytes", "5MiB", "--max-author-bytes", "6", "--max-text-bytes", "7",
                "--http-connections", "8", "--http-idle-timeout", "9s", "--http-request-timeout", "10s",
            ],
            environment: ["MESSENGER_SERVER_ADDR": "nonsense", "MESSENGER_HTTP_PORT": "9"]
        )
        expectAll(settings)
    }

    private func expectAll(_ settings: ClientSettings) {
        #expect(settings.serverAddress.description == "server:1")
        #expect(settings.httpPort == 2)
        #expect(settings.shared.logLevel == .debug)
        #expect(settings.openTimeout == .seconds(3))
        #expect(settings.sendTimeout == .seconds(4))
        #expect(settings.bufferBytes == .mebibytes(5))
        #expect(settings.shared.messageLimits == MessageLimits(authorBytes: 6, textBytes: 7))
        #expect(settings.httpConnections == 8)
        #expect(settings.httpIdleTimeout == .seconds(9))
        #expect(settings.httpRequestTimeout == .seconds(10))
    }

    @Test func connectionsLeaveHalfOfTheFileDescriptors() throws {
        let limits = try settings(["--http-connections", "1000000"]).httpLimits
        #expect(limits.connections == 1_000_000)
        #expect(limits.possibleConnections <= sysconf(Int32(_SC_OPEN_MAX)) / 2)
        #expect(try settings(["--http-connections", "1"]).httpLimits.possibleConnections == 1)
    }

    @Test func spacesAroundAllowedHostsAreIgnored() throws {
        let settings = try settings(["--http-allowed-hosts", " a.example,  b.example ,"])
        #expect(settings.httpAllowedHosts.names.count == 2)
    }

    @Test(arguments: [
        ("MESSENGER_SERVER_ADDR", "http://server:1"), ("MESSENGER_HTTP_PORT", "-1"), ("MESSENGER_LOG_LEVEL", "loud"),
        ("MESSENGER_OPEN_TIMEOUT", "2h"), ("MESSENGER_SEND_TIMEOUT", "0s"), ("MESSENGER_BUFFER_BYTES", "1"),
        ("MESSENGER_MAX_AUTHOR_BYTES", "0"), ("MESSENGER_MAX_TEXT_BYTES", "1GiB"),
        ("MESSENGER_HTTP_CONNECTIONS", "0"), ("MESSENGER_HTTP_IDLE_TIMEOUT", "60"),
        ("MESSENGER_HTTP_REQUEST_TIMEOUT", "2h"), ("MESSENGER_HTTP_ALLOWED_HOSTS", "*.example.com"),
        ("MESSENGER_HTTP_ALLOWED_HOSTS", "a.example b.example"), ("MESSENGER_HTTP_ALLOWED_HOSTS", "a.example:80"),
    ])
    func aBadVariableIsNamed(variable: String, value: String) {
        let error = #expect(throws: StartError.self) { try settings(environment: [variable: value]) }
        #expect(error?.code == .badConfiguration)
        #expect(error?.message.hasPrefix("The value '\(value)' is invalid for '\(variable)': expected ") == true)
    }
}
