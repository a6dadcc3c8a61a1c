import Glibc
import Messenger
import SQLite

/// The database file of a history. It is created if it does not exist, and refused if it cannot be trusted.
///
/// A file that is damaged, belongs to another program or is from a later version stops the start, and stays as it is.
struct SQLiteFile {
    /// SQLite's `synchronous`: what a commit survives.
    enum Sync: String, Sendable {
        /// A power cut.
        case full
        /// The end of the process, but not that of the machine.
        case normal
    }

    let path: DatabasePath
    /// Interrupts all connections to the file, and sets their busy timeout.
    let interrupt: Interrupt
    private let lock: FileLock
    /// The files that SQLite has open. It never replaces them while the server runs.
    private var openFiles: [(path: String, identity: FileIdentity)] = []

    /// "Mess": marks the file as ours.
    private static let applicationID: Int64 = 0x4D65_7373
    /// The version of the tables. A later program may have written a later one.
    private static let version: Int64 = 1

    /// What the write-ahead log may keep after a checkpoint, in bytes: twice the length at which SQLite checkpoints.
    private static let writeAheadLogLimit = 8 << 20

    private static let tables = """
        CREATE TABLE message (time INTEGER PRIMARY KEY, author TEXT NOT NULL, text TEXT NOT NULL) STRICT;
        CREATE TABLE room (held_after INTEGER NOT NULL) STRICT;
        """

    /// Locks the file, and creates it if it does not exist. Does not look into it.
    init(path setting: String, interrupt: Interrupt = Interrupt(busyTimeout: 5000)) throws(StartError) {
        // A write beyond the size limit for files would kill the process. Now it fails instead.
        signal(SIGXFSZ, SIG_IGN)
        path = try DatabasePath(setting: setting)
        self.interrupt = interrupt
        try path.check()
        lock = try FileLock(path)
    }

    var databaseSize: Int { Self.size(path.file) }
    var writeAheadLogSize: Int { Self.size(path.writeAheadLog) }
    var isWriteAheadLogTooLarge: Bool { writeAheadLogSize > Self.writeAheadLogLimit }

    /// Checks the file and opens the writer's connection. Creates the tables in an empty file.
    /// - Parameter start: The time after which a new history begins.
    func open(sync: Sync, start: SendTime) throws(StartError) -> Database {
        let log = path.writeAheadLog
        guard databaseSize > 0 || writeAheadLogSize == 0 else {
            throw damaged("the file is empty, but its write-ahead log \(log) is not")
        }
        let damage = WriteAheadLog.damage(in: log, isSynced: sync == .full) { interrupt.isTriggered }
        try checkNotStopped()
        if let damage { throw damaged(damage) }
        do {
            let database = try Database(path: path.file, interrupt: interrupt)
            let isNew = try check(database)
            guard !database.isReadOnly else { throw path.cannotOpen("it cannot be written") }
            guard try database.text("PRAGMA journal_mode = WAL") == "wal" else {
                throw path.cannotOpen("its file system lacks the shared memory that SQLite's write-ahead log needs")
            }
            try database.execute("PRAGMA synchronous = \(sync.rawValue)")
            // Otherwise the log file stays as long as it ever was after another process has read for long.
            try database.execute("PRAGMA journal_size_limit = \(Self.writeAheadLogLimit)")
            if isNew {
                try createTables(in: database, start: start)
            } else {
                // New frames would overwrite only some of the invalid ones that a power cut has left. If the checkpoint
                // fails, a later one does it.
                _ = try? database.checkpoint(truncating: true)
                // Files of earlier versions lack it. Those versions ignore it.
                try database.execute(SQLiteKeys.table)
            }
            return database
        } catch let error as StartError {
            throw error
        } catch {
            throw startError(error)
        }
    }

    /// Opens one more connection, for another thread.
    func openAgain(sync: Sync) throws(StartError) -> Database {
        do {
            let database = try Database(path: path.file, interrupt: interrupt)
            try database.execute("PRAGMA synchronous = \(sync.rawValue); PRAGMA query_only = 1")
            return database
        } catch {
            throw startError(error)
        }
    }

    /// Unlocks the file. All connections must be closed.
    func release() { lock.release() }

    /// Unlocks the file, and deletes it if this start has created it. All connections must be closed.
    func releaseAfterFailedStart() { lock.releaseAfterFailedStart() }

    /// Remembers which files SQLite has opened, for ``isInPlace``.
    mutating func recordOpenFiles() throws(StartError) {
        let files = [path.file, path.writeAheadLog, path.file + "-shm"]
        openFiles = files.compactMap { path in FileStatus(path).map { (path, $0.identity) } }
        guard openFiles.count == files.count, openFiles[0].identity == lock.identity else {
            throw path.cannotOpen("another program has just replaced it")
        }
    }

