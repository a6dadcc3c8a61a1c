import SQLite
import Testing

/// Each test has its own database in memory.
@Suite struct DatabaseTests {
    private let database: Database

    init() throws {
        database = try Database(path: ":memory:")
        try database.execute("CREATE TABLE word (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")
    }

    private func insert(_ texts: String...) throws {
        let statement = try Statement("INSERT INTO word (id, text) VALUES (?1, ?2)", on: database)
        for (index, text) in texts.enumerated() {
            try statement.bind(Int64(index), at: 1)
            try statement.bind(text, at: 2)
            try statement.run()
        }
    }

    private func texts() throws -> [String] {
        var texts: [String] = []
        try Statement("SELECT text FROM word ORDER BY id", on: database).forEachRow { texts.append($0.text(0)) }
        return texts
    }

    /// An empty text is not NULL, and U+0000 does not end a text.
    @Test func textsAreStoredUnchanged() throws {
        let long = String(repeating: "naïve 🙂 ", count: 10_000)
        try insert("", "a\u{0}b", long)
        #expect(try texts() == ["", "a\u{0}b", long])
    }

    @Test func integersAreStoredUnchanged() throws {
        for integer in [0, -1, .min, .max] as [Int64] {
            let statement = try Statement("SELECT ?1, ?2, NULL", on: database)
            try statement.bind(integer, at: 1)
            var rows: [Int64] = []
            try statement.forEachRow { row in
                rows.append(row.integer(0))
                #expect(row.isNull(1) && row.isNull(2) && !row.isNull(0))
                #expect(row.text(1).isEmpty && row.integer(1) == 0)
            }
            #expect(rows == [integer])
        }
    }

    @Test func theFirstColumnOfTheFirstRow() throws {
        try insert("first", "second")
        #expect(try database.text("SELECT text FROM word ORDER BY id") == "first")
        #expect(try database.text("SELECT text FROM word WHERE id > 7") == nil)
        #expect(try database.integer("SELECT count(*) FROM word") == 2)
        #expect(try database.integer("SELECT max(id) FROM word WHERE id > 7") == nil)
    }

    @Test func aFailedStatementCanRunAgain() throws {
        let statement = try Statement("INSERT INTO word (id, text) VALUES (1, ?1)", on: database)
        #expect(throws: SQLiteError.self) { try statement.run() }
        try statement.bind("not null", at: 1)
        try statement.run()
        #expect(try texts() == ["not null"])
    }

    @Test func aTransactionIsOpenUntilItEnds() throws {
        try database.execute("BEGIN")
        #expect(database.isInTransaction)
        try insert("gone")
        try database.execute("ROLLBACK")
        #expect(!database.isInTransaction)
        #expect(try texts().isEmpty)
    }

    @Test func errorsHaveSQLitesMessage() {
        let error = #expect(throws: SQLiteError.self) { try database.execute("SELECT * FROM nowhere") }
        #expect(error?.description == "no such table: nowhere")
        #expect(error.map { !$0.isFull && !$0.isCorrupt } == true)
        #expect(throws: SQLiteError.self) { try Statement("SELEKT", on: database) }
        #expect(throws: SQLiteError.self) { try Statement("SELECT 1", on: database).bind(1, at: 7) }
    }

    @Test func aFullDatabaseIsReported() throws {
        try database.execute("PRAGMA max_page_count = 10")
        let error = #expect(throws: SQLiteError.self) { try insert(String(repeating: "x", count: 1 << 20)) }
        #expect(error?.isFull == true)
    }

    @Test func otherFilesAreRefused() throws {
        #expect(throws: SQLiteError.self) { try Database(path: "/nowhere/at/all") }
        let error = #expect(throws: SQLiteError.self) { try Database(path: "/proc/self/exe").text("SELECT 1 FROM a") }
        #expect(error?.isCorrupt == true)
    }

    @Test func aStatementKeepsItsDatabaseOpen() throws {
        let statement = try Statement("SELECT 7", on: try Database(path: ":memory:"))
        try statement.forEachRow { #expect($0.integer(0) == 7) }
    }
}
