import Logging
import Messenger
import Synchronization
import Testing

@Suite struct LineLogHandlerTests {
    private final class Lines: Sendable {
        private let text = Mutex("")

        func append(_ line: String) {
            self.text.withLock { $0 += line }
        }

        var all: String { self.text.withLock { $0 } }
    }

    private func makeLogger(_ lines: Lines, level: Logger.Level = .info) -> Logger {
        Logger(label: "client") { label in
            LineLogHandler(
                label: label,
                logLevel: level,
                now: { SendTime(nanosecondsSinceEpoch: 1_631_442_322_454_093_428) },
                write: lines.append
            )
        }
    }

    @Test func writesTimeLevelLabelMessageAndSortedMetadata() {
        let lines = Lines()
        var logger = self.makeLogger(lines)
        logger[metadataKey: "server"] = "localhost:51075"
        logger.notice("Stream opened.", metadata: ["attempt": "2", "after": "a b"])
        #expect(
            lines.all
                == "2021-09-12T10:25:22.454093428Z notice client: Stream opened. "
                + "after=\"a b\" attempt=2 server=localhost:51075\n"
        )
    }

    @Test func leavesOutEventsBelowTheLevel() {
        let lines = Lines()
        let logger = self.makeLogger(lines, level: .warning)
        logger.info("quiet")
        #expect(lines.all.isEmpty)
    }

    @Test(arguments: ["a\nb", "a\r\nb", "a\u{85}b", "a\u{2028}b", "a\u{1B}[31mb", "a\u{0}b"])
    func keepsEachEventOnOneLine(text: String) {
        let lines = Lines()
        self.makeLogger(lines).error("\(text)", metadata: ["reason": "\(text)", "\(text)": "1"])
        #expect(lines.all.filter(\.isNewline) == "\n")
        #expect(lines.all.last == "\n")
        #expect(!lines.all.dropLast().unicodeScalars.contains { $0.value < 0x20 })
    }

    @Test func eventMetadataWinsOverTheLoggers() {
        let lines = Lines()
        var logger = self.makeLogger(lines)
        logger[metadataKey: "try"] = "1"
        logger.info("x", metadata: ["try": "2"])
        #expect(lines.all.hasSuffix("client: x try=2\n"))
    }
}
