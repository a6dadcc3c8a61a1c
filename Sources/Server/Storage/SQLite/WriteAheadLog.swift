import LibGRPC
import Glibc
import SQLite
import Synchronization

/// Finds damage in a write-ahead log before SQLite opens it: https://sqlite.org/fileformat2.html#walformat
///
/// SQLite ignores everything after the first invalid frame, because an unfinished commit looks the same. If that frame
/// is damaged, acknowledged messages follow it, and SQLite would drop them without an error.
enum WriteAheadLog {
    private static let headerSize = 32
    private static let frameHeaderSize = 24
    /// Without the lowest bit, which says that checksums are of big-endian words.
    private static let magic: UInt32 = 0x377F_0682

    /// Describes the damage; `nil` if there is none, or no log.
    /// - Parameter isSynced: Whether each commit was synced to the disk. If not, a power cut can leave invalid frames
    ///   in the middle of the log, and nobody was promised that the commits after them survive it.
    static func damage(in path: String, isSynced: Bool, isStopped: () -> Bool) -> String? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        let size = Int(lseek(file, 0, SEEK_END))
        let header = read(file, at: 0, headerSize)
        guard header.count == headerSize else { return nil }

        let isBigEndian = header.word(at: 0) != magic
        let pageSize = Int(header.word(at: 8))
        var checksum = checksum(header[..<24], isBigEndian)
        guard header.word(at: 0) & ~1 == magic, (512...65536).contains(pageSize), checksum == header.checksum(at: 24)
        else {
            // Zeros are what a power cut leaves of a log without commits.
            let isZero = stride(from: 0, to: size, by: 1 << 16).allSatisfy { offset in
                read(file, at: offset, 1 << 16).allSatisfy { $0 == 0 }
            }
            return isZero ? nil : "the header of its write-ahead log is invalid"
        }

        var isValid = true
        var lostCommits = 0
        let frameSize = frameHeaderSize + pageSize
        for offset in stride(from: headerSize, through: size - frameSize, by: frameSize) where !isStopped() {
            let frame = read(file, at: offset, frameSize)
            // SQLite overwrites the log from its beginning, with a new salt. Old frames can follow the new ones.
            let isOld = frame.count < frameSize || frame[8..<16] != header[16..<24]
            if isValid, !isOld {
                checksum = Self.checksum(frame[..<8] + frame[frameHeaderSize...], isBigEndian, after: checksum)
            }
            isValid = isValid && !isOld && checksum == frame.checksum(at: 16)
            let isCommit = !isOld && frame.word(at: 4) != 0
            if isCommit, !isValid { lostCommits += 1 }
        }
        // One commit may have been in progress. Its messages were not acknowledged.
        guard isSynced, lostCommits > 1 else { return nil }
        return """
            \(lostCommits) commits in its write-ahead log cannot be read. If the disk failed before the server stopped, \
            they were never acknowledged, and --history-sync normal starts without them
            """
    }

    /// Whether a log has content but no header. That is so after another program has emptied it: SQLite goes on writing
    /// at its old end.
    static func lacksHeader(_ path: String) -> Bool {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return false }
        defer { close(file) }
        let header = read(file, at: 0, headerSize)
        return header.count == headerSize && header.word(at: 0) & ~1 != magic
    }

    /// Less than `count` bytes at the end of the file.
    private static func read(_ file: Int32, at offset: Int, _ count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { bytes, readCount in
            readCount = max(0, pread(file, bytes.baseAddress, count, off_t(offset)))
        }
    }

    /// - Parameter sums: The checksum of what comes before.
    private static func checksum(
        _ bytes: ArraySlice<UInt8>,
        _ isBigEndian: Bool,
        after sums: (UInt32, UInt32) = (0, 0)
    ) -> (UInt32, UInt32) {
        bytes.withUnsafeBytes { bytes in
            var (first, second) = sums
            for offset in stride(from: 0, through: bytes.count - 8, by: 8) {
                let one = bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
                let other = bytes.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self)
                first &+= (isBigEndian ? one.bigEndian : one.littleEndian) &+ second
                second &+= (isBigEndian ? other.bigEndian : other.littleEndian) &+ first
            }
            return (first, second)
        }
    }
}

extension [UInt8] {
    fileprivate func word(at index: Int) -> UInt32 {
        self[index..<index + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }

    fileprivate func checksum(at index: Int) -> (UInt32, UInt32) { (word(at: index), word(at: index + 4)) }
}

/// Checkpoints a long write-ahead log on a thread of its own, while the writer continues. Thread-safe.
final class Checkpointer: Sendable {
    private struct State {
        var isRunning = false
        /// How many frames were in the database after the last run.
        var frames: Int?
        /// The same, until somebody takes it.
        var newFrames: Int?
        var nextStart = ContinuousClock.now
    }

    private let state = Mutex(State())
    private let database: Mutex<Database?>
    private let worker: BatchWorker<@Sendable () -> Void>

    /// The pause after a run that made no progress, because another process reads.
    private static let pause = Duration.milliseconds(500)

    init(_ database: sending Database) throws(SystemError) {
        self.database = Mutex(database)
        worker = try BatchWorker(named: "checkpointer", limit: 1, work: { jobs in for job in jobs { job() } })
    }

    /// Starts a checkpoint, unless one is running.
    func start() {
        let isIdle = state.withLock { state in
            guard !state.isRunning, state.nextStart <= .now else { return false }
            state.isRunning = true
            return true
        }
        if isIdle { _ = worker.submit { [self] in run() } }
    }

    /// How many frames of the log were in the database after the last run; `nil` if there was none since the last call.
    func takeResult() -> Int? {
        state.withLock { exchange(&$0.newFrames, with: nil) }
    }

    func close() async {
        await worker.close()
        database.withLock { $0 = nil }
    }

    private func run() {
        let frames = database.withLock { try? $0?.checkpoint().frames }
        state.withLock { state in
            state.isRunning = false
            if frames == state.frames { state.nextStart = .now + Self.pause }
            state.frames = frames
            state.newFrames = frames
        }
    }
}
