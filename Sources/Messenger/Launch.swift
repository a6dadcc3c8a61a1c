public import ArgumentParser
internal import GRPC

extension AsyncParsableCommand {
    /// Parses the command line, runs the command and ends the process.
    ///
    /// In place of ArgumentParser's own `main()`, which prints the usage below each error: here an error is one line on
    /// standard error. The exit code is 0 after a normal end, ``StartError/Code/exitCode`` after a ``StartError``,
    /// 64 (`EX_USAGE`) after a bad command line and 1 after any other error.
    ///
    /// - Parameter arguments: The command line without the program's name; `nil` takes the process's own.
    public static func launch(_ arguments: [String]? = nil) async -> Never {
        do {
            CoreEnvironment.clean()
            var command = try Self.parse(try arguments ?? Platform.commandLine())
            try Platform.raiseDescriptorLimit()
            try await command.run()
            Diagnostics.terminate(exitCode: 0)
        } catch let error as StartError {
            self.fail(error.message, exitCode: error.code.exitCode)
        } catch {
            let code = self.exitCode(for: error)
            // `--help` and `--version` come as errors too.
            if code.isSuccess { self.exit(withError: error) }
            self.fail(self.message(for: error), exitCode: code.rawValue)
        }
    }

    private static func fail(_ message: String, exitCode: Int32) -> Never {
        let lines = message.utf8.split { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }
        let line = String(decoding: Array(lines.joined(separator: [UInt8(ascii: " ")])), as: UTF8.self)
        Diagnostics.write("Error: \(LogText.escaping(LogText.concealingPasswords(line)))\n")
        Diagnostics.terminate(exitCode: exitCode)
    }
}
