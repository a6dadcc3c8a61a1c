import Testing

@testable import Client

@Suite(.timeLimit(.minutes(5))) struct LatchTests {
    @Test func isClosedUntilItIsOpened() {
        let latch = Latch()
        #expect(!latch.isOpen)
        latch.open()
        latch.open()
        #expect(latch.isOpen)
    }

    @Test func openResumesAllWaiters() async throws {
        let latch = Latch()
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 0..<100 {
                group.addTask { await latch.wait() }
                group.addTask { await latch.wait(timeout: .seconds(3600)) }
            }
            try await waitUntil { latch.waiterCount == 200 }
            latch.open()
            for try await isOpen in group {
                #expect(isOpen)
            }
        }
        #expect(latch.waiterCount == 0)
    }

    @Test func openResumesConcurrentWaiters() async {
        for _ in 0..<1000 {
            let latch = Latch()
            async let first = latch.wait()
            async let second = latch.wait()
            latch.open()
            #expect(await (first, second) == (true, true))
        }
    }

    @Test func anOpenLatchNeedsNoTimeout() async {
        let latch = Latch()
        latch.open()
        #expect(await latch.wait(timeout: .zero))
    }

    @Test func waitEndsAtTheTimeout() async {
        let latch = Latch()
        #expect(await latch.wait(timeout: .zero) == false)
        #expect(latch.waiterCount == 0)
    }

    @Test func waitEndsIfTheTaskIsCancelled() async throws {
        let latch = Latch()
        let task = Task { await latch.wait(timeout: .seconds(3600)) }
        try await waitUntil { latch.waiterCount == 1 }
        task.cancel()
        #expect(await task.value == false)
        #expect(latch.waiterCount == 0)
    }

    @Test func aCancelledTaskDoesNotWait() async {
        let latch = Latch()
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return await latch.wait()
        }
        #expect(await task.value == false)
        #expect(latch.waiterCount == 0)
    }

    @Test func waitEndsIfCancelledDuringOpen() async {
        for _ in 0..<1000 {
            let latch = Latch()
            let task = Task { await latch.wait() }
            async let opening: Void = latch.open()
            task.cancel()
            _ = await (task.value, opening)
            #expect(latch.waiterCount == 0)
        }
    }
}
