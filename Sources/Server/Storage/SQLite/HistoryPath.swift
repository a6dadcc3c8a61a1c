import Glibc
import Messenger

/// Where a history's file truly is.
///
/// Links are followed once, here. Everything that belongs to the history goes by the result: the lock, the checks, the
/// files that SQLite keeps beside it, and what errors advise.
struct HistoryPath: Sendable {
    /// Absolute, without links.
    let file: String
    let folder: String

    /// What SQLite appends to the name for the files beside it.
    static let companionSuffixes = ["-wal", "-shm", "-journal"]
    /// SQLite's own limit for a path, and the file systems' for a name.
    private static let longest = (path: 511, name: 255)

    var writeAheadLog: String { file + "-wal" }
    var companions: [String] { Self.companionSuffixes.map { file + $0 } }

    var diskIsFull: String { "the disk is full. Make room on the file system of \(folder)" }

    /// Follows the links of what the setting says. Makes nothing.
    init(setting: String) throws(StartError) {
        guard !Self.isURI(setting) else {
            throw StartError(
                .badConfiguration,
                "MESSENGER_HISTORY takes a plain path after sqlite:, such as sqlite:/var/lib/messenger/history.db, and no URI. "
                    + "A history in memory is memory:"
            )
        }
        // What is not UTF-8 in a program's arguments arrives as U+FFFD, and would name another file.
        guard !setting.unicodeScalars.contains("\u{FFFD}") else {
            throw StartError(.badConfiguration, "The path of the history must be UTF-8, without U+FFFD")
        }
        var name = setting
        for _ in 0..<40 {
            let (folder, base) = try Self.realPath(of: name)
            let file = folder == "/" ? "/" + base : "\(folder)/\(base)"
            guard let target = try Self.target(ofLink: file) else {
                let longest = Self.companionSuffixes.map(\.utf8.count).max() ?? 0
                guard base.utf8.count + longest <= Self.longest.name, file.utf8.count + longest <= Self.longest.path
                else {
                    throw Self.cannotOpen(file, "its path is too long")
                }
                self.file = file
                self.folder = folder
                return
            }
            name = target.utf8.first == UInt8(ascii: "/") ? target : "\(folder)/\(target)"
        }
        throw Self.cannotOpen(setting, "too many links")
    }

    static func cannotOpen(_ file: String, _ detail: String) -> StartError {
        StartError(.unavailable, "Cannot open the history in \(file): \(detail)")
    }

    /// What SQLite, or a library around it, would not take for a path: `:memory:`, `file:…`, `//…`, `…?mode=memory`.
    private static func isURI(_ text: String) -> Bool {
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

    /// The folder of a path without links, and the name in it.
    private static func realPath(of path: String) throws(StartError) -> (folder: String, base: String) {
        // By bytes: a slash and a combining mark after it would be one character.
        let nameBegin = path.utf8.lastIndex(of: UInt8(ascii: "/")).map { path.utf8.index(after: $0) }
        let folder = nameBegin.map { String(path[..<$0]) } ?? "."
        let base = nameBegin.map { String(path[$0...]) } ?? path
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

    /// What a symbolic link says; `nil` if the path is none.
    private static func target(ofLink path: String) throws(StartError) -> String? {
        var bytes = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        let count = readlink(path, &bytes, bytes.count - 1)
        guard count > 0 else {
            // EINVAL: something else than a link.
            guard [EINVAL, ENOENT].contains(errno) else { throw cannotOpen(path, String(cString: strerror(errno))) }
            return nil
        }
        guard let target = String(validating: bytes[..<count].lazy.map { UInt8(bitPattern: $0) }, as: UTF8.self) else {
            throw cannotOpen(path, "what this link leads to must be UTF-8")
        }
        return target
    }
}
