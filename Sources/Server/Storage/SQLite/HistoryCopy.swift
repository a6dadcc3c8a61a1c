import Glibc
import Messenger
import SQLite

/// A new file with a copy of a history. Until it is complete and on the disk, it has another name.
final class HistoryCopy {
    private let target: DatabasePath
    private let temporary: String
    private let descriptor: Int32
    private var isFinished = false

    /// Creates the file under a temporary name in the folder of its later one.
    init(_ target: DatabasePath) throws(StartError) {
        self.target = target
        guard FileStatus(target.file) == nil else { throw Self.exists(target) }
        var name = Array("\(target.file).XXXXXX".utf8CString)
        descriptor = mkstemp(&name)
        guard descriptor >= 0 else { throw Self.cannotWrite(target, errno) }
        temporary = String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        // The umask may have removed some of it.
        fchmod(descriptor, 0o600)
    }

    deinit {
        close(descriptor)
    }

    func path() throws(StartError) -> DatabasePath { try DatabasePath(setting: temporary) }

    func fill(from source: borrowing Database, _ interrupt: Interrupt) throws(StartError) {
        do {
            let copy = try Database(path: temporary)
            // If anything fails, nobody needs the file. `finish()` syncs it.
            try copy.execute("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")
            guard try source.copy(to: copy, isStopped: { interrupt.isTriggered }) else { throw StoredHistory.stopped }
        } catch let error as StartError {
            throw error
        } catch let error as SQLiteError {
            if interrupt.isTriggered { throw StoredHistory.stopped }
            throw Self.cannotWrite(target, error.isFull ? target.diskIsFull : error.description)
        } catch {
            throw Self.cannotWrite(target, "\(error)")
        }
    }

    /// Gives the file its name, after everything is on the disk. Never replaces another file.
    func finish() throws(StartError) {
        guard fsync(descriptor) == 0 else { throw Self.cannotWrite(target, errno) }
        if link(temporary, target.file) == 0 {
            unlink(temporary)
        } else {
            guard errno != EEXIST else { throw Self.exists(target) }
            // Not every file system has hard links.
            guard [EPERM, EOPNOTSUPP].contains(errno), FileStatus(target.file) == nil else {
                throw Self.cannotWrite(target, errno)
            }
            guard rename(temporary, target.file) == 0 else { throw Self.cannotWrite(target, errno) }
        }
        isFinished = true
        let folder = open(target.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        defer { close(folder) }
        guard folder >= 0, fsync(folder) == 0 else { throw Self.cannotWrite(target, errno) }
    }

    func deleteIfUnfinished() {
        if !isFinished { unlink(temporary) }
    }

    private static func exists(_ target: DatabasePath) -> StartError {
        StartError(.unavailable, "The file \(target.file) exists already. A backup needs a new name")
    }

    private static func cannotWrite(_ target: DatabasePath, _ code: Int32) -> StartError {
        let isFull = [ENOSPC, EDQUOT].contains(code)
        return cannotWrite(target, isFull ? target.diskIsFull : String(cString: strerror(code)))
    }

    private static func cannotWrite(_ target: DatabasePath, _ reason: String) -> StartError {
        StartError(.unavailable, "Cannot write the backup \(target.file): \(reason)")
    }
}
