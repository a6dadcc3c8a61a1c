import Testing

@testable import Messenger

@Suite struct LogTextTests {
    private static let lines = [
        ("'redis://ann:s3cret@host/room' is invalid", "'redis://***@host/room' is invalid"),
        ("redis://:p@ss@word@host:1/room and more", "redis://***@host:1/room and more"),
        ("redis://[USER:PASSWORD@]HOST", "redis://[USER:PASSWORD@]HOST"),
        ("redis://host/room", "redis://host/room"),
        ("write to ann@host://x", "write to ann@host://x"),
        ("", ""),
    ]

    @Test(arguments: lines)
    func passwordsAreNotShown(line: String, expected: String) {
        #expect(LogText.concealingPasswords(line) == expected)
    }
}
