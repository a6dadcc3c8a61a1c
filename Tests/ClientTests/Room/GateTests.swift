import Synchronization
import Testing

@testable import Client

@Suite(.timeLimit(.minutes(1))) struct GateTests {
    @Test func isClosedUntilItIsOpened() {
        let gate = Gate()
        #expect(!gate.isOpen)
        gate.open()
        gate.open()
        #expect(gate.isOpen)
    }

    @Test func callbacksAreCalledOnceAtTheOpeningUnlessTheyHaveLeft() {
        let gate = Gate()
        let calls = Mutex<[Int]>([])
        _ = gate.whenOpen { calls.withLock { $0.append(1) } }
        let leave = gate.whenOpen { calls.withLock { $0.append(2) } }
        leave()
        #expect(calls.withLock { $0.isEmpty } && gate.waiterCount == 1)
        gate.open()
        gate.open()
        leave()
        _ = gate.whenOpen { calls.withLock { $0.append(3) } }
        #expect(calls.withLock { $0 } == [1, 3])
    }

    @Test func openingLetsAllWaitersGo() async throws {
        let gate = Gate()
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 0..<100 {
                group.addTask { await gate.wait() }
                group.addTask { await gate.wait(atMost: .seconds(3600)) }
            }
            try await waitUntil { gate.waiterCount == 200 }
            gate.open()
            for try await isOpen in group {
                #expect(isOpen)
            }
        }
        #expect(gate.waiterCount == 0)
    }

    @Test func openingAndWaitingAtTheSameTimeLosesNobody() async {
        for _ in 0..<1000 {
            let gate = Gate()
            async let first = gate.wait()
            async let second = gate.wait()
            gate.open()
            #expect(await (first, second) == (true, true))
        }
    }

    @Test func anOpenGateIsPassedWithoutTime() async {
        let gate = Gate()
        gate.open()
        #expect(await gate.wait(atMost: .zero))
    }

    @Test func theWaitEndsWithItsTimeout() async {
        let gate = Gate()
        #expect(await gate.wait(atMost: .zero) == false)
        #expect(gate.waiterCount == 0)
    }

    @Test func theWaitEndsWithItsTask() async throws {
        let gate = Gate()
        let task = Task { await gate.wait(atMost: .seconds(3600)) }
        try await waitUntil { gate.waiterCount == 1 }
        task.cancel()
        #expect(await task.value == false)
        #expect(gate.waiterCount == 0)
    }

    @Test func aTaskCancelledBeforeItWaitsDoesNotWait() async {
        let gate = Gate()
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return await gate.wait()
        }
        #expect(await task.value == false)
        #expect(gate.waiterCount == 0)
    }

    @Test func cancellingAndOpeningAtTheSameTimeEndsTheWait() async {
        for _ in 0..<1000 {
            let gate = Gate()
            let task = Task { await gate.wait() }
            async let opening: Void = gate.open()
            task.cancel()
            _ = await (task.value, opening)
            #expect(gate.waiterCount == 0)
        }
    }
}
