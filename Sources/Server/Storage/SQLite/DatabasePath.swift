import Glibc
import Messenger

/// The absolute path of a database file, with all links resolved.
///
/// Links are resolved once, here. The lock, the checks, SQLite's auxiliary files and the advice in errors all use the
/// result.
struct DatabasePath: Sendable {
    let file: String
    let folder: String

    /// What SQLite appends to the name for its other files.
    private static let auxiliarySuffixes = ["-wal", "-shm", "-journal"]
    /// SQLite's own limit for a path, and the file systems' for a name, in bytes.
    private static let limits = (path: 511, name: 255)

    var writeAheadLog: String { file + "-wal" }
    var auxiliaryFiles: [String] { Self.auxiliarySuffixes.map { file + $0 } }

    var diskIsFull: String { "the disk is full. Free space on the file system of \(folder)" }

    /// Resolves the links in the setting's path. Creates nothing.
    init(setting: String) throws(StartError) {
        guard !Self.isURI(setting) else {
            throw StartError(
                .badConfiguration,
                "MESSENGER_HISTORY needs a plain path after sqlite:, such as sqlite:/var/lib/messenger/history.db, "
                    + "and not a URI. For a history in memory, use memory:"
            )
        }
        // Bytes that are not UTF-8 arrive as U+FFFD in a program's arguments, and would name another file.
        guard !setting.unicodeScalars.contains("\u{FFFD}") else {
            throw StartError(.badConfiguration, "The path of the history must be UTF-8, without U+FFFD")
        }
        var name = setting
        for _ in 0..<40 {
            let (folder, base) = try Self.realPath(of: name)
            let file = folder == "/" ? "/" + base : "\(folder)/\(base)"
            guard let target = try Self.target(ofLink: file) else {
                let suffix = Self.auxiliarySuffixes.map(\.utf8.count).max() ?? 0
                guard base.utf8.count + suffix <= Self.limits.name, file.utf8.count + suffix <= Self.limits.path else {
                    throw Self.cannotOpen(file, "its path is too long")
                }
                self.file = file
                self.folder = folder
                return
            }
            name = target.utf8.first == UInt8(ascii: "/") ? target : "\(folder)/\(target)"
        }
        throw Self.cannotOpen(setting, "too many symbolic links")
    }

    /// Refuses files that SQLite would accept, or would fail on only at the first message. Changes nothing.
    func check() throws(StartError) {
        let folderStatus = FileStatus(folder)
        let status = FileStatus(file)
        if let status {
            guard !status.isFolder else { throw cannotOpen("it is a folder. Choose a file in it") }
            guard status.isRegular else { throw cannotOpen("it is not a regular file") }
            guard status.links <= 1 else {
                throw cannotOpen(
                    "it has \(status.links) names (hard links), and each would get its own write-ahead log. "
                        + "Delete the others"
                )
            }
            guard status.mount == folderStatus?.mount else {
                throw cannotOpen(
                    "it is mounted without its folder, so the write-ahead log beside it would be lost. "
                        + "Mount the folder that holds the file"
                )
            }
        }
        guard faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) == 0 else {
            throw cannotOpen("its folder \(folder) cannot be written: \(String(cString: strerror(errno)))")
        }
        for path in auxiliaryFiles {
            guard let auxiliary = FileStatus(path) else { continue }
            guard auxiliary.isRegular, auxiliary.links <= 1 else {
                throw cannotOpen("\(path) is not a regular file, or has hard links")
            }
            guard auxiliary.mount == folderStatus?.mount else {
                throw cannotOpen("\(path) is mounted without its folder")
            }
            guard [geteuid(), status?.owner].contains(auxiliary.owner),
                faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS) == 0
            else {
                throw cannotOpen(
                    "\(path) belongs to user \(auxiliary.owner), or user \(geteuid()) cannot write it. "
                        + "Give it the owner of \(file), and mode 0600"
                )
            }
        }
    }

    func cannotOpen(_ reason: String) -> StartError { Self.cannotOpen(file, reason) }

    private static func cannotOpen(_ file: String, _ reason: String) -> StartError {
        StartError(.unavailable, "Cannot open the history in \(file): \(reason)")
    }

    /// Whether SQLite, or a library around it, would not take this as a path: `:memory:`, `file:…`, `//…`,
    /// `…?mode=memory`.
    static func isURI(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        if bytes.starts(with: "//".utf8) { return true }
        let scheme = bytes.prefix { isASCIILetter($0) || "0123456789+.-".utf8.contains($0) }
        if bytes.dropFirst(scheme.count).first == UInt8(ascii: ":") { return true }
        let parameters = ["vfs", "mode", "cache", "psow", "nolock", "immutable", "modeof"]
        let query = bytes.drop { $0 != UInt8(ascii: "?") }.dropFirst()
        return query.split(separator: UInt8(ascii: "&")).contains { part in
            parameters.contains { part.starts(with: "\($0)=".utf8) }
        }
    }

    private static func isASCIILetter(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
    }

    /// The resolved folder of a path, and the name in it.
    private static func realPath(of path: String) throws(StartError) -> (folder: String, base: String) {
        // As bytes: a slash with a combining mark after it would be one character.
        let nameStart = path.utf8.lastIndex(of: UInt8(ascii: "/")).map { path.utf8.index(after: $0) }
        let folder = nameStart.map { String(path[..<$0]) } ?? "."
        let base = nameStart.map { String(path[$0...]) } ?? path
        guard !["", ".", ".."].contains(base) else {
            let example = path + (base.isEmpty ? "" : "/") + "history.db"
            throw cannotOpen(path, "it is a folder. Choose a file in it, such as \(example)")
        }
        guard let real = realpath(folder, nil) else {
            throw cannotOpen(path, "folder \(folder): \(String(cString: strerror(errno)))")
        }
        defer { free(real) }
        guard let folder = String(validatingCString: real) else {
            throw cannotOpen(path, "the path of its folder must be UTF-8")
        }
        return (folder, base)
    }

    /// `nil` if the path is not a symbolic link.
    private static func target(ofLink path: String) throws(StartError) -> String? {
        var bytes = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        let count = readlink(path, &bytes, bytes.count - 1)
        guard count > 0 else {
            // EINVAL: not a link.
            guard [EINVAL, ENOENT].contains(errno) else { throw cannotOpen(path, String(cString: strerror(errno))) }
            return nil
        }
        guard let target = String(validating: bytes[..<count].lazy.map { UInt8(bitPattern: $0) }, as: UTF8.self) else {
            throw cannotOpen(path, "the target of this symbolic link must be UTF-8")
        }
        return target
    }
}
