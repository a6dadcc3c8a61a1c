import Dispatch
import Glibc
import Synchronization
import Testing

@testable import Messenger

@Suite struct LogWriterTests {
    /// A pipe of one page. The test decides when it is read.
    private final class Pipe {
        let reader: Int32
        let writer: Int32

        init(nonBlocking: Bool = false) {
            var ends: [Int32] = [-1, -1]
            pipe(&ends)
            (reader, writer) = (ends[0], ends[1])
            // F_SETPIPE_SZ, which is not imported.
            _ = fcntl(writer, 1031, 4096)
            if nonBlocking { _ = fcntl(writer, F_SETFL, O_NONBLOCK) }
        }

        deinit {
            close(reader)
            close(writer)
        }

        /// Reads what is in the pipe; waits if it is empty.
        func read() -> String {
            var bytes = [UInt8](repeating: 0, count: 4096)
            let count = Glibc.read(reader, &bytes, bytes.count)
            return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
        }

        /// Reads up to a line.
        func read(through line: String) -> String {
            var text = ""
            while !text.hasSuffix(line) { text += read() }
            return text
        }
    }

    private final class Counter: Sendable {
        private let count = Atomic(0)

        func next() -> Int { count.add(1, ordering: .relaxed).newValue }
    }

    private func makeWriter(_ descriptor: Int32, capacity: Int = 1 << 20) -> LogWriter {
        LogWriter(descriptor: descriptor, capacity: capacity) { "dropped \($0)\n" }
    }

    @Test(arguments: [false, true])
    func writesAllLinesInOrder(nonBlocking: Bool) {
        let pipe = Pipe(nonBlocking: nonBlocking)
        let writer = makeWriter(pipe.writer)
        let lines = (0..<5_000).map { "line \($0)\n" } + [String(repeating: "x", count: 10_000) + "\n", "end\n"]
        for line in lines { writer.write(line) }
        #expect(pipe.read(through: "end\n") == lines.joined())
    }

    @Test func aBlockedReaderDelaysNobodyAndGetsTheCountOfDroppedLines() {
        let pipe = Pipe()
        let writer = makeWriter(pipe.writer, capacity: 10_000)
        let line = String(repeating: "x", count: 99) + "\n"
        for _ in 0..<1_000 { writer.write(line) }
        let began = ContinuousClock.now
        writer.flush(timeout: .milliseconds(50))
        #expect(ContinuousClock.now - began >= .milliseconds(50))
        var text = "", written = 0, dropped = 0
        while written + dropped < 1_000 {
            text += pipe.read()
            let lines = text.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
            written = lines.count { $0.hasPrefix("x") }
            dropped = lines.compactMap { $0.hasPrefix("dropped ") ? Int($0.dropFirst(8)) : nil }.reduce(0, +)
        }
        #expect(written + dropped == 1_000)
        // In the pipe, being written, queued, and one written in part.
        #expect(written <= 40 + 100 + 100 + 1)
        writer.write("end\n")
        #expect(pipe.read(through: "end\n") == "end\n")
    }

    /// So that the times in the log do not step back.
    @Test func linesAreInTheOrderInWhichTheyAreMade() {
        let pipe = Pipe()
        let writer = makeWriter(pipe.writer)
        let made = Counter()
        DispatchQueue.concurrentPerform(iterations: 4) { _ in
            for _ in 0..<2_000 { writer.write("\(made.next())\n") }
        }
        writer.write("end\n")
        #expect(pipe.read(through: "end\n") == (1...8_000).map { "\($0)\n" }.joined() + "end\n")
    }

    @Test func countsLinesThatCannotBeWritten() throws {
        let full = open("/dev/full", O_WRONLY)
        defer { close(full) }
        let writer = makeWriter(full)
        for _ in 0..<3 { writer.write("lost\n") }
        writer.flush(timeout: .seconds(60))
        let pipe = Pipe()
        dup2(pipe.writer, full)
        writer.write("end\n")
        #expect(pipe.read(through: "end\n") == "dropped 3\nend\n")
    }

    @Test func continuesAfterItsReaderHasGone() {
        let pipe = Pipe()
        let copy = dup(pipe.writer)
        defer { close(copy) }
        let other = Pipe()
        dup2(other.reader, pipe.reader)
        let writer = makeWriter(copy)
        writer.write("lost\n")
        writer.flush(timeout: .seconds(60))
        dup2(other.writer, copy)
        writer.write("end\n")
        #expect(other.read(through: "end\n") == "dropped 1\nend\n")
    }

    @Test func theThreadEndsWithTheWriter() {
        let pipe = Pipe()
        var writer: LogWriter? = makeWriter(pipe.writer)
        writer?.write("end\n")
        writer = nil
        #expect(pipe.read(through: "end\n") == "end\n")
    }
}
