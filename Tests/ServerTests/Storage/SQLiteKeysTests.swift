import Messenger
import SQLite
import Testing

@testable import Server

/// The keys of messages in a file, with times that the tests set.
@Suite(.timeLimit(.minutes(5)))
struct SQLiteKeysTests {
    private let folder = TemporaryFolder()
    /// Recent: older keys would be forgotten.
    private let start = SendTime.now()

    private func open(_ limits: IdempotencyKeys.Limits = .init()) throws -> (SQLiteWriter, SQLiteFile) {
        let file = try SQLiteFile(path: folder.path(of: "history.db"))
        let database = try file.open(sync: .normal, start: start)
        return (try SQLiteWriter(database, retention: RetentionPolicy(), keys: limits), file)
    }

    private func time(_ number: Int64) -> SendTime {
        SendTime(nanosecondsSinceEpoch: start.nanosecondsSinceEpoch + number)
    }

    private func message(_ text: String, key: String, _ number: Int64) -> (message: NewMessage, sendTime: SendTime) {
        (NewMessage(author: "Ivan", text: text, key: IdempotencyKey(key)), time(number))
    }

    private func stored(_ table: String) throws -> Int64? {
        try Database(path: folder.path(of: "history.db")).integer("SELECT count(*) FROM \(table)")
    }

    @Test func oneTransactionStoresEachMessageOnce() throws {
        var (writer, file) = try open()
        let outcomes = try writer.append(
            [
                message("hey", key: "1", 1), message("hey", key: "1", 2), message("no", key: "1", 3),
                message("hey", key: "2", 4),
            ],
            now: start
        )
        #expect(outcomes == [.stored(time(1)), .known(time(1)), .keyIsTaken, .stored(time(4))])
        #expect(try stored("message") == 2)
        file.release()
        // Another start knows them too.
        (writer, file) = try open()
        #expect(try writer.append([message("hey", key: "2", 5)], now: start) == [.known(time(4))])
        file.release()
    }

    /// The time of the second message is taken, so its transaction fails.
    @Test func aTransactionThatFailsLeavesNoKey() throws {
        var (writer, file) = try open()
        _ = try writer.append([message("first", key: "1", 1)], now: start)
        #expect(throws: SQLiteError.self) {
            try writer.append([message("new", key: "2", 2), message("again", key: "3", 1)], now: start)
        }
        #expect(try stored("idempotency_key") == 1)
        #expect(try writer.append([message("other", key: "2", 3)], now: start) == [.stored(time(3))])
        file.release()
    }

    @Test func theOldestKeysAreForgottenFirst() throws {
        var (writer, file) = try open(.init(age: .seconds(600), count: 3))
        for number in Int64(1)...5 {
            _ = try writer.append([message("hey", key: "\(number)", number)], now: start)
        }
        #expect(try writer.append([message("hey", key: "5", 6)], now: start) == [.known(time(5))])
        #expect(try stored("idempotency_key") == 3)
        #expect(try writer.append([message("hey", key: "1", 7)], now: start) == [.stored(time(7))])
        file.release()
    }

    /// A thousand in each transaction.
    @Test func keysAreForgottenAtTheirAge() throws {
        var (writer, file) = try open(.init(age: .seconds(3600), count: 10_000))
        let hourAgo = -3601 * Int64(1_000_000_000)
        _ = try writer.append((0..<1500).map { message("hey", key: "\($0)", hourAgo + $0) }, now: start)
        _ = try writer.append([message("hey", key: "new", 1)], now: start)
        #expect(try stored("idempotency_key") == 501)
        _ = try writer.append([message("hey", key: "next", 2)], now: start)
        #expect(try stored("idempotency_key") == 2)
        file.release()
    }

    /// An earlier version has written it.
    @Test func aFileWithoutTheTableGetsIt() throws {
        let (_, file) = try open()
        file.release()
        try Database(path: folder.path(of: "history.db")).execute("DROP TABLE idempotency_key")
        var (writer, again) = try open()
        #expect(try writer.append([message("hey", key: "1", 1)], now: start) == [.stored(time(1))])
        again.release()
    }
}
