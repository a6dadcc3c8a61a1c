import Glibc
import Messenger
import Synchronization

/// Keeps other servers from using a database: each of them would assign times of its own.
///
/// The lock is on the database file itself, so neither a second name for the file nor a deleted lock file gets around
/// it. It covers one byte that SQLite never locks. It belongs to an open file description (`fcntl(2)`, "OFD locks"), so
/// it does not collide with SQLite's locks, which belong to the process. The system releases it when the process ends.
///
/// Closing the descriptor would release SQLite's locks, so it stays open as long as SQLite has the file open.
final class FileLock: Sendable {
    let identity: FileIdentity
    /// The database's files that did not exist before.
    let missingFiles: [String]
    private let path: String
    private let descriptor: Mutex<Int32?>

    /// `F_OFD_GETLK` and `F_OFD_SETLK`, which the Glibc module lacks.
    private static let getLock: Int32 = 36
    private static let setLock: Int32 = 37
    /// The first byte after those that SQLite locks: 512 from 1 GiB on.
    private static let lockedByte = off_t(1 << 30) + 512

    /// Opens the file, creates it if it does not exist, and locks it.
    init(_ path: DatabasePath) throws(StartError) {
        let missingFiles = ([path.file] + path.auxiliaryFiles).filter { FileStatus($0) == nil }
        let file = try Self.openFile(path)
        var lock = Self.lock
        var isLocked = fcntl(file, Self.setLock, &lock) == 0
        // Some sandboxes have only flock(2). On Linux's own file systems it does not collide with SQLite's locks
        // either.
        if !isLocked, errno == EINVAL { isLocked = flock(file, LOCK_EX | LOCK_NB) == 0 }
        guard isLocked else {
            let reason = errno
            close(file)
            if reason == EAGAIN || reason == EACCES {
                throw StartError(.unavailable, "The history in \(path.file) is in use by another server")
            }
            throw path.cannotOpen("it cannot be locked: \(String(cString: strerror(reason)))")
        }
        var status = stat()
        fstat(file, &status)
        identity = FileIdentity(status)
        self.path = path.file
        self.missingFiles = missingFiles
        descriptor = Mutex(file)
        // Another server whose start failed may have deleted the file that it had created.
        guard identity.isAt(path.file) else { throw path.cannotOpen("another program has just replaced it") }
    }

    deinit {
        release()
    }

    private static var lock: flock {
        flock(l_type: Int16(F_WRLCK), l_whence: Int16(SEEK_SET), l_start: lockedByte, l_len: 1, l_pid: 0)
    }

    /// Whether a server has locked an open file.
    static func isLocked(_ descriptor: Int32) -> Bool {
        var lock = Self.lock
        if fcntl(descriptor, getLock, &lock) == 0 { return lock.l_type != Int16(F_UNLCK) }
        guard errno == EINVAL, flock(descriptor, LOCK_SH | LOCK_NB) == 0 else { return errno == EAGAIN }
        flock(descriptor, LOCK_UN)
        return false
    }

    /// Releases the lock. SQLite must have closed the file.
    func release() {
        descriptor.withLock { descriptor in
            if let descriptor { close(descriptor) }
            descriptor = nil
        }
    }

    /// Releases the lock after a failed start. If the start has created the database, deletes its files.
    func releaseAfterFailedStart() {
        if missingFiles.contains(path), identity.isAt(path) {
            for file in missingFiles { unlink(file) }
        }
        release()
    }

    private static func openFile(_ path: DatabasePath) throws(StartError) -> Int32 {
        let flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK
        // The second attempt is for a file that another server creates at the same moment.
        for _ in 0..<2 {
            let file = open(path.file, flags)
            if file >= 0 { return file }
            guard errno == ENOENT else { break }
            let newFile = open(path.file, flags | O_CREAT | O_EXCL, 0o600)
            if newFile >= 0 {
                // The umask may have removed some of it. SQLite gives its other files the permissions of this one.
                fchmod(newFile, 0o600)
                return newFile
            }
            guard errno == EEXIST else { break }
        }
        let isFull = [ENOSPC, EDQUOT].contains(errno)
        throw path.cannotOpen(isFull ? path.diskIsFull : String(cString: strerror(errno)))
    }
}

/// Identifies a file, whatever its names are.
struct FileIdentity: Sendable, Hashable {
    private let device: UInt64
    private let inode: UInt64

    init(_ status: stat) {
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
    }

    /// Whether this file is still the one at a path. If that cannot be found out, the answer is yes.
    func isAt(_ path: String) -> Bool {
        var status = stat()
        guard lstat(path, &status) == 0 else { return ![ENOENT, ENOTDIR, ELOOP, ESTALE].contains(errno) }
        return FileIdentity(status) == self
    }
}

/// What `stat(2)` says about the file at a path, without following links, and the mount that it is on.
struct FileStatus {
    let identity: FileIdentity
    let isRegular: Bool
    let isFolder: Bool
    let owner: UInt32
    let links: Int
    /// `nil` if the system does not say.
    let mount: Int?

    /// `nil` if nothing is there.
    init?(_ path: String) {
        // O_PATH, which the Glibc module lacks. It does not open the file, so neither a FIFO nor SQLite's locks are
        // affected.
        let descriptor = open(path, 0o10000000 | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return nil }
        identity = FileIdentity(status)
        isRegular = status.st_mode & S_IFMT == S_IFREG
        isFolder = status.st_mode & S_IFMT == S_IFDIR
        owner = status.st_uid
        links = Int(status.st_nlink)
        mount = Self.mount(of: descriptor)
    }

    private static func mount(of descriptor: Int32) -> Int? {
        let file = open("/proc/self/fdinfo/\(descriptor)", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 1024)
        let count = read(file, &bytes, bytes.count)
        guard count > 0 else { return nil }
        let line = bytes[..<count].split(separator: UInt8(ascii: "\n")).first { $0.starts(with: "mnt_id:".utf8) }
        let digits = line?.filter { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        return digits.flatMap { Int(String(decoding: $0, as: UTF8.self)) }
    }
}
