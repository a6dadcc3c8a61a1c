import Glibc
import Messenger
import SQLite

/// The file of a durable room: made if it is not there, and refused if it cannot be trusted.
///
/// What is there is never replaced: a file that is damaged, foreign or from a later version stops the start.
struct SQLiteFile {
    /// When a commit is kept for good.
    enum Sync: String, Sendable {
        /// When the disk has it: it outlives a power cut.
        case full
        /// When the system has it: it outlives the death of the process, but not that of the machine.
        case normal
    }

    let path: HistoryPath
    /// Ends what connections to the file do, and bounds how long they wait.
    let interrupt: Interrupt
    private let lock: FileLock
    /// The files that messages are written to. SQLite never replaces them while the server runs.
    private var open: [(path: String, identity: FileIdentity)] = []

    /// "Mess", by which the file is known for ours.
    private static let applicationID: Int64 = 0x4D65_7373
    /// The version of the tables. A file with a greater one is from a later program.
    private static let version: Int64 = 1

    /// What may stay of the write-ahead log, in bytes: twice what SQLite lets it grow to by itself.
    static let writeAheadLogLimit = 8 << 20

    private static let tables = """
        CREATE TABLE message (time INTEGER PRIMARY KEY, author TEXT NOT NULL, text TEXT NOT NULL) STRICT;
        CREATE TABLE room (held_after INTEGER NOT NULL) STRICT;
        """

    /// Takes the file for this process alone. `connect(sync:start:)` checks what is in it.
    init(path setting: String, interrupt: Interrupt = Interrupt(lockPatience: 5000)) throws(StartError) {
        // A write over the limit of a file's size would end the process; like this it fails.
        signal(SIGXFSZ, SIG_IGN)
        path = try HistoryPath(setting: setting)
        self.interrupt = interrupt
        try Self.check(path)
        lock = try FileLock(path)
    }

    /// The size of what a start reads whole, in bytes.
    var size: Int { [path.file, path.writeAheadLog].reduce(0) { $0 + Self.size($1) } }

    /// Whether the write-ahead log has room that it should not keep.
    var hasLongWriteAheadLog: Bool { Self.size(path.writeAheadLog) > Self.writeAheadLogLimit }

    /// Opens a connection, and makes the tables where there is nothing yet: a room that begins at `start`.
    func connect(sync: Sync, start: SendTime) throws(StartError) -> Database {
        let log = path.writeAheadLog
        guard Self.size(path.file) > 0 || Self.size(log) == 0 else {
            throw damaged("the file is empty, but \(log), its newest part, is not")
        }
        let damage = WriteAheadLog.damage(in: log, isSynced: sync == .full) { interrupt.isTriggered }
        try goOn()
        if let damage { throw damaged(damage) }
        do {
            let database = try Database(path: path.file, interrupt: interrupt)
            let isNew = try check(database)
            guard !database.isReadOnly else { throw cannotOpen("it cannot be written") }
            guard try database.text("PRAGMA journal_mode = WAL") == "wal" else {
                throw cannotOpen("its file system lacks the shared memory that a write-ahead log takes")
            }
            try database.execute("PRAGMA synchronous = \(sync.rawValue)")
            // Else the log would stay as long as it ever was, once somebody else's reader has kept it from being emptied.
            try database.execute("PRAGMA journal_size_limit = \(Self.writeAheadLogLimit)")
            if isNew {
                try makeTables(database, start)
            } else {
                // What a power cut has left at its end would lie behind what is written over it. If it fails, so be it.
                _ = try? database.checkpoint(truncating: true)
            }
            return database
        } catch let error as StartError {
            throw error
        } catch {
            throw startError(error)
        }
    }

    /// Releases the file: another server may take it. All connections are closed.
    func release() { lock.release() }

    /// As ``release()``, for a start that was refused: it leaves no files of its own.
    func abandon() { lock.abandon() }

    /// One more connection, for another thread than the writer's.
    func connectAgain(sync: Sync) throws(StartError) -> Database {
        do {
            let database = try Database(path: path.file, interrupt: interrupt)
            try database.execute("PRAGMA synchronous = \(sync.rawValue); PRAGMA query_only = 1")
            return database
        } catch {
            throw startError(error)
        }
    }

    /// Remembers which files SQLite has opened.
    mutating func remember() throws(StartError) {
        let files = [path.file, path.writeAheadLog, path.file + "-shm"]
        open = files.compactMap { path in FileStatus(path).map { (path, $0.identity) } }
        guard open.count == files.count, open[0].identity == lock.identity else {
            throw cannotOpen("another program has replaced it just now")
        }
    }

    /// Whether these files are still where they were: what is written to them otherwise, the next start does not find.
    var isInPlace: Bool { open.allSatisfy { $0.identity.isAt($0.path) } }

    /// Whether another program has emptied or overwritten a file in its place, as `cp` does.
    ///
    /// - Parameters:
    ///   - size: The file's size when this was last asked. It shrinks only if somebody compacts it (`VACUUM`).
    ///   - pageBytes: The size that SQLite knows of.
    ///   - hasWritten: Whether the write-ahead log has been written to just now, and so has a header.
    func isOverwritten(since size: inout Int, pageBytes: () throws -> Int, hasWritten: Bool) -> Bool {
        let now = fileSize
        guard now >= size || ((try? pageBytes()) ?? size) < size else { return true }
        size = now
        return hasWritten && WriteAheadLog.lacksHeader(path.writeAheadLog)
    }

