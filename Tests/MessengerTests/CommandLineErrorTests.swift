import Testing

@testable import Messenger

@Suite struct CommandLineErrorTests {
    @Test(arguments: [
        ("Unexpected argument 'hunter2'", "Unexpected argument."),
        ("2 unexpected arguments: 'a', 'hunter2'", "Unexpected argument."),
        ("Unknown option '-hunter2@host'", "Unknown option."), ("Unknown option '--hunter2'", "Unknown option."),
        ("Invalid option: hunter2", "Invalid option."),
        (
            "The option '--check' does not take any value, but 'hunter2' was specified.",
            "The option '--check' does not take any value."
        ),
    ])
    func strayWordsAreNotShown(message: String, start: String) {
        let shown = CommandLineError.message(message, arguments: ["--history", "redis://ivan:"])
        #expect(shown.hasPrefix(start))
        #expect(!shown.contains("hunter2"))
    }

    @Test(arguments: [
        "Unknown option '--http-prot'. Did you mean '--http-port'?", "Missing value for '--http-port <http-port>'",
        "The value 'x' is invalid for '--http-port <http-port>': expected a port number, 0...65535",
    ])
    func whatHelpsIsShown(message: String) {
        #expect(CommandLineError.message(message, arguments: ["redis://host/room"]) == message)
    }

    @Test func aStrayWordIsShownWhereThereIsNoAddress() {
        #expect(CommandLineError.message("Unexpected argument 'x'", arguments: ["x"]) == "Unexpected argument 'x'")
    }
}
