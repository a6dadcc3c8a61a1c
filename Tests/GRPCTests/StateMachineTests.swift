import Testing

@testable import GRPC

@Suite struct OperationGateTests {
    /// The gate itself cannot be captured.
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

@Suite struct LaneTests {
    @Test func oneAtATime() {
        var lane = Lane.idle
        let begun = [lane.begin(), lane.begin()]
        #expect(begun == [true, false])
    }

    @Test(arguments: [true, false])
    func theEventComesFirst(succeeded: Bool) async {
        let outcome = await withUnsafeContinuation { (continuation: UnsafeContinuation<Bool, Never>) in
            var lane = Lane.idle
            _ = lane.begin()
            let resumed = lane.complete(succeeded)
            #expect(resumed == nil)
            let completed = lane.wait(continuation)
            #expect(completed == succeeded)
            let isFree = lane.begin()
            #expect(isFree)
            continuation.resume(returning: completed ?? !succeeded)
        }
        #expect(outcome == succeeded)
    }

    @Test(arguments: [true, false])
    func theWaitComesFirst(succeeded: Bool) async {
        let outcome = await withUnsafeContinuation { (continuation: UnsafeContinuation<Bool, Never>) in
            var lane = Lane.idle
            _ = lane.begin()
            let completed = lane.wait(continuation)
            #expect(completed == nil)
            lane.complete(succeeded)?.resume(returning: succeeded)
            let isFree = lane.begin()
            #expect(isFree)
        }
        #expect(outcome == succeeded)
    }
}

@Suite struct GatheringTests {
    /// Nothing is open there: only what is decided counts.
    private let cork = Cork(descriptor: -1)

    /// Whether each of some sends in one turn begins to hold back.
    private func sends(_ count: Int, inTurn turn: UInt64) -> [Bool] {
        (0..<count).map { _ in cork.gather(in: turn * Cork.turnStep) }
    }

    @Test func aSendByItselfIsNeverHeldBack() {
        for turn: UInt64 in 1...3 { #expect(sends(1, inTurn: turn) == [false]) }
    }

    @Test func whatFollowsInTheTurnIsHeldBackOnce() {
        #expect(sends(4, inTurn: 1) == [false, true, false, false])
    }

    @Test func afterABusyTurnTheFirstIsHeldBackToo() {
        _ = sends(2, inTurn: 1)
        #expect(sends(3, inTurn: 2) == [true, false, false])
        #expect(sends(1, inTurn: 3) == [true])
        // That one was all there was.
        #expect(sends(3, inTurn: 4) == [false, true, false])
    }
}
