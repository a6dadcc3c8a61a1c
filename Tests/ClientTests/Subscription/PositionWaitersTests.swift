import Messenger
import Testing

@testable import Client

extension PositionWaiters {
    fileprivate func wait(for time: SendTime) async {
        await withCheckedContinuation { continuation in whenReached(time) { continuation.resume() } }
    }
}

@Suite(.timeLimit(.minutes(5)))
struct PositionWaitersTests {
    private func time(_ nanoseconds: Int64) -> SendTime { SendTime(nanosecondsSinceEpoch: nanoseconds) }

    @Test func doesNotWaitForAPositionThatWasReached() async {
        let waiters = PositionWaiters(timeout: .seconds(3600))
        waiters.advance(to: time(5))
        await waiters.wait(for: time(5))
        await waiters.wait(for: time(3))
    }

    @Test func waitsUntilThePositionIsReached() async {
        let waiters = PositionWaiters(timeout: .seconds(3600))
        async let waiting: Void = waiters.wait(for: time(5))
        waiters.advance(to: time(6))
        await waiting
    }

    @Test func releasesWaitersUpToThePositionInAnyOrder() async {
        let waiters = PositionWaiters(timeout: .seconds(3600))
        await withTaskGroup(of: Int64.self) { group in
            for number: Int64 in [3, 1, 5, 2, 4] {
                group.addTask {
                    await waiters.wait(for: time(number))
                    return number
                }
            }
            waiters.advance(to: time(3))
            var released: [Int64] = []
            while released.count < 3, let number = await group.next() { released.append(number) }
            #expect(released.sorted() == [1, 2, 3])
            waiters.advance(to: time(5))
        }
    }

    @Test func releasesAllWaiters() async {
        let waiters = PositionWaiters(timeout: .seconds(3600))
        await withDiscardingTaskGroup { group in
            for number: Int64 in 1...3 { group.addTask { await waiters.wait(for: time(number)) } }
            while waiters.count < 3 { await Task.yield() }
            waiters.releaseAll()
        }
    }

    @Test func waitsEndAtTheTimeout() async {
        let waiters = PositionWaiters(timeout: .milliseconds(1))
        async let _: Void = waiters.runTimeouts()
        waiters.advance(to: time(4))
        // One after the other, so that the timer starts again; then several at a time.
        for number: Int64 in 5...7 { await waiters.wait(for: time(number)) }
        await withDiscardingTaskGroup { group in
            for number: Int64 in 8...20 { group.addTask { await waiters.wait(for: time(number)) } }
        }
    }

    @Test func everyWaitEndsAlsoIfItsTimeoutComesDuringTheSearch() async {
        let waiters = PositionWaiters(timeout: .microseconds(500))
        let timeouts = Task { await waiters.runTimeouts() }
        await withDiscardingTaskGroup { group in
            for number: Int64 in 1...200 {
                group.addTask { for _ in 0..<100 { await waiters.wait(for: time(number)) } }
            }
        }
        timeouts.cancel()
    }

    @Test func doesNotWaitAfterTheEnd() async {
        let waiters = PositionWaiters(timeout: .seconds(3600))
        let timeouts = Task { await waiters.runTimeouts() }
        async let waiting: Void = waiters.wait(for: time(5))
        timeouts.cancel()
        await waiting
        await waiters.wait(for: time(6))
        await timeouts.value
    }
}
