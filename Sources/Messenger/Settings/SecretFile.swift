import Glibc

/// A small file whose content may be secret.
public enum SecretFile {
    private static let maxLineSize = 16 << 10
    /// How long to wait for the next bytes from a pipe, in milliseconds.
    private static let timeout: Int32 = 5000

    /// Reads a file, also if it is a pipe.
    ///
    /// - Throws: An error that does not quote the path: a password may have been given as the path.
    static func bytes(in path: String, maxSize: Int) throws(InvalidSetting) -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else { throw .system }
        defer { close(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            var waiting = pollfd(fd: file, events: Int16(POLLIN), revents: 0)
            guard poll(&waiting, 1, timeout) != 0 else { throw InvalidSetting("nothing comes out of it") }
            let count = read(file, &chunk, chunk.count)
            if count < 0 && (errno == EINTR || errno == EAGAIN) { continue }
            guard count >= 0 else { throw .system }
            guard count > 0 else { break }
            bytes += chunk[..<count]
            guard bytes.count <= maxSize else { throw InvalidSetting("it is larger than \(maxSize >> 10) KiB") }
        }
        // Some editors write a byte order mark.
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes.removeFirst(3) }
        return bytes
    }

    /// Reads the only line of a file, without its end.
    ///
    /// - Throws: An error that quotes neither the line nor the path.
    public static func line(in path: String) throws(InvalidSetting) -> String {
        var bytes = try bytes(in: path, maxSize: maxLineSize)
        for end in "\n\r".utf8 where bytes.last == end { bytes.removeLast() }
        guard !bytes.isEmpty else { throw InvalidSetting("it is empty") }
        guard !bytes.contains(where: "\n\r".utf8.contains) else {
            throw InvalidSetting("it has more than one line")
        }
        guard let line = String(validating: bytes, as: UTF8.self) else {
            throw InvalidSetting("it is not UTF-8")
        }
        return line
    }
}

extension InvalidSetting {
    fileprivate static var system: Self { Self(String(cString: strerror(errno))) }
}
