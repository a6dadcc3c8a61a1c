import Glibc
import Messenger
import Synchronization

/// Keeps other servers from a history: two would each give out times of their own.
///
/// The lock is on the history's file itself, so no second name for the file and no removed lock file leads around it. It
/// covers one byte that SQLite never locks, and belongs to an open file description (`fcntl(2)`, "OFD locks"): SQLite's
/// locks, which belong to the process, do not see it. The system releases it when the process ends, however it ends.
///
/// Closing the descriptor would end SQLite's locks, so it stays open as long as SQLite has the file open.
final class FileLock: Sendable {
    let identity: FileIdentity
    private let path: String
    /// What was not there before of the history's files.
    let absent: [String]
    private let descriptor: Mutex<Int32?>

    /// `F_OFD_SETLK`, which Glibc's module lacks.
    private static let setLock: Int32 = 37
    /// The first byte after those that SQLite locks: 512 from 1 GiB on.
    private static let lockedByte = off_t(1 << 30) + 512

    /// Opens the file, makes it if it is not there, and takes the lock.
    init(_ path: HistoryPath) throws(StartError) {
        let absent = ([path.file] + path.companions).filter { FileStatus($0) == nil }
        let file = try Self.openFile(path)
        var lock = flock()
        lock.l_type = Int16(F_WRLCK)
        lock.l_whence = Int16(SEEK_SET)
        lock.l_start = Self.lockedByte
        lock.l_len = 1
        var isLocked = fcntl(file, Self.setLock, &lock) == 0
        // Some sandboxes have only flock(2). On Linux's own file systems it leaves SQLite's locks alone too.
        if !isLocked, errno == EINVAL { isLocked = flock(file, LOCK_EX | LOCK_NB) == 0 }
        guard isLocked else {
            let reason = errno
            close(file)
            if reason == EAGAIN || reason == EACCES {
                throw StartError(.unavailable, "The history in \(path.file) is in use by another server")
            }
            throw HistoryPath.cannotOpen(path.file, "it cannot be locked: \(String(cString: strerror(reason)))")
        }
        var status = stat()
        fstat(file, &status)
        identity = FileIdentity(status)
        self.path = path.file
        self.absent = absent
        descriptor = Mutex(file)
        // Another server that was refused may have removed what it had made.
        guard identity.isAt(path.file) else {
            throw HistoryPath.cannotOpen(path.file, "another program has replaced it just now")
        }
    }

    deinit {
        release()
    }

    /// Releases the lock. SQLite has closed the file.
    func release() {
        descriptor.withLock { descriptor in
            if let descriptor { close(descriptor) }
            descriptor = nil
        }
    }

    /// Releases the lock after a start that was refused, which leaves no files of its own.
    func abandon() {
        if absent.contains(path), identity.isAt(path) {
            for file in absent { unlink(file) }
        }
        release()
    }

    private static func openFile(_ path: HistoryPath) throws(StartError) -> Int32 {
        let flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK
        // The second time if another server makes it at the same moment.
        for _ in 0..<2 {
            let file = open(path.file, flags)
            if file >= 0 { return file }
            guard errno == ENOENT else { break }
            let made = open(path.file, flags | O_CREAT | O_EXCL, 0o600)
            if made >= 0 {
                // Whatever the umask has taken. SQLite gives the files beside it the same permissions.
                fchmod(made, 0o600)
                return made
            }
            guard errno == EEXIST else { break }
        }
        let isFull = [ENOSPC, EDQUOT].contains(errno)
        throw HistoryPath.cannotOpen(path.file, isFull ? path.diskIsFull : String(cString: strerror(errno)))
    }
}
