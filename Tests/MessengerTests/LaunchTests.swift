import ArgumentParser
import Messenger
import Testing

@Suite struct LaunchTests {
    private struct Command: AsyncParsableCommand {
        @OptionGroup(of: SharedSettings.self) var settings: SharedSettings
        @Flag("Fail.") var fail = false

        func run() async throws {
            if fail { throw StartError(.unavailable, "Port 8080 is\ntaken.") }
        }
    }

    @Test func aNormalEndExitsWithZero() async {
        await #expect(processExitsWith: .exitCode(0)) { await Command.launch([]) }
    }

    @Test func aBadFlagIsOneLineAndExitCode64() async throws {
        let result = try await #require(processExitsWith: .exitCode(64), observing: [\.standardErrorContent]) {
            await Command.launch(["--log-level", "loud"])
        }
        let lines = String(decoding: result.standardErrorContent, as: UTF8.self).split(separator: "\n")
        #expect(lines.count == 1)
        #expect(lines.first?.hasPrefix("Error: The value 'loud' is invalid for '--log-level'") == true)
    }

    @Test func anUnknownFlagExitsWith64() async {
        await #expect(processExitsWith: .exitCode(64)) { await Command.launch(["--loud"]) }
    }

    @Test func aStartErrorIsOneLineAndItsOwnExitCode() async throws {
        let result = try await #require(processExitsWith: .exitCode(69), observing: [\.standardErrorContent]) {
            await Command.launch(["--fail"])
        }
        #expect(String(decoding: result.standardErrorContent, as: UTF8.self) == "Error: Port 8080 is taken.\n")
    }

    @Test func helpGoesToStandardOutput() async throws {
        let result = try await #require(processExitsWith: .exitCode(0), observing: [\.standardOutputContent]) {
            await Command.launch(["--help"])
        }
        #expect(String(decoding: result.standardOutputContent, as: UTF8.self).contains("MESSENGER_LOG_LEVEL"))
    }
}
