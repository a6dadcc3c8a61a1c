import ArgumentParser
import Logging
import Messenger
import Testing

@Suite struct SettingTests {
    private static let port = Setting<Port>("MESSENGER_HTTP_PORT", default: 8080, summary: "Port.")
    private static let timeout = Setting<Duration>(
        "MESSENGER_SEND_TIMEOUT",
        default: .seconds(10),
        in: .milliseconds(1) ... .seconds(3600),
        summary: "Time."
    )

    private struct Options: ParsableArguments {
        @Option(SettingTests.port) var port: Port?
        @Option(SettingTests.timeout) var timeout: Duration?
        @Option(.logLevel) var logLevel: Logger.Level?
    }

    @Test func flagWinsOverVariableAndVariableOverDefault() throws {
        let environment = ProcessEnvironment(["MESSENGER_HTTP_PORT": "2"])
        #expect(try Self.port.value(flag: 1, environment: environment) == 1)
        #expect(try Self.port.value(flag: nil, environment: environment) == 2)
        #expect(try Self.port.value(flag: nil, environment: ProcessEnvironment([:])) == 8080)
    }

    @Test func anEmptyVariableIsNotSet() throws {
        let environment = ProcessEnvironment(["MESSENGER_HTTP_PORT": ""])
        #expect(try Self.port.value(flag: nil, environment: environment) == 8080)
    }

    @Test func aBadVariableIsNamedWithItsValueAndWhatIsAllowed() {
        let error = #expect(throws: StartError.self) {
            try Self.port.value(flag: nil, environment: ProcessEnvironment(["MESSENGER_HTTP_PORT": "65536"]))
        }
        #expect(
            error?.message
                == "The value '65536' is invalid for 'MESSENGER_HTTP_PORT': expected a port number, 0...65535"
        )
        #expect(error?.code.exitCode == 78)
    }

    @Test(arguments: ["0s", "999us", "3601s", "2h"])
    func aVariableOutOfRangeIsRefusedWithTheRange(text: String) {
        let error = #expect(throws: StartError.self) {
            try Self.timeout.value(flag: nil, environment: ProcessEnvironment(["MESSENGER_SEND_TIMEOUT": text]))
        }
        #expect(error?.message.hasSuffix("expected a duration such as 500ms, 10s or 1m, from 1ms to 1h") == true)
    }

    @Test func flagsAreNamedAfterTheirVariables() throws {
        let options = try Options.parse(["--http-port", "0", "--send-timeout=1h", "--log-level", "DEBUG"])
        #expect(options.port == 0)
        #expect(options.timeout == .seconds(3600))
        #expect(options.logLevel == .debug)
    }

    @Test func flagsThatAreNotGivenAreNil() throws {
        let options = try Options.parse([])
        #expect(options.port == nil)
        #expect(options.timeout == nil)
        #expect(options.logLevel == nil)
    }

    @Test(arguments: [
        (
            ["--http-port", "x"],
            "The value 'x' is invalid for '--http-port <http-port>': expected a port number, 0...65535"
        ),
        (
            ["--send-timeout", "0s"],
            "The value '0s' is invalid for '--send-timeout <send-timeout>': "
                + "expected a duration such as 500ms, 10s or 1m, from 1ms to 1h"
        ),
        (
            ["--log-level", "loud"],
            "The value 'loud' is invalid for '--log-level <log-level>': "
                + "expected one of trace, debug, info, notice, warning, error, critical"
        ),
    ])
    func aBadFlagIsNamedWithItsValueAndWhatIsAllowed(arguments: [String], message: String) {
        let error = #expect(throws: (any Error).self) { try Options.parse(arguments) }
        #expect(error.map(Options.message(for:)) == message)
        #expect(error.map(Options.exitCode(for:))?.rawValue == 64)
    }

    @Test func helpShowsWhatIsAllowedTheVariableAndTheDefault() {
        let help = Options.helpMessage(columns: 200)
        let port = "Port. Takes a port number, 0...65535. (environment: MESSENGER_HTTP_PORT; default: 8080)"
        #expect(help.contains(port))
        let range = "a duration such as 500ms, 10s or 1m, from 1ms to 1h"
        #expect(help.contains("Time. Takes \(range). (environment: MESSENGER_SEND_TIMEOUT; default: 10s)"))
    }

    /// A value that may hold a password.
    private struct Secret: SettingValue {
        static var form: String { "a secret" }
        static var isSecret: Bool { true }
        static func objection(to settingText: String) -> String? { settingText == "short" ? "it is too short" : nil }
        init() {}
        init?(settingText: String) { guard settingText == "good" else { return nil } }
        var settingText: String { "" }
    }

    @Test(arguments: [("short", "it is too short"), ("hunter2", "expected a secret")])
    func aSecretIsNotQuoted(text: String, reason: String) throws {
        let setting = Setting<Secret>("MESSENGER_SECRET", default: Secret(), summary: "Secret.")
        let variable = #expect(throws: StartError.self) {
            try setting.value(secretFlag: nil, environment: ProcessEnvironment(["MESSENGER_SECRET": text]))
        }
        #expect(variable == StartError(.badConfiguration, "The value is invalid for 'MESSENGER_SECRET': \(reason)"))
        let flag = #expect(throws: StartError.self) {
            try setting.value(secretFlag: text, environment: ProcessEnvironment([:]))
        }
        #expect(flag == StartError(.badUsage, "The value is invalid for '--secret': \(reason)"))
        #expect(throws: Never.self) { try setting.value(secretFlag: "good", environment: ProcessEnvironment([:])) }
    }
}
