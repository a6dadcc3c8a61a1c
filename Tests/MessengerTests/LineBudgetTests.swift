import Testing

@testable import Messenger

@Suite struct LineBudgetTests {
    private let now = ContinuousClock.now

    @Test func aLineIsWrittenOnceAMinute() {
        var budget = LineBudget(perMinute: 10)
        let unwritten = [0, 1, 59, 60, 61].map { budget.take("a", now: now + .seconds($0)) }
        #expect(unwritten == [0, nil, nil, 2, nil])
    }

    @Test func soManyDifferentLinesAMinute() {
        var budget = LineBudget(perMinute: 3)
        let unwritten = (0..<1000).map { budget.take("\($0)", now: now) }
        #expect(unwritten.compactMap(\.self) == [0, 0, 0])
        let later = budget.take("1000", now: now + .seconds(60))
        #expect(later == 997)
    }
}
