import CGRPC
import Synchronization
import Testing

@testable import LibGRPC

@Suite struct OperationGateTests {
    /// A gate cannot be captured itself.
    private final class Shared: Sendable {
        let gate = OperationGate()
        func enter() -> Bool { gate.enter() }
        func leave() -> Bool { gate.leave() }
        func close() -> Bool { gate.close() }
    }

    private let shared = Shared()

    @Test func letsInUntilItIsClosed() {
        #expect(shared.enter())
        #expect(!shared.leave())
        #expect(shared.close(), "nobody is inside, so the one who closes shuts down")
        #expect(!shared.enter())
    }

    @Test func theLastOneOutShutsDown() {
        #expect(shared.enter())
        #expect(shared.enter())
        #expect(!shared.close())
        #expect(!shared.enter())
        #expect(!shared.leave())
        #expect(shared.leave())
    }

    @Test func closingTwiceShutsDownOnce() {
        #expect(shared.close())
        #expect(!shared.close())
    }

    @Test func exactlyOneOfManyShutsDown() async {
        for _ in 0..<200 {
            let shared = Shared()
            let shutdowns = await withTaskGroup(of: Int.self) { group in
                for index in 0..<8 {
                    group.addTask {
                        if index == 3 { return shared.close() ? 1 : 0 }
                        guard shared.enter() else { return 0 }
                        return shared.leave() ? 1 : 0
                    }
                }
                return await group.reduce(0, +)
            }
            #expect(shutdowns == 1)
        }
    }
}

@Suite struct OperationSlotTests {
    @Test func oneAtATime() {
        var slot = OperationSlot.idle
        let begun = [slot.begin(), slot.begin()]
        #expect(begun == [true, false])
    }

    @Test(arguments: [true, false])
    func aCallbackGetsTheOutcomeOnce(succeeded: Bool) {
        let outcomes = Mutex<[Bool]>([])
        var slot = OperationSlot.idle
        _ = slot.begin(.then { outcome in outcomes.withLock { $0.append(outcome) } })
        slot.complete(succeeded)?.resume(succeeded)
        #expect(outcomes.withLock { $0 } == [succeeded])
        let isFree = slot.begin()
        #expect(isFree)
    }

    @Test(arguments: [true, false])
    func theEventComesFirst(succeeded: Bool) async {
        let outcome = await withUnsafeContinuation { (continuation: UnsafeContinuation<Bool, Never>) in
            var slot = OperationSlot.idle
            _ = slot.begin()
            let hasWaiter = slot.complete(succeeded) != nil
            #expect(!hasWaiter)
            let completed = slot.wait(.task(continuation))
            #expect(completed == succeeded)
            let isFree = slot.begin()
            #expect(isFree)
            continuation.resume(returning: completed ?? !succeeded)
        }
        #expect(outcome == succeeded)
    }

    @Test(arguments: [true, false])
    func theWaitComesFirst(succeeded: Bool) async {
        let outcome = await withUnsafeContinuation { (continuation: UnsafeContinuation<Bool, Never>) in
            var slot = OperationSlot.idle
            _ = slot.begin()
            let completed = slot.wait(.task(continuation))
            #expect(completed == nil)
            slot.complete(succeeded)?.resume(succeeded)
            let isFree = slot.begin()
            #expect(isFree)
        }
        #expect(outcome == succeeded)
    }
}

/// Mistakes of this library that would make a task wait for ever. Debug builds trap.
@Suite(.enabled(if: hasAssertions, "assertions are off"))
struct OperationSlotAssertionTests {
    @Test func waitingForNothing() async {
        await #expect(processExitsWith: .failure) {
            _ = await withUnsafeContinuation { (continuation: UnsafeContinuation<Bool, Never>) in
                var slot = OperationSlot.idle
                _ = slot.wait(.task(continuation))
            }
        }
    }

    @Test func waitingTwice() async {
        await #expect(processExitsWith: .failure) {
            _ = await withUnsafeContinuation { (continuation: UnsafeContinuation<Bool, Never>) in
                var slot = OperationSlot.idle
                _ = slot.begin()
                _ = slot.wait(.task(continuation))
                _ = slot.wait(.task(continuation))
            }
        }
    }

    @Test func twoEvents() async {
        await #expect(processExitsWith: .failure) {
            var slot = OperationSlot.idle
            _ = slot.begin()
            _ = slot.complete(true)
            _ = slot.complete(true)
        }
    }
}

