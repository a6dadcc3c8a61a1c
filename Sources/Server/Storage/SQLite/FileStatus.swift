import Glibc

/// Which file it is, whatever its names are.
struct FileIdentity: Sendable, Hashable {
    private let device: UInt64
    private let inode: UInt64

    init(_ status: stat) {
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
    }

    /// Whether this file is still the one at a path. If that cannot be seen, it counts as being there.
    func isAt(_ path: String) -> Bool {
        var status = stat()
        guard lstat(path, &status) == 0 else { return ![ENOENT, ENOTDIR, ELOOP, ESTALE].contains(errno) }
        return FileIdentity(status) == self
    }
}

/// What the system says of the file at a path. A link counts as a file of its own.
struct FileStatus {
    let identity: FileIdentity
    let isRegular: Bool
    let isFolder: Bool
    let owner: UInt32
    let links: Int
    let size: Int
    /// The mount that it is on; `nil` if the system does not say.
    let mount: Int?

    /// `nil` if there is nothing.
    init?(_ path: String) {
        // O_PATH, which Glibc's module lacks: this opens nothing, so that neither a FIFO nor SQLite's locks notice it.
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
        size = Int(status.st_size)
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
