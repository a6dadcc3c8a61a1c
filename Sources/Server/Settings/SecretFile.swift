import Glibc
import Messenger

/// A file with one line that may be a password.
enum SecretFile {
    private static let maxSize = 16 << 10
    /// How long to wait for the next bytes from a pipe, in milliseconds.
    private static let timeout: Int32 = 5000

    /// Reads the line, without its end.
    ///
    /// - Throws: An error that quotes neither the line nor the path: a password may have been given as the path.
    static func line(in path: String) throws(InvalidSetting) -> String {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else { throw .system }
        defer { close(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: maxSize)
        while true {
            var waiting = pollfd(fd: file, events: Int16(POLLIN), revents: 0)
            guard poll(&waiting, 1, timeout) != 0 else { throw InvalidSetting("nothing comes out of it") }
            let count = read(file, &chunk, chunk.count)
            if count < 0 && (errno == EINTR || errno == EAGAIN) { continue }
            guard count >= 0 else { throw .system }
            guard count > 0 else { break }
            bytes += chunk[..<count]
            guard bytes.count <= maxSize else { throw InvalidSetting("it is larger than 16 KiB") }
        }
        for end in "\n\r".utf8 where bytes.last == end { bytes.removeLast() }
        // Some editors write a byte order mark.
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes.removeFirst(3) }
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