    var fileSize: Int { Self.size(path.file) }

    /// - Returns: Whether there is nothing in the file yet.
    private func check(_ database: Database) throws -> Bool {
        let application = try database.number("PRAGMA application_id") ?? 0
        let version = try database.number("PRAGMA user_version") ?? 0
        if application == 0, version == 0, try database.number("SELECT count(*) FROM sqlite_schema") == 0 {
            return true
        }
        guard application == Self.applicationID else {
            throw StartError(
                .badData,
                "The file \(path.file) is no history of a messenger's, but something else of SQLite's"
            )
        }
        guard version <= Self.version else {
            throw StartError(
                .badData,
                "The history in \(path.file) is from a later version of this program (its format is \(version), and "
                    + "\(Self.version) is the last that this one knows): start that version, or choose another file"
            )
        }
        try goOn()
        let verdict = try database.text("PRAGMA quick_check(1)") ?? "nothing can be read"
        guard verdict == "ok" else { throw damaged(verdict) }
        return false
    }

    private func makeTables(_ database: Database, _ start: SendTime) throws(SQLiteError) {
        try database.execute(
            """
            BEGIN IMMEDIATE;
            PRAGMA application_id = \(Self.applicationID);
            PRAGMA user_version = \(Self.version);
            \(Self.tables)
            INSERT INTO room (held_after) VALUES (\(start.nanosecondsSinceEpoch));
            COMMIT;
            """
        )
    }

    /// Why a start failed, from what SQLite or another part of it says.
    func startError(_ error: any Error) -> StartError {
        guard !interrupt.isTriggered else { return StartError(.unavailable, "The start was stopped") }
        switch error {
        case let error as StartError: return error
        case let error as SQLiteError:
            if error.meansForeign {
                return damaged("it is no SQLite database. If it is another program's file, choose another one instead")
            }
            if error.meansDamage { return damaged(error.description) }
            guard error.isFull || (error.isOfSystem && isDiskFull) else { return cannotOpen(error.description) }
            return cannotOpen(path.diskIsFull)
        default: return cannotOpen("\(error)")
        }
    }

    /// An interrupt does not reach what begins after it.
    private func goOn() throws(StartError) {
        guard !interrupt.isTriggered else { throw StartError(.unavailable, "The start was stopped") }
    }

    /// SQLite does not always pass on what the system said.
    private var isDiskFull: Bool {
        var status = statvfs()
        guard statvfs(path.folder, &status) == 0 else { return false }
        let free = geteuid() == 0 ? status.f_bfree : status.f_bavail
        return (status.f_blocks > 0 && free == 0) || (status.f_files > 0 && status.f_favail == 0)
    }

    func damaged(_ detail: String) -> StartError {
        let files = ([path.file] + path.companions).filter { !lock.absent.contains($0) }.joined(separator: " ")
        return StartError(
            .badData,
            "The history in \(path.file) is damaged: \(detail). To go on from a backup, move \(files) to another folder and "
                + "copy the backup to \(path.file). To begin anew, only move them"
        )
    }

    private func cannotOpen(_ detail: String) -> StartError { HistoryPath.cannotOpen(path.file, detail) }

    /// Refuses what SQLite would not refuse, or only when the first message comes. Changes nothing.
    private static func check(_ path: HistoryPath) throws(StartError) {
        func refusal(_ detail: String) -> StartError { HistoryPath.cannotOpen(path.file, detail) }
        let folder = FileStatus(path.folder)
        let file = FileStatus(path.file)
        if let file {
            guard !file.isFolder else { throw refusal("it is a folder. Choose a file in it") }
            guard file.isRegular else { throw refusal("it is not a regular file") }
            guard file.links <= 1 else {
                throw refusal(
                    "it has \(file.links) names (hard links), and each would have a write-ahead log of its own. Remove the others"
                )
            }
            guard file.mount == folder?.mount else {
                throw refusal(
                    "it is mounted without its folder, so the write-ahead log beside it would be lost. "
                        + "Mount the folder that holds the file"
                )
            }
        }
        guard faccessat(AT_FDCWD, path.folder, W_OK | X_OK, AT_EACCESS) == 0 else {
            throw refusal("its folder \(path.folder) cannot be written: \(String(cString: strerror(errno)))")
        }
        for companion in path.companions {
            guard let status = FileStatus(companion) else { continue }
            guard status.isRegular, status.links <= 1 else {
                throw refusal("\(companion) is not a regular file with one name")
            }
            guard status.mount == folder?.mount else { throw refusal("\(companion) is mounted without its folder") }
            guard [geteuid(), file?.owner].contains(status.owner),
                faccessat(AT_FDCWD, companion, R_OK | W_OK, AT_EACCESS) == 0
            else {
                throw refusal(
                    "\(companion) belongs to user \(status.owner), or user \(geteuid()) cannot write it. "
                        + "Give it to the owner of \(path.file), with mode 0600"
                )
            }
        }
    }

    private static func size(_ path: String) -> Int {
        var status = stat()
        return stat(path, &status) == 0 ? Int(status.st_size) : 0
    }
}
