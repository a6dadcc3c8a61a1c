import TestSupport
import Testing

@testable import Messenger

@Suite struct LogTextTests {
    @Test(arguments: [
        ("a\nb\tc", #"a\nb\tc"#), ("\u{0}\u{1B}[31m", #"\0\u{1B}[31m"#),
        ("a\u{2028}b\u{85}", #"a\u{2028}b\u{0085}"#),
        ("\u{202E}txt.exe", #"\u{202E}txt.exe"#),
        ("\u{2066}\u{2069}\u{200F}\u{61C}", #"\u{2066}\u{2069}\u{200F}\u{061C}"#),
        ("a\u{200B}\u{FEFF}\u{3164}\u{E0041}", #"a\u{200B}\u{FEFF}\u{3164}\u{000E0041}"#), ("a\u{A0}b", #"a\u{00A0}b"#),
        (#"C:\u{202E}"#, #"C:\\u{202E}"#), ("Привет, 世界 🙂", "Привет, 世界 🙂"),
    ])
    func whatIsNotSeenIsEscaped(text: String, expected: String) {
        #expect(Array(LogText.escaping(text).utf8) == Array(expected.utf8))
    }

    @Test(arguments: [
        ("", "\"\""), ("word", "word"), ("a b", #""a b""#), ("a=b", #""a=b""#),
        (#"x\" y=z"#, #""x\\\" y=z""#),
    ])
    func valuesAreWords(text: String, expected: String) {
        #expect(LogText.quoting(text) == expected)
    }

    @Test(arguments: [LogText.escaping, LogText.quoting, LogText.concealingPasswords])
    func combiningMarksTakeLinearTime(function: @Sendable (String) -> String) {
        let text = CombiningMarks.text(bytes: 32 << 10) + "@"
        #expect(processorTime { _ = function(text) } < .milliseconds(200))
    }

    private static let lines = [
        ("'redis://ann:s3cret@host/room' is invalid", "'redis://***@host/room' is invalid"),
        ("redis://:p@ss@word@host:1/room and more", "redis://***@host:1/room and more"),
        ("redis://[USER:PASSWORD@]HOST", "redis://[USER:PASSWORD@]HOST"),
        ("'redis://ann:s3 cr et@host/room' is invalid", "'redis://***@host/room' is invalid"),
        ("redis://a:b@c, redis://d:e@f", "redis://***@f"),
        ("redis://host/room", "redis://host/room"),
        (
            "expected redis://[USER:PASSWORD@]HOST, not redis://ann:x@host",
            "expected redis://[USER:PASSWORD@]HOST, not redis://***@host"
        ),
        ("'ann:s3cret@host:1' is invalid", "'***@host:1' is invalid"),
        ("'redis:/ann:s3cret@host/room' is invalid", "'***@host/room' is invalid"),
        ("write to ann@host://x", "write to ann@host://x"),
        ("", ""),
    ]

    @Test(arguments: lines)
    func passwordsAreNotShown(line: String, expected: String) {
        #expect(LogText.concealingPasswords(line) == expected)
    }
}
