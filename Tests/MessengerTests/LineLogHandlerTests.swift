import Logging
import Synchronization
import TestSupport
import Testing

@testable import Messenger

@Suite struct LineLogHandlerTests {
    private final class Lines: Sendable {
        private let text = Mutex("")

        func append(_ line: String) {
            text.withLock { $0 += line }
        }

        var all: String { text.withLock { $0 } }
    }

    private func makeLogger(_ lines: Lines, level: Logger.Level = .info, format: LogFormat = .text) -> Logger {
        Logger(label: "client") { label in
            LineLogHandler(
                label: label,
                logLevel: level,
                format: format,
                now: { SendTime(nanosecondsSinceEpoch: 1_631_442_322_454_093_428) },
                write: { line in lines.append(line()) }
            )
        }
    }

    @Test func writesTimeLevelLabelMessageAndSortedMetadata() {
        let lines = Lines()
        var logger = makeLogger(lines)
        logger[metadataKey: "server"] = "localhost:51075"
        logger.notice("stream open", metadata: ["attempt": "2", "after": "a b"])
        #expect(
            lines.all
                == "2021-09-12T10:25:22.454093428Z notice client: stream open "
                + "after=\"a b\" attempt=2 server=localhost:51075\n"
        )
    }

    @Test func writesTheSameKeysAsJSON() {
        let lines = Lines()
        var logger = makeLogger(lines, format: .json)
        logger[metadataKey: "server"] = "localhost:51075"
        logger.notice("stream open", metadata: ["attempt": "2", "after": "a b"])
        #expect(
            lines.all
                == #"{"time":"2021-09-12T10:25:22.454093428Z","level":"notice","program":"client","#
                + #""message":"stream open","after":"a b","attempt":"2","server":"localhost:51075"}"# + "\n"
        )
    }

    @Test func skipsEventsBelowTheLevel() {
        let lines = Lines()
        let logger = makeLogger(lines, level: .warning)
        logger.info("quiet")
        #expect(lines.all.isEmpty)
    }

    @Test(arguments: ["a\nb", "a\r\nb", "a\u{85}b", "a\u{2028}b", "a\u{1B}[31mb", "a\u{0}b"], LogFormat.allCases)
    func keepsEachEventOnOneLine(text: String, format: LogFormat) {
        let lines = Lines()
        makeLogger(lines, format: format).error("\(text)", metadata: ["reason": "\(text)", "\(text)": "1"])
        #expect(lines.all.filter(\.isNewline) == "\n")
        #expect(lines.all.last == "\n")
        #expect(!lines.all.dropLast().unicodeScalars.contains { $0.value < 0x20 })
    }

    @Test func eventMetadataWinsOverTheLoggers() {
        let lines = Lines()
        var logger = makeLogger(lines)
        logger[metadataKey: "try"] = "1"
        logger.info("x", metadata: ["try": "2"])
        #expect(lines.all.hasSuffix("client: x try=2\n"))
    }
}

@Suite struct LogTextTests {
    @Test(arguments: [
        ("a\nb\tc", #"a\nb\tc"#), ("\u{0}\u{1B}[31m", #"\0\u{1B}[31m"#),
        ("a\u{2028}b\u{85}", #"a\u{2028}b\u{0085}"#),
        ("\u{202E}txt.exe", #"\u{202E}txt.exe"#),
        ("\u{2066}\u{2069}\u{200F}\u{61C}", #"\u{2066}\u{2069}\u{200F}\u{061C}"#),
        ("a\u{200B}\u{FEFF}\u{3164}\u{E0041}", #"a\u{200B}\u{FEFF}\u{3164}\u{000E0041}"#), ("a\u{A0}b", #"a\u{00A0}b"#),
        (#"C:\u{202E}"#, #"C:\\u{202E}"#), ("Привет, 世界 🙂", "Привет, 世界 🙂"),
    ])
    func escapesInvisibleCharacters(text: String, expected: String) {
        #expect(Array(LogText.escaped(text).utf8) == Array(expected.utf8))
    }

    @Test(arguments: [
        ("", #""""#), (#"a "b" \"#, #""a \"b\" \\""#), ("a\n\u{202E}b", #""a\u000a\u202eb""#),
        ("\u{E0041}", #""\udb40\udc41""#), ("Привет 🙂", #""Привет 🙂""#),
    ])
    func escapesForJSON(text: String, expected: String) {
        #expect(Array(LogText.json(text).utf8) == Array(expected.utf8))
    }

    @Test(arguments: [
        ("", "\"\""), ("word", "word"), ("a b", #""a b""#), ("a=b", #""a=b""#),
        (#"x\" y=z"#, #""x\\\" y=z""#),
    ])
    func quotesValuesThatAreNotOneWord(text: String, expected: String) {
        #expect(LogText.quoted(text) == expected)
    }

    @Test(arguments: [LogText.escaped, LogText.quoted, LogText.json, LogText.redacted])
    func combiningMarksTakeLinearTime(function: @Sendable (String) -> String) {
        let text = CombiningMarks.text(bytes: 32 << 10) + "@"
        #expect(cpuTime { _ = function(text) } < .milliseconds(200))
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
    func redactsPasswords(line: String, expected: String) {
        #expect(LogText.redacted(line) == expected)
    }
}

@Suite struct LogRateLimiterTests {
    private let now = ContinuousClock.now

    @Test func admitsALineOnceAMinute() {
        var limiter = LogRateLimiter(linesPerMinute: 10)
        let suppressed = [0, 1, 59, 60, 61].map { limiter.admit("a", now: now + .seconds($0)) }
        #expect(suppressed == [0, nil, nil, 2, nil])
    }

    @Test func limitsDifferentLinesPerMinute() {
        var limiter = LogRateLimiter(linesPerMinute: 3)
        let suppressed = (0..<1000).map { limiter.admit("\($0)", now: now) }
        #expect(suppressed.compactMap(\.self) == [0, 0, 0])
        let later = limiter.admit("1000", now: now + .seconds(60))
        #expect(later == 997)
    }
}
