import Dispatch
import Synchronization
import Testing

@testable import Server

@Suite(.timeLimit(.minutes(5)))
struct BatchWorkerTests {
    @Test func jobsAreHandledInOrderAndInBatches() async throws {
        let batches = Mutex<[[Int]]>([])
        let gate = DispatchSemaphore(value: 0)
        let worker = try BatchWorker<Int>(named: "test", limit: 1000) { jobs in
            gate.wait()
            batches.withLock { $0.append(jobs) }
        }
        for job in 0..<100 { #expect(worker.submit(job) == nil) }
        for _ in 0..<100 { gate.signal() }
        await worker.close()
        #expect(batches.withLock { $0.flatMap(\.self) } == Array(0..<100))
        #expect(batches.withLock { $0.count } <= 2)
    }

    @Test func theQueueIsLimited() async throws {
        let gate = DispatchSemaphore(value: 0)
        let started = DispatchSemaphore(value: 0)
        let worker = try BatchWorker<Int>(named: "test", limit: 10) { _ in
            started.signal()
            gate.wait()
        }
        #expect(worker.submit(0, cost: 1) == nil)
        await Task.detached { started.wait() }.value
        #expect(worker.submit(1, cost: 11) == nil, "an empty queue accepts any job")
        #expect(worker.submit(2, cost: 1) == .queueIsFull)
        gate.signal()
        gate.signal()
        await worker.close()
        #expect(worker.submit(3) == .closed)
    }

    @Test func ticksWithoutJobs() async throws {
        let ticks = Atomic(0)
        let worker = try BatchWorker<Int>(named: "test", limit: 1, tick: .milliseconds(1)) { jobs in
            if jobs.isEmpty { ticks.add(1, ordering: .relaxed) }
        }
        while ticks.load(ordering: .relaxed) < 3 { await Task.yield() }
        await worker.close()
    }

    @Test func closingTwiceEndsOnce() async throws {
        let ends = Atomic(0)
        let worker = try BatchWorker<Int>(
            named: "test",
            limit: 1,
            work: { _ in },
            atEnd: { ends.add(1, ordering: .relaxed) }
        )
        async let first: Void = worker.close()
        async let second: Void = worker.close()
        _ = await (first, second)
        #expect(ends.load(ordering: .relaxed) == 1)
    }
}
