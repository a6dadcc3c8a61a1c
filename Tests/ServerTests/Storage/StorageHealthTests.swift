import Logging
import Synchronization
import Testing

@testable import Server

@Suite struct StorageHealthTests {
    private struct SomeError: Error {}

    /// The storage works again when the last failing part does. Repeated failures change nothing.
    @Test func worksWhileNoPartFails() {
        let changes = Changes()
        let health = StorageHealth { changes.append($0) }
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let parts = [FailureLog(logger: logger, health: health), FailureLog(logger: logger, health: health)]
        let other = FailureLog(logger: logger)
        parts[0].failed("a", SomeError())
        parts[1].failed("b", SomeError())
        parts[0].failed("a", SomeError())
        other.failed("c", SomeError())
        #expect(changes.all == [false])
        parts[0].recovered()
        parts[0].recovered()
        #expect(changes.all == [false])
        parts[1].recovered()
        #expect(changes.all == [false, true])
    }

    @Test func aFailureIsDueForAnotherTryAfterSomeTime() {
        let log = FailureLog(logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        #expect(!log.hasFailed(before: .zero))
        log.failed("a", SomeError())
        #expect(log.hasFailed(before: .zero))
        #expect(!log.hasFailed(before: .seconds(60)))
        log.recovered()
        #expect(!log.hasFailed(before: .zero))
    }

    private final class Changes: Sendable {
        private let changes = Mutex<[Bool]>([])

        func append(_ works: Bool) {
            changes.withLock { $0.append(works) }
        }

        var all: [Bool] { changes.withLock { $0 } }
    }
}
