import Glibc

/// A folder that goes with its last user.
final class TemporaryFolder: Sendable {
    let path: String

    init() {
        path = "/tmp/messenger-test-\(UInt64.random(in: 0 ... .max))"
        mkdir(path, 0o700)
    }

    func path(of file: String) -> String { "\(path)/\(file)" }

    /// In bytes; 0 where there is none.
    func size(of file: String) -> Int {
        var status = stat()
        return stat(path(of: file), &status) == 0 ? Int(status.st_size) : 0
    }

    deinit {
        for suffix in ["", "-wal", "-shm", ".lock"] { unlink(path(of: "history.db") + suffix) }
        rmdir(path)
    }
}
