import Glibc

/// The write-ahead log beside a file of SQLite's, as it lies on the disk: https://sqlite.org/fileformat2.html#walformat
///
/// SQLite takes what comes after the first frame that is not right for what was never finished, and forgets it without a
/// word. Mostly it is; but a log in which a byte has changed would lose all that was acknowledged after that.
struct WriteAheadLog {
    private let descriptor: Int32
    private let pageSize: Int
    private let salt: ArraySlice<UInt8>
    private let isBigEndian: Bool
    private var checksum: (UInt32, UInt32) = (0, 0)

    private static let headerSize = 32
    /// With the lowest bit, which says the order of bytes.
    private static let magic: UInt32 = 0x377F_0683
    private static let frameHeaderSize = 24

    /// What is damaged in a log; `nil` if nothing is, or there is none.
    ///
    /// - Parameter isSynced: Whether each commit waited for the disk. Where none did, a power cut leaves holes too, and
    ///   nothing that is missed was promised to outlive that.
    /// - Parameter isStopped: Asked for each frame; then the result says nothing.
    static func damage(in path: String, isSynced: Bool, unless isStopped: () -> Bool = { false }) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        guard let header = read(descriptor, at: 0, headerSize) else { return nil }
        guard var log = WriteAheadLog(descriptor, header) else {
            return isZero(descriptor) ? nil : "the header of its write-ahead log is wrong"
        }
        let rest = log.countCommits(unless: isStopped)
        // One may be that which was under way: its sender was not told yet.
        guard isSynced, rest > 1 else { return nil }
        return """
            \(rest) commits in its write-ahead log cannot be read. If its disk had failed before, they were never acknowledged, \
            and --history-sync normal starts without them
            """
    }

    /// Whether a log that is not empty has no header: it was emptied while SQLite went on writing at its end.
    static func lacksHeader(_ path: String) -> Bool {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return read(descriptor, at: 0, headerSize).map { $0.word(at: 0) | 1 != magic } ?? false
    }

    private init?(_ descriptor: Int32, _ header: [UInt8]) {
        let magic = header.word(at: 0)
        let pageSize = Int(header.word(at: 8))
        guard magic | 1 == Self.magic, (512...65536).contains(pageSize), pageSize & (pageSize - 1) == 0 else {
            return nil
        }
        self.descriptor = descriptor
        self.pageSize = pageSize
        isBigEndian = magic & 1 == 1
        salt = header[16..<24]
        add(header[..<24])
        guard checksum == (header.word(at: 24), header.word(at: 28)) else { return nil }
    }

    /// The commits after the first frame that is not right.
    private mutating func countCommits(unless isStopped: () -> Bool) -> Int {
        var commits = 0
        var isRight = true
        var offset = Self.headerSize
        while !isStopped(), let frame = Self.read(descriptor, at: offset, Self.frameHeaderSize + pageSize) {
            offset += frame.count
            // Frames of an earlier use of the log lie after the last one. Those of a commit that failed have this use's salt:
            // SQLiteLog sees to it that they do not stay.
            guard frame[8..<16] == salt else {
                isRight = false
                continue
            }
            if isRight {
                add(frame[..<8])
                add(frame[Self.frameHeaderSize...])
                isRight = frame.word(at: 0) != 0 && checksum == (frame.word(at: 16), frame.word(at: 20))
            }
            if !isRight, frame.word(at: 4) != 0 { commits += 1 }
        }
        return commits
    }

    private mutating func add(_ bytes: ArraySlice<UInt8>) {
        var (first, second) = checksum
        bytes.withUnsafeBytes { bytes in
            for offset in stride(from: 0, to: bytes.count - 7, by: 8) {
                let one = bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
                let other = bytes.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self)
                first &+= (isBigEndian ? UInt32(bigEndian: one) : UInt32(littleEndian: one)) &+ second
                second &+= (isBigEndian ? UInt32(bigEndian: other) : UInt32(littleEndian: other)) &+ first
            }
        }
        checksum = (first, second)
    }

    /// What a power cut may leave of a log that was not begun.
    private static func isZero(_ descriptor: Int32) -> Bool {
        var offset = 0
        while true {
            var bytes = [UInt8](repeating: 0, count: 1 << 16)
            let count = pread(descriptor, &bytes, bytes.count, off_t(offset))
            guard count > 0 else { return true }
            guard bytes[..<count].allSatisfy({ $0 == 0 }) else { return false }
            offset += count
        }
    }

    /// `nil` if there are not as many.
    private static func read(_ descriptor: Int32, at offset: Int, _ count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        return pread(descriptor, &bytes, count, off_t(offset)) == count ? bytes : nil
    }
}

extension [UInt8] {
    fileprivate func word(at index: Int) -> UInt32 {
        self[index..<index + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }
}