    /// Whether all files are still at their paths. If not, the next start does not find what is written to them.
    var isInPlace: Bool { openFiles.allSatisfy { $0.identity.isAt($0.path) } }

    /// Whether another program has emptied a file or written over it, as `cp` does.
    ///
    /// - Parameters:
    ///   - previousSize: The database's size at the last call. Only `VACUUM` makes it smaller.
    ///   - expectedSize: The size according to SQLite.
    ///   - isLogWritten: Whether there was a commit just now, so that the write-ahead log must have a header.
    func isOverwritten(since previousSize: inout Int, expectedSize: () throws -> Int, isLogWritten: Bool) -> Bool {
        let size = databaseSize
        guard size >= previousSize || ((try? expectedSize()) ?? previousSize) < previousSize else { return true }
        previousSize = size
        return isLogWritten && WriteAheadLog.lacksHeader(path.writeAheadLog)
    }

    /// Turns an error during the start into what the user reads.
    func startError(_ error: any Error) -> StartError {
        if interrupt.isTriggered { return Self.stopped }
        switch error {
        case let error as StartError: return error
        case let error as SQLiteError:
            if error.isNotADatabase {
                return damaged("it is not an SQLite database. If it belongs to another program, choose another file")
            }
            if error.isCorrupt { return damaged(error.description) }
            guard error.isFull || (error.isSystemError && isDiskFull) else { return path.cannotOpen(error.description) }
            return path.cannotOpen(path.diskIsFull)
        default: return path.cannotOpen("\(error)")
        }
    }

    func damaged(_ detail: String) -> StartError {
        let files = ([path.file] + path.auxiliaryFiles).filter { !lock.missingFiles.contains($0) }
        return StartError(
            .badData,
            "The history in \(path.file) is damaged: \(detail). To restore a backup, move "
                + "\(files.joined(separator: " ")) to another folder and copy the backup to \(path.file). "
                + "To start with an empty history, only move them"
        )
    }

    /// - Returns: Whether the file is still empty.
    private func check(_ database: Database) throws -> Bool {
        if try Self.isEmpty(database, at: path) { return true }
        try checkNotStopped()
        let result = try database.text("PRAGMA quick_check(1)") ?? "nothing can be read"
        guard result == "ok" else { throw damaged(result) }
        return false
    }

    /// Refuses a database of another program, or of a later version.
    /// - Returns: Whether there is nothing in it.
    static func isEmpty(_ database: Database, at path: DatabasePath) throws -> Bool {
        let application = try database.integer("PRAGMA application_id") ?? 0
        let version = try database.integer("PRAGMA user_version") ?? 0
        if application == 0, version == 0, try database.integer("SELECT count(*) FROM sqlite_schema") == 0 {
            return true
        }
        guard application == applicationID else {
            throw StartError(.badData, "The file \(path.file) is a database of another program. Choose another file")
        }
        guard version <= Self.version else {
            throw StartError(
                .badData,
                "The history in \(path.file) is from a later version of this program: its format is \(version), "
                    + "and this version knows formats up to \(Self.version). Start the later version, "
                    + "or choose another file"
            )
        }
        return false
    }

    private func createTables(in database: Database, start: SendTime) throws(SQLiteError) {
        try database.execute(
            """
            BEGIN IMMEDIATE;
            PRAGMA application_id = \(Self.applicationID);
            PRAGMA user_version = \(Self.version);
            \(Self.tables)
            \(SQLiteKeys.table)
            INSERT INTO room (held_after) VALUES (\(start.nanosecondsSinceEpoch));
            COMMIT;
            """
        )
    }

    private static var stopped: StartError { StartError(.unavailable, "The start was stopped") }

    /// The interrupt does not reach statements that begin after it.
    private func checkNotStopped() throws(StartError) {
        guard !interrupt.isTriggered else { throw Self.stopped }
    }

    /// SQLite does not always report the system's error.
    private var isDiskFull: Bool {
        var status = statvfs()
        guard statvfs(path.folder, &status) == 0 else { return false }
        let free = geteuid() == 0 ? status.f_bfree : status.f_bavail
        return (status.f_blocks > 0 && free == 0) || (status.f_files > 0 && status.f_favail == 0)
    }

    private static func size(_ path: String) -> Int {
        var status = stat()
        return stat(path, &status) == 0 ? Int(status.st_size) : 0
    }
}
