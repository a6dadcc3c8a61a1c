import Dispatch
import Glibc
import SQLite
import Testing

@Suite(.timeLimit(.minutes(5)))
struct InterruptTests {
    private let path = "/tmp/messenger-test-\(UInt64.random(in: 0 ... .max)).db"

    /// How long a connection waits for another one's lock, in milliseconds.
    private func waitingTime(_ interrupt: Interrupt) throws -> Int {
        defer { unlink(path) }
        let holder = try Database(path: path)
        try holder.execute("BEGIN EXCLUSIVE")
        let waiting = try Database(path: path, interrupt: interrupt)
        let began = ContinuousClock.now
        #expect(throws: SQLiteError.self) { try waiting.execute("BEGIN IMMEDIATE") }
        try holder.execute("ROLLBACK")
        try waiting.execute("BEGIN IMMEDIATE")
        return Int((ContinuousClock.now - began) / .milliseconds(1))
    }

    @Test func aConnectionWaitsForTheBusyTimeout() throws {
        #expect(try waitingTime(Interrupt(busyTimeout: 200)) >= 200)
    }

    /// A statement that would wait for an hour stops waiting when another thread says so.
    @Test(arguments: [true, false]) func aWaitIsCutShort(isTriggered: Bool) throws {
        let interrupt = Interrupt(busyTimeout: 3_600_000)
        DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(50)) {
            if isTriggered { interrupt.trigger() } else { interrupt.setBusyTimeout(60) }
        }
        #expect(try waitingTime(interrupt) >= 50)
        #expect(interrupt.isTriggered == isTriggered)
    }

    /// Counting to a billion takes a minute.
    @Test func aRunningStatementIsInterrupted() throws {
        let interrupt = Interrupt(busyTimeout: 0)
        let database = try Database(path: ":memory:", interrupt: interrupt)
        DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(50)) { interrupt.trigger() }
        let numbers = "SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000"
        #expect(throws: SQLiteError.self) {
            try database.integer("WITH RECURSIVE n(i) AS (\(numbers)) SELECT count(*) FROM n")
        }
    }

    @Test func aClosedConnectionIsNotInterrupted() throws {
        let interrupt = Interrupt(busyTimeout: 0)
        _ = try Database(path: ":memory:", interrupt: interrupt).integer("SELECT 1")
        interrupt.trigger()
    }
}
