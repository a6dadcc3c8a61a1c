import Testing

@testable import Client

@Suite struct FailureReportsTests {
    private let now = ContinuousClock.now

    @Test func aReasonIsWrittenOnceAndAgainAfterAMinute() {
        var reports = FailureReports()
        let written = (0...120).map { reports.failed("away", now: now + .seconds($0)) }
        #expect(written.compactMap(\.self) == [1, 61, 121])
        let count = reports.recovered()
        let afterwards = reports.failed("away", now: now)
        #expect(count == 121 && afterwards == 1)
    }

    @Test func aNewReasonIsWrittenAtOnce() {
        var reports = FailureReports()
        let written = ["a", "b", "a", "b", "c"].map { reports.failed($0, now: now) }
        #expect(written == [1, 2, nil, nil, 5])
    }

    @Test func alwaysNewReasonsAreBounded() {
        var reports = FailureReports()
        let written = (0..<1000).map { reports.failed("request \($0)", now: now) }
        #expect(written.compactMap(\.self).count == FailureReports.mostReasons)
    }

    /// An answer that only says how to go on.
    @Test func noReasonIsWrittenWhenItGoesOn() {
        var reports = FailureReports()
        let written = [0, 59, 60, 61].map { reports.failed(nil, now: now + .seconds($0)) }
        #expect(written == [nil, nil, 3, nil])
    }
}
