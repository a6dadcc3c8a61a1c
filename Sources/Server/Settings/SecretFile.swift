import Glibc

/// A file with one line that may be a password. Errors say neither the line nor the path, which may be mistaken for it.
enum SecretFile {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    private static let maxSize = 16 << 10
    /// How long a pipe has for its next bytes, in milliseconds.
    private static let patience: Int32 = 5000

    /// Reads the line, without its end.
    static func line(in path: String) throws(Failure) -> String {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else { throw .system }
        defer { close(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: maxSize)
        while true {
            // A pipe may wait for its writer.
            var waiting = pollfd(fd: file, events: Int16(POLLIN), revents: 0)
            guard poll(&waiting, 1, patience) != 0 else { throw Failure(description: "nothing comes out of it") }
            let count = read(file, &chunk, chunk.count)
            if count < 0 && (errno == EINTR || errno == EAGAIN) { continue }
            guard count >= 0 else { throw .system }
            guard count > 0 else { break }
            bytes += chunk[..<count]
            guard bytes.count <= maxSize else { throw Failure(description: "it is larger than 16 KiB") }
        }
        for end in "\n\r".utf8 where bytes.last == end { bytes.removeLast() }
        // A byte order mark, as some editors write it.
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes.removeFirst(3) }
        guard !bytes.isEmpty else { throw Failure(description: "it is empty") }
        guard !bytes.contains(where: "\n\r".utf8.contains) else {
            throw Failure(description: "it has more than one line")
        }
        guard let line = String(validating: bytes, as: UTF8.self) else {
            throw Failure(description: "it is not UTF-8")
        }
        return line
    }
}

extension SecretFile.Failure {
    fileprivate static var system: Self { Self(description: String(cString: strerror(errno))) }
}
