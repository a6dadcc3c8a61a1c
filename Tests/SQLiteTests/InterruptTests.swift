import Dispatch
import Glibc
import SQLite
import Testing

/// What another thread can do to a connection.
@Suite(.timeLimit(.minutes(1)))
struct InterruptTests {
    private let path = "/tmp/messenger-test-\(UInt64.random(in: 0 ... .max)).db"

    /// How long a connection waits for the lock that another one has, in milliseconds.
    private func waiting(_ interrupt: Interrupt) throws -> Int {
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

    @Test func aLockIsWaitedForAsLongAsSaid() throws {
        #expect(try waiting(Interrupt(lockPatience: 200)) >= 200)
    }

    /// The wait of an hour that has begun ends when another thread shortens it.
    @Test(arguments: [true, false]) func aWaitIsShortened(isTriggered: Bool) throws {
        let interrupt = Interrupt(lockPatience: 3_600_000)
        DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(50)) {
            if isTriggered { interrupt.trigger() } else { interrupt.limitWaiting(to: 60) }
        }
        #expect(try waiting(interrupt) >= 50)
        #expect(interrupt.isTriggered == isTriggered)
    }

    /// Counts to a billion, which takes a minute.
    @Test func whatRunsIsEnded() throws {
        let interrupt = Interrupt(lockPatience: 0)
        let database = try Database(path: ":memory:", interrupt: interrupt)
        DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(50)) { interrupt.trigger() }
        let numbers = "SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000"
        #expect(throws: SQLiteError.self) {
            try database.number("WITH RECURSIVE n(i) AS (\(numbers)) SELECT count(*) FROM n")
        }
    }

    @Test func aClosedConnectionIsLeftAlone() throws {
        let interrupt = Interrupt(lockPatience: 0)
        _ = try Database(path: ":memory:", interrupt: interrupt).number("SELECT 1")
        interrupt.trigger()
    }
}
