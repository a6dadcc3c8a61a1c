import Messenger
import SQLite

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

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

    let path: String
    private let lock: FileLock

    /// "Mess", by which the file is known for ours.
    private static let applicationID: Int64 = 0x4D65_7373
    /// The version of the tables. A file with a greater one is from a later program.
    private static let version: Int64 = 1

    private static let tables = """
        CREATE TABLE message (time INTEGER PRIMARY KEY, author TEXT NOT NULL, text TEXT NOT NULL) STRICT;
        CREATE TABLE room (held_after INTEGER NOT NULL) STRICT;
        """

    /// Takes the file for this process alone, and checks all of it.
    init(path: String) throws(StartError) {
        // A write over the limit of a file's size would end the process; like this it fails.
        signal(SIGXFSZ, SIG_IGN)
        self.path = path
        lock = try FileLock(path: path + ".lock")
    }

    /// Opens a connection, and makes the tables where there is nothing yet: a room that begins at `start`.
    func connect(sync: Sync, start: SendTime) throws(StartError) -> Database {
        guard Self.size(path) > 0 || Self.size(path + "-wal") == 0 else {
            throw damaged("the file is empty, but \(path)-wal, its newest part, is not")
        }
        if let damage = WriteAheadLog.damage(in: path + "-wal", isSynced: sync == .full) { throw damaged(damage) }
        do {
            let database = try Database(path: path)
            try database.execute("PRAGMA busy_timeout = 5000")
            let isNew = try check(database)
            guard !database.isReadOnly else { throw cannotOpen("it cannot be written") }
            guard try database.text("PRAGMA journal_mode = WAL") == "wal" else {
                throw cannotOpen("its file system lacks the shared memory that a write-ahead log takes")
            }
            try database.execute("PRAGMA synchronous = \(sync.rawValue)")
            if isNew {
                try makeTables(database, start)
            } else {
                // What a power cut has left at its end would lie behind what is written over it. If it fails, so be it.
                _ = try? database.emptyWriteAheadLog()
            }
            return database
        } catch let error as SQLiteError {
            throw error.meansDamage ? damaged(error.description) : cannotOpen(error.description)
        } catch let error as StartError {
            throw error
        } catch {
            throw cannotOpen("\(error)")
        }
    }

    /// Lets go of the file: another server may take it.
    func release() { lock.release() }

    /// One more connection, for reading beside the writer.
    func connectReader() throws(StartError) -> Database {
        do {
            let database = try Database(path: path)
            try database.execute("PRAGMA busy_timeout = 5000; PRAGMA query_only = 1")
            return database
        } catch {
            throw cannotOpen(error.description)
        }
    }

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
                "The file \(path) is no history of a messenger's, but something else of SQLite's"
            )
        }
        guard version <= Self.version else {
            throw StartError(
                .badData,
                "The history in \(path) is from a later version of this program (its format is \(version), and "
                    + "\(Self.version) is the last that this one knows): start that version, or choose another file"
            )
        }
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

    private func damaged(_ detail: String) -> StartError {
        StartError(
            .badData,
            "The history in \(path) is damaged (\(detail)): put a copy in its place, or move it away to begin anew"
        )
    }

    private func cannotOpen(_ detail: String) -> StartError {
        StartError(.unavailable, "Cannot open the history in \(path): \(detail)")
    }

    private static func size(_ path: String) -> Int {
        var status = stat()
        return stat(path, &status) == 0 ? Int(status.st_size) : 0
    }
}

extension Database {
    /// Moves what is in the write-ahead log into the file itself.
    /// - Returns: Whether all of it was: some may be in use.
    func emptyWriteAheadLog() throws(SQLiteError) -> Bool {
        try number("PRAGMA wal_checkpoint(TRUNCATE)") == 0
    }
}
