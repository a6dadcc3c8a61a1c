internal import Dispatch
internal import GRPC
internal import Synchronization

/// Writes lines on a thread of its own, so that no other thread ever waits for whoever reads the log.
///
/// Lines that find no room, or that cannot be written, are dropped and counted. A line in their place says how many, as
/// soon as one can be written again.
final class LogWriter: Sendable {
    private struct State {
        /// Whole lines, one after the other.
        var queued: [UInt8] = []
        /// Lines that came after those in `queued`, and found no room.
        var refused = 0
        var isWriting = false
        var isClosed = false
        /// Those that wait until all has been written.
        var flushing: [DispatchSemaphore] = []

        var isEmpty: Bool { queued.isEmpty && refused == 0 }
    }

    /// What the thread shares with the others.
    private final class Queue: Sendable {
        let state = Mutex(State())
        let arrival = DispatchSemaphore(value: 0)
    }

    private let queue = Queue()
    private let descriptor: Int32
    private let capacity: Int
    private let hasThread: Bool

    /// - Parameters:
    ///   - descriptor: Where the lines go; not closed with the writer.
    ///   - capacity: How many bytes may wait to be written, beside as many that are being written.
    ///   - notice: Makes the line that says how many were dropped.
    init(descriptor: Int32, capacity: Int = 1 << 20, notice: @escaping @Sendable (Int) -> String) {
        self.descriptor = descriptor
        self.capacity = capacity
        hasThread = (try? Thread.start(named: "log") { [queue] in Self.run(queue, descriptor, notice) }) != nil
    }

    deinit {
        queue.state.withLock { $0.isClosed = true }
        queue.arrival.signal()
    }

    /// Takes a line with its line feed, and never waits.
    func write(_ line: String) {
        guard hasThread else { return Platform.writeIfPossible(line, to: descriptor) }
        let isFirst = queue.state.withLock { state in
            let isFirst = state.isEmpty
            if state.refused == 0, state.queued.count + line.utf8.count <= capacity {
                state.queued.append(contentsOf: line.utf8)
            } else {
                state.refused += 1
            }
            return isFirst
        }
        if isFirst { queue.arrival.signal() }
    }

    /// Waits until all lines have been written, for `limit` at the most.
    func flush(atMost limit: Duration) {
        let written = DispatchSemaphore(value: 0)
        let isIdle = queue.state.withLock { state in
            let isIdle = state.isEmpty && !state.isWriting
            if !isIdle { state.flushing.append(written) }
            return isIdle
        }
        if !isIdle { _ = written.wait(timeout: .now() + .milliseconds(Int(limit / .milliseconds(1)))) }
    }

    // MARK: - The thread

    private static func run(_ queue: Queue, _ descriptor: Int32, _ notice: (Int) -> String) {
        var output = LineOutput(descriptor: descriptor)
        // Lines that could not be written and have not been spoken of.
        var lost = 0
        while let batch = next(queue) {
            // The lost ones came before those in the batch, the refused ones came after.
            if lost > 0, output.write(Array(notice(lost).utf8)) == 0 { lost = 0 }
            lost += output.write(batch.queued)
            if batch.refused > 0, lost > 0 || output.write(Array(notice(batch.refused).utf8)) > 0 {
                lost += batch.refused
            }
        }
    }

    /// Waits for lines and takes them; `nil` once the writer is closed and all have been written.
    private static func next(_ queue: Queue) -> State? {
        while true {
            let (batch, flushed) = queue.state.withLock { state in
                let batch = state
                state = State(isWriting: !batch.isEmpty, isClosed: batch.isClosed)
                if !batch.isEmpty { state.flushing = batch.flushing }
                return (batch, batch.isEmpty ? batch.flushing : [])
            }
            for written in flushed { written.signal() }
            guard batch.isEmpty else { return batch }
            guard !batch.isClosed else { return nil }
            queue.arrival.wait()
        }
    }
}

/// A file descriptor that takes lines.
private struct LineOutput {
    /// What a pipe takes in one piece, so that lines of several writers do not mix.
    private static let pieceBytes = 4096

    let descriptor: Int32
    /// Whether a line was cut short by an error.
    private var isMidLine = false

    init(descriptor: Int32) {
        self.descriptor = descriptor
    }

    /// Writes whole lines, waiting for room. Returns how many lines could not be written.
    mutating func write(_ lines: [UInt8]) -> Int {
        var rest = lines[...]
        if isMidLine, !rest.isEmpty {
            guard Platform.writePart(of: [UInt8(ascii: "\n")], to: descriptor) != nil else { return Self.count(rest) }
            isMidLine = false
        }
        while !rest.isEmpty {
            guard let written = Platform.writePart(of: Self.piece(of: rest), to: descriptor) else {
                return Self.count(rest)
            }
            isMidLine = rest[rest.startIndex + written - 1] != UInt8(ascii: "\n")
            rest = rest.dropFirst(written)
        }
        return 0
    }

    /// As many whole lines as fit into a piece; a part of a line that does not.
    private static func piece(of lines: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        let piece = lines.prefix(pieceBytes)
        guard let end = piece.lastIndex(of: UInt8(ascii: "\n")) else { return piece }
        return piece[...end]
    }

    private static func count(_ lines: ArraySlice<UInt8>) -> Int {
        lines.count { $0 == UInt8(ascii: "\n") }
    }
}
