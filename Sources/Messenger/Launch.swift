public import ArgumentParser
internal import LibGRPC

extension AsyncParsableCommand {
    /// Parses the command line and the environment, runs the command and ends the process.
    ///
    /// An error is one line on standard error; ArgumentParser's `main()` would print the usage too. The exit code is 0
    /// after a normal end, ``StartError/Code/exitCode`` after a ``StartError``, 64 (`EX_USAGE`) after a bad command line
    /// and 1 after any other error.
    ///
    /// - Parameter arguments: The command line without the program's name; `nil` for the process's own.
    public static func launch(_ arguments: [String]? = nil) async -> Never {
        do {
            CoreEnvironment.clean()
            CoreTuning.skipDeadlockDetection()
            let words = try arguments ?? Platform.commandLine()
            var command = try parse(words, environment: Platform.environmentVariable)
            try Platform.raiseDescriptorLimit()
            try await command.run()
            Diagnostics.terminate(exitCode: 0)
        } catch let error as StartError {
            fail(error.message, exitCode: error.code.exitCode)
        } catch {
            let code = exitCode(for: error)
            // `--help` and `--version` are errors to ArgumentParser.
            if code.isSuccess { exit(withError: error) }
            let words = (try? arguments ?? Platform.commandLine()) ?? []
            fail(CommandLineError.message(message(for: error), arguments: words), exitCode: code.rawValue)
        }
    }

    private static func fail(_ message: String, exitCode: Int32) -> Never {
        let lines = message.utf8.split { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }
        let line = String(decoding: Array(lines.joined(separator: [UInt8(ascii: " ")])), as: UTF8.self)
        Diagnostics.write("Error: \(LogText.escaped(LogText.redacted(line)))\n")
        Diagnostics.terminate(exitCode: exitCode)
    }
}

/// ArgumentParser's message about a bad command line.
enum CommandLineError {
    /// The message. If there is an address on the command line, words that belong to no flag are left out: they may be
    /// parts of its password.
    static func message(_ message: String, arguments: [String]) -> String {
        let hasAddress = arguments.contains { $0.contains("://") || $0.contains("@") || $0.hasPrefix("--history") }
        return hasAddress ? withoutStrayWords(message) : message
    }

    private static func withoutStrayWords(_ message: String) -> String {
        if message.hasPrefix("Unexpected argument") || message.contains(" unexpected arguments: ") {
            return "Unexpected argument. Every setting is a flag; put a value with a space into quotation marks."
        }
        if message.hasPrefix("Unknown option '") {
            let names = message.split(separator: "'", omittingEmptySubsequences: false).dropFirst()
            return names.first.map(isFlag) ?? false ? message : "Unknown option. --help lists all of them."
        }
        if message.hasPrefix("Invalid option") { return "Invalid option. --help lists all of them." }
        if message.hasPrefix("The option '"), let value = message.firstRange(of: ", but '") {
            return message[..<value.lowerBound] + "."
        }
        return message
    }

    /// Whether it looks like `--http-port`.
    private static func isFlag(_ word: Substring) -> Bool {
        word.hasPrefix("--")
            && word.utf8.allSatisfy { $0 == UInt8(ascii: "-") || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) }
    }
}
