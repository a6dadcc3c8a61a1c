import ArgumentParser
import Logging
import Testing

@testable import Messenger

@Suite struct SettingTests {
    /// A value that may hold a password.
    private struct Secret: SettingValue {
        static var form: String { "a secret" }
        static var isSecret: Bool { true }
        static func objection(to settingText: String) -> String? { settingText == "short" ? "it is too short" : nil }
        init() {}
        init?(settingText: String) { guard settingText == "good" else { return nil } }
        var settingText: String { "***" }
    }

    private struct Group: ParsableArguments {
        @Option("MESSENGER_SEND_TIMEOUT", in: .milliseconds(1) ... .seconds(3600), "Time.")
        var timeout: Duration = .seconds(10)
        @Option("MESSENGER_SECRET", "Secret.") var secret = Secret()
    }

    private struct Settings: ParsableArguments {
        @Option("MESSENGER_HTTP_PORT", "Port.") var port: Port = 8080
        @OptionGroup(of: Group.self) var group: Group
        @Option("MESSENGER_LOG_LEVEL", "Level.") var logLevel: Logger.Level = .info
        @Flag("Check.") var check = false
        @Option("Copy.", valueName: "file", transform: { $0 }) var backup: String?
    }

    private func settings(_ words: [String] = [], environment: [String: String] = [:]) throws -> Settings {
        try Settings.parse(words) { environment[$0] }
    }

    @Test func flagWinsOverVariableAndVariableOverDefault() throws {
        let environment = ["MESSENGER_HTTP_PORT": "2", "MESSENGER_SEND_TIMEOUT": "1s"]
        let settings = try settings(["--http-port", "1"], environment: environment)
        #expect(settings.port == 1)
        #expect(settings.group.timeout == .seconds(1))
        #expect(settings.logLevel == .info)
        #expect(try self.settings(environment: environment).port == 2)
        #expect(try self.settings(["--http-port=1"], environment: environment).port == 1)
    }

    @Test(arguments: [[], ["--http-port", "8080"]])
    func withoutItsFlagEverythingElseHasItsDefault(words: [String]) throws {
        let settings = try settings(words)
        #expect(settings.port == 8080)
        #expect(settings.group.timeout == .seconds(10))
        #expect(settings.check == false)
        #expect(settings.backup == nil)
        #expect(try self.settings(words + ["--check", "--backup=a"]).backup == "a")
    }

    @Test func theFirstBadVariableIsNamed() {
        let environment = ["MESSENGER_HTTP_PORT": "x", "MESSENGER_SEND_TIMEOUT": "y", "MESSENGER_LOG_LEVEL": "z"]
        let error = #expect(throws: StartError.self) { try settings(environment: environment) }
        #expect(error?.message.hasPrefix("The value 'x' is invalid for 'MESSENGER_HTTP_PORT'") == true)
    }

    @Test func anEmptyVariableIsNotSet() throws {
        #expect(try settings(environment: ["MESSENGER_HTTP_PORT": ""]).port == 8080)
    }

    @Test func aBadVariableDoesNotMatterIfItsFlagIsGiven() throws {
        #expect(try settings(["--http-port", "1"], environment: ["MESSENGER_HTTP_PORT": "x"]).port == 1)
    }

    @Test(arguments: ["--help", "-h"])
    func helpDoesNotReadTheEnvironment(flag: String) throws {
        let environment = ["MESSENGER_HTTP_PORT": "x"]
        let error = #expect(throws: (any Error).self) { try settings([flag], environment: environment) }
        #expect(error.map(Settings.exitCode(for:))?.rawValue == 0)
    }

    @Test func aBadVariableIsNamedWithItsValueAndWhatIsAllowed() {
        let error = #expect(throws: StartError.self) { try settings(environment: ["MESSENGER_HTTP_PORT": "65536"]) }
        #expect(
            error?.message
                == "The value '65536' is invalid for 'MESSENGER_HTTP_PORT': expected a port number, 0...65535"
        )
        #expect(error?.code.exitCode == 78)
    }

    @Test(arguments: ["0s", "999us", "3601s", "2h"])
    func aVariableOutOfRangeIsRefusedWithTheRange(text: String) {
        let error = #expect(throws: StartError.self) { try settings(environment: ["MESSENGER_SEND_TIMEOUT": text]) }
        #expect(error?.message.hasSuffix("expected a duration such as 500ms, 10s or 1m, from 1ms to 1h") == true)
    }

    @Test func flagsAreNamedAfterTheirVariables() throws {
        let settings = try settings(["--http-port", "0", "--send-timeout=1h", "--log-level", "DEBUG"])
        #expect(settings.port == 0)
        #expect(settings.group.timeout == .seconds(3600))
        #expect(settings.logLevel == .debug)
    }

    @Test(arguments: [
        (["--http-port", "x"], "The value 'x' is invalid for '--http-port': expected a port number, 0...65535"),
        (["--http-port=", "x"], "The value 'x' is invalid for '--http-port': expected a port number, 0...65535"),
        (
            ["--send-timeout=0s"],
            "The value '0s' is invalid for '--send-timeout': "
                + "expected a duration such as 500ms, 10s or 1m, from 1ms to 1h"
        ),
        (
            ["--log-level", "loud"],
            "The value 'loud' is invalid for '--log-level': "
                + "expected one of trace, debug, info, notice, warning, error, critical"
        ),
    ])
    func aBadFlagIsNamedWithItsValueAndWhatIsAllowed(words: [String], message: String) {
        let error = #expect(throws: StartError.self) { try settings(words) }
        #expect(error == StartError(.badUsage, message))
    }

    @Test(arguments: [("short", "it is too short"), ("hunter2", "expected a secret"), ("\u{FFFD}", "expected UTF-8")])
    func aSecretIsNotQuoted(text: String, reason: String) throws {
        let variable = #expect(throws: StartError.self) { try settings(environment: ["MESSENGER_SECRET": text]) }
        #expect(variable == StartError(.badConfiguration, "The value is invalid for 'MESSENGER_SECRET': \(reason)"))
        for words in [["--secret", text], ["--secret=\(text)"], ["--secret=", text], ["--secret", text, "--help"]] {
            let flag = #expect(throws: StartError.self) { try settings(words) }
            #expect(flag == StartError(.badUsage, "The value is invalid for '--secret': \(reason)"))
        }
        #expect(throws: Never.self) { try settings(["--secret", "good"]) }
    }

    @Test func helpShowsWhatIsAllowedTheVariableAndTheDefault() {
        let help = Settings.helpMessage(columns: 200)
        let port = "Port. Allowed: a port number, 0...65535. (environment: MESSENGER_HTTP_PORT; default: 8080)"
        #expect(help.contains(port))
        let range = "a duration such as 500ms, 10s or 1m, from 1ms to 1h"
        #expect(help.contains("Time. Allowed: \(range). (environment: MESSENGER_SEND_TIMEOUT; default: 10s)"))
    }

    @Test func theLogShowsAllSettings() throws {
        let metadata = try settings(["--secret", "good"], environment: ["MESSENGER_HTTP_PORT": "1"]).settingsMetadata
        #expect(metadata == ["port": "1", "timeout": "10s", "secret": "***", "logLevel": "info"])
    }
}
