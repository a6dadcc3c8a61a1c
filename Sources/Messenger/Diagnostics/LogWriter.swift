internal import Dispatch
internal import LibGRPC
internal import Synchronization

/// Writes lines on its own thread, so that no other thread waits for the reader of the log.
///
/// Lines that do not fit into the queue, or cannot be written, are dropped and counted. As soon as a line can be written
/// again, one in their place has the count.
final class LogWriter: Sendable {
    private struct State {
        /// Whole lines, one after the other.
        var queued: [UInt8] = []
        /// The number of lines after those in `queued` that did not fit.
        var dropped = 0
        var isWriting = false
        var isClosed = false
        /// Signalled when all lines have been written.
        var flushes: [DispatchSemaphore] = []

        var isEmpty: Bool { queued.isEmpty && dropped == 0 }
    }

    /// Shared with the thread, which must not keep the writer alive.
    private final class Queue: Sendable {
        let state = Mutex(State())
        let wakeUp = DispatchSemaphore(value: 0)
        let dropped = Atomic(0)
    }

    private let queue = Queue()
    private let descriptor: Int32
    private let capacity: Int
    private let hasThread: Bool

    /// - Parameters:
    ///   - descriptor: Where the lines go. The writer does not close it.
    ///   - capacity: How many bytes may be queued, in addition to those that are being written.
    ///   - droppedLine: Makes the line with the count of dropped lines.
    init(descriptor: Int32, capacity: Int = 1 << 20, droppedLine: @escaping @Sendable (Int) -> String) {
        self.descriptor = descriptor
        self.capacity = capacity
        hasThread = (try? Thread.start(named: "log") { [queue] in Self.run(queue, descriptor, droppedLine) }) != nil
    }

    deinit {
        queue.state.withLock { $0.isClosed = true }
        queue.wakeUp.signal()
    }

    /// The number of lines dropped since the start.
    var droppedLines: Int { queue.dropped.load(ordering: .relaxed) }

    /// Queues a line, which ends with a line feed. Does not block. Lines are in the order in which they are made.
    func write(_ makeLine: @autoclosure () -> String) {
        guard hasThread else { return Platform.writeIfPossible(makeLine(), to: descriptor) }
        let wasEmpty = queue.state.withLock { state in
            let wasEmpty = state.isEmpty
            let line = makeLine()
            if state.dropped == 0, state.queued.count + line.utf8.count <= capacity {
                state.queued.append(contentsOf: line.utf8)
            } else {
                state.dropped += 1
                queue.dropped.add(1, ordering: .relaxed)
            }
            return wasEmpty
        }
        if wasEmpty { queue.wakeUp.signal() }
    }

    /// Waits until all lines have been written, but no longer than `timeout`.
    func flush(timeout: Duration) {
        let written = DispatchSemaphore(value: 0)
        let isIdle = queue.state.withLock { state in
            let isIdle = state.isEmpty && !state.isWriting
            if !isIdle { state.flushes.append(written) }
            return isIdle
        }
        if !isIdle { _ = written.wait(timeout: .now() + .milliseconds(Int(timeout / .milliseconds(1)))) }
    }

    // MARK: - The thread

    private static func run(_ queue: Queue, _ descriptor: Int32, _ droppedLine: (Int) -> String) {
        var output = LineOutput(descriptor: descriptor)
        // Dropped lines that no written line has counted yet.
        var uncounted = 0
        while let batch = nextBatch(queue) {
            // These were dropped before the batch, `batch.dropped` after it.
            if uncounted > 0, output.write(Array(droppedLine(uncounted).utf8)) == 0 { uncounted = 0 }
            let unwritten = output.write(batch.queued)
            queue.dropped.add(unwritten, ordering: .relaxed)
            uncounted += unwritten
            if batch.dropped > 0, uncounted > 0 || output.write(Array(droppedLine(batch.dropped).utf8)) > 0 {
                uncounted += batch.dropped
            }
        }
    }

    /// Waits for lines and takes them; `nil` once the writer is closed and all lines have been written.
    private static func nextBatch(_ queue: Queue) -> State? {
        while true {
            let (batch, flushed) = queue.state.withLock { state in
                let batch = state
                state = State(isWriting: !batch.isEmpty, isClosed: batch.isClosed)
                if !batch.isEmpty { state.flushes = batch.flushes }
                return (batch, batch.isEmpty ? batch.flushes : [])
            }
            for written in flushed { written.signal() }
            guard batch.isEmpty else { return batch }
            guard !batch.isClosed else { return nil }
            queue.wakeUp.wait()
        }
    }
}

/// Writes whole lines to a file descriptor.
private struct LineOutput {
    /// A pipe accepts this many bytes atomically, so that the lines of several writers do not mix.
    private static let atomicBytes = 4096

    let descriptor: Int32
    /// Whether an error cut the last line short.
    private var isMidLine = false

    init(descriptor: Int32) {
        self.descriptor = descriptor
    }

    /// Writes lines, and blocks until they are written.
    ///
    /// - Returns: How many lines could not be written.
    mutating func write(_ lines: [UInt8]) -> Int {
        var rest = lines[...]
        if isMidLine, !rest.isEmpty {
            guard Platform.writePart(of: [UInt8(ascii: "\n")], to: descriptor) != nil else { return Self.count(rest) }
            isMidLine = false
        }
        while !rest.isEmpty {
            guard let written = Platform.writePart(of: Self.chunk(of: rest), to: descriptor) else {
                return Self.count(rest)
            }
            isMidLine = rest[rest.startIndex + written - 1] != UInt8(ascii: "\n")
            rest = rest.dropFirst(written)
        }
        return 0
    }

    /// The whole lines that fit into one atomic write; a part of a line that is longer.
    private static func chunk(of lines: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        let chunk = lines.prefix(atomicBytes)
        guard let end = chunk.lastIndex(of: UInt8(ascii: "\n")) else { return chunk }
        return chunk[...end]
    }

    private static func count(_ lines: ArraySlice<UInt8>) -> Int {
        lines.count { $0 == UInt8(ascii: "\n") }
    }
}
