internal import Glibc

/// A socket in the file system; `nil` if there is none at the path.
struct SocketFile: Equatable {
    let path: String
    private let device: UInt64
    private let inode: UInt64

    init?(path: String) {
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK else { return nil }
        self.path = path
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
    }

    /// Removes it, unless another one has taken its place. As long as its socket is open no other has its inode.
    func remove() {
        let lock = FolderLock(ofFile: path)
        defer { lock.release() }
        if SocketFile(path: path) == self { unlink(path) }
    }
}

/// Lets one process at a time look at a folder's sockets and replace them. It leaves no file.
struct FolderLock {
    private let descriptor: Int32

    private static let attempts = 40
    private static let pauseInMicroseconds: UInt32 = 25_000

    /// Waits up to 1 s. Servers hold it for an instant: if somebody else holds the folder, or it cannot be opened, go on
    /// without.
    init(ofFile path: String) {
        let folder = path.utf8.lastIndex(of: UInt8(ascii: "/")).map { path[...$0] } ?? "."
        descriptor = open(String(folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        for _ in 0..<Self.attempts where descriptor >= 0 {
            guard flock(descriptor, LOCK_EX | LOCK_NB) != 0, errno == EWOULDBLOCK || errno == EINTR else { return }
            usleep(Self.pauseInMicroseconds)
        }
    }

    func release() {
        if descriptor >= 0 { close(descriptor) }
    }
}
