import Messenger
import Testing

@testable import Server

@Suite struct RetentionTests {
    private static func time(_ seconds: Int64) -> SendTime { SendTime(nanosecondsSinceEpoch: seconds * 1_000_000_000) }

    private func isPassed(_ retention: RetentionPolicy, messages: Int, bytes: Int = 0, oldest: Int64 = 100) -> Bool {
        let load = RetentionPolicy.Usage(messages: messages, bytes: bytes)
        return retention.isExceeded(by: load, oldest: Self.time(oldest), now: Self.time(200))
    }

    @Test func eachLimitCounts() {
        let retention = RetentionPolicy(maxMessages: 10, maxBytes: 1000, maxAge: .seconds(100))
        #expect(!isPassed(retention, messages: 10, bytes: 1000, oldest: 100))
        #expect(isPassed(retention, messages: 11))
        #expect(isPassed(retention, messages: 2, bytes: 1001))
        #expect(isPassed(retention, messages: 2, oldest: 99))
    }

    @Test func theNewestStays() {
        #expect(
            !isPassed(
                RetentionPolicy(maxMessages: 1, maxBytes: 1, maxAge: .seconds(1)),
                messages: 1,
                bytes: 100,
                oldest: 0
            )
        )
    }

    @Test func withoutAnAgeNothingIsTooOld() {
        #expect(!isPassed(RetentionPolicy(), messages: 2, oldest: -9_000_000_000))
    }

    @Test(arguments: [.seconds(Int64.max), .seconds(9_223_372_036) + .milliseconds(900), .seconds(9_223_372_036)])
    func nothingIsOlderThanTime(age: Duration) {
        #expect(!isPassed(RetentionPolicy(maxAge: age), messages: 2, oldest: -9_000_000_000))
    }

    /// Down to a little below the limit: then it is not for each new message that something has to go.
    @Test func moreGoesThanMust() {
        let retention = RetentionPolicy(maxMessages: 80)
        var load = RetentionPolicy.Usage(messages: 81, bytes: 0)
        while retention.shouldRemoveOldest(load, oldest: Self.time(0), now: Self.time(0)) { load.remove(0) }
        #expect(load.messages == 70)
    }
}