private let hasAssertions: Bool = {
    var isOn = false
    assert({ isOn = true }() == ())
    return isOn
}()

@Suite struct PollBudgetTests {
    /// How often a turn polls on if every poll is empty.
    private func pollsInVain(before sends: Int) -> Int {
        var budget = PollBudget()
        var polls = 0
        while budget.mayPollAfterNothing(before: sends) { polls += 1 }
        return polls
    }

    /// `#expect` does not accept mutating calls.
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

        // A turn that has polled on and found something.
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

@Suite(.timeLimit(.minutes(5)))
struct LateEventsTests {
    /// Its events must not overlap.
    ///
    /// `@unchecked`: the test checks that no events overlap, and reads `count` at the end.
    private final class Target: EventTarget, @unchecked Sendable {
        var count = 0
        let inside = Atomic<Int>(0)
        let overlaps = Atomic<Int>(0)

        override func operationCompleted(_: UInt32, succeeded: Bool) {
            if inside.add(1, ordering: .relaxed).newValue > 1 { overlaps.add(1, ordering: .relaxed) }
            count += 1
            inside.subtract(1, ordering: .relaxed)
        }
    }

    @Test func oneAtATimeOnceTheThreadHasEnded() async throws {
        Library.initialize()
        let target = Target()
        let queue = try CompletionQueue(index: 0)
        await queue.shutDown()
        let tags = (0..<4000).map { _ -> LibGRPC.Tag in
            let tag = LibGRPC.Tag(initializing: .allocate(capacity: 1), operation: 0)
            tag.retain(target)
            return tag
        }
        await withTaskGroup { group in
            for part in 0..<4 {
                group.addTask {
                    for index in stride(from: part, to: tags.count, by: 4) {
                        queue.post(CompletionQueue.Event(tag: tags[index], succeeded: true))
                    }
                }
            }
        }
        // Comes after the events.
        await withCheckedContinuation { continuation in queue.execute { continuation.resume() } }
        #expect(target.count == tags.count)
        #expect(target.overlaps.load(ordering: .relaxed) == 0)
        for tag in tags { tag.pointer.deallocate() }
    }
}

@Suite(.timeLimit(.minutes(5)))
struct TagTests {
    /// Holds its queue, as a call does.
    private final class Target: EventTarget {
        let queue: CompletionQueue

        init(queue: CompletionQueue) {
            self.queue = queue
        }

        override var eventQueue: CompletionQueue { queue }
        override func operationCompleted(_: UInt32, succeeded: Bool) {}
    }

    /// The event of an operation that holds the last reference to its queue, whose thread has ended: posting delivers
    /// it, which releases the queue. A sanitizer sees a use after that.
    @Test func postingMayReleaseTheQueue() async throws {
        weak var queue: CompletionQueue?
        let pointer = UnsafeMutablePointer<cgrpc_tag>.allocate(capacity: 1)
        defer { pointer.deallocate() }
        let tag = LibGRPC.Tag(initializing: pointer, operation: 0)
        func holdWithTheTagAlone() async throws {
            Library.initialize()
            let made = try CompletionQueue(index: 0)
            await made.shutDown()
            tag.retain(Target(queue: made))
            queue = made
        }
        try await holdWithTheTagAlone()
        // The thread drops its own reference a moment after its end.
        tag.post(succeeded: true)
        while queue != nil { try await Task.sleep(for: .milliseconds(1)) }
    }
}
