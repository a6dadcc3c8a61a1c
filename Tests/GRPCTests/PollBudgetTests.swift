import Testing

@testable import GRPC

@Suite struct PollBudgetTests {
    /// How often a turn polls on, if no poll gives anything.
    private func pollsInVain(before sends: Int) -> Int {
        var budget = PollBudget()
        var polls = 0
        while budget.mayPollAfterNothing(before: sends) { polls += 1 }
        return polls
    }

    /// `#expect` does not take what mutates.
    private func expect(_ value: Bool, is expected: Bool, _ location: SourceLocation = #_sourceLocation) {
        #expect(value == expected, sourceLocation: location)
    }

    @Test(arguments: [0, 1, 127])
    func theFirstPollInVainEndsATurnThatSendsLittle(_ sends: Int) {
        #expect(pollsInVain(before: sends) == 0)
    }

    @Test(arguments: [(128, 8), (500, 31), (1000, 62), (4000, 250)])
    func aTurnThatSendsMuchPollsOnAsLongAsThatCostsLittleBesideIt(_ sends: Int, _ polls: Int) {
        #expect(pollsInVain(before: sends) == polls)
    }

    @Test func eventsLetATurnPollOnWithinItsBound() {
        var budget = PollBudget()
        var polls = 1
        while budget.mayPollAfterEvent() { polls += 1 }
        #expect(polls == 256)
    }

    @Test func pollsInVainCountAsWell() {
        #expect(pollsInVain(before: 1_000_000) == 255)
        var budget = PollBudget()
        var polls = 1
        while polls < 200, budget.mayPollAfterEvent() { polls += 1 }
        while budget.mayPollAfterNothing(before: 1_000_000) { polls += 1 }
        #expect(polls == 256)
    }

    @Test func anEventDoesNotMakeUpForPollsInVain() {
        var budget = PollBudget()
        var misses = 0
        while budget.mayPollAfterNothing(before: 128), budget.mayPollAfterEvent() { misses += 1 }
        #expect(misses == 8)
    }

    @Test func lessIsLookedWhereNothingComes() {
        var budget = PollBudget()
        var polls: [Int] = []
        for _ in 0..<6 {
            var count = 0
            while budget.mayPollAfterNothing(before: 500) { count += 1 }
            polls.append(count)
            budget.turnEnded()
        }
        #expect(polls == [31, 15, 7, 3, 3, 3])

        // One that has looked further and found something.
        expect(budget.mayPollAfterNothing(before: 500), is: true)
        expect(budget.mayPollAfterEvent(), is: true)
        budget.turnEnded()
        var count = 0
        while budget.mayPollAfterNothing(before: 500) { count += 1 }
        #expect(count == 31)
    }

    @Test func turnsThatDoNotLookFurtherChangeNothing() {
        var budget = PollBudget()
        for _ in 0..<10 {
            expect(budget.mayPollAfterEvent(), is: true)
            expect(budget.mayPollAfterNothing(before: 10), is: false)
            budget.turnEnded()
        }
        expect(budget.mayPollAfterNothing(before: 128), is: true)
    }
}
