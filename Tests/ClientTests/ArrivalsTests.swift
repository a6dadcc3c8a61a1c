import Messenger
import Testing

@testable import Client

extension Arrivals {
    fileprivate func wait(for time: SendTime) async {
        await withCheckedContinuation { continuation in self.whenReached(time) { continuation.resume() } }
    }
}

@Suite(.timeLimit(.minutes(1)))
struct ArrivalsTests {
    private func time(_ nanoseconds: Int64) -> SendTime { SendTime(nanosecondsSinceEpoch: nanoseconds) }

    @Test func whatHasArrivedIsNotWaitedFor() async {
        let arrivals = Arrivals(patience: .seconds(3600))
        arrivals.reached(time(5))
        await arrivals.wait(for: time(5))
        await arrivals.wait(for: time(3))
    }

    @Test func anArrivalEndsTheWait() async {
        let arrivals = Arrivals(patience: .seconds(3600))
        async let waiting: Void = arrivals.wait(for: time(5))
        arrivals.reached(time(6))
        await waiting
    }

    /// Waits that begin in any order, of which one message ends those before it.
    @Test func anArrivalEndsTheWaitsForWhatCameBefore() async {
        let arrivals = Arrivals(patience: .seconds(3600))
        await withTaskGroup(of: Int64.self) { group in
            for number: Int64 in [3, 1, 5, 2, 4] {
                group.addTask {
                    await arrivals.wait(for: time(number))
                    return number
                }
            }
            arrivals.reached(time(3))
            var ended: [Int64] = []
            while ended.count < 3, let number = await group.next() { ended.append(number) }
            #expect(ended.sorted() == [1, 2, 3])
            arrivals.reached(time(5))
        }
    }

    @Test func whoeverWaitsCanBeSentAway() async {
        let arrivals = Arrivals(patience: .seconds(3600))
        await withDiscardingTaskGroup { group in
            for number: Int64 in 1...3 { group.addTask { await arrivals.wait(for: time(number)) } }
            while arrivals.count < 3 { await Task.yield() }
            arrivals.giveUp()
        }
    }

    @Test func theWaitIsBounded() async {
        let arrivals = Arrivals(patience: .milliseconds(1))
        async let _: Void = arrivals.expire()
        arrivals.reached(time(4))
        // One after the other, so that the timer begins anew; then several at a time.
        for number: Int64 in 5...7 { await arrivals.wait(for: time(number)) }
        await withDiscardingTaskGroup { group in
            for number: Int64 in 8...20 { group.addTask { await arrivals.wait(for: time(number)) } }
        }
    }

    /// Also those whose time is up while the list is gone through.
    @Test func everyWaitEnds() async {
        let arrivals = Arrivals(patience: .microseconds(500))
        let expiring = Task { await arrivals.expire() }
        await withDiscardingTaskGroup { group in
            for number: Int64 in 1...200 {
                group.addTask { for _ in 0..<100 { await arrivals.wait(for: time(number)) } }
            }
        }
        expiring.cancel()
    }

    @Test func nobodyWaitsForWhatNobodyReads() async {
        let arrivals = Arrivals(patience: .seconds(3600))
        let expiring = Task { await arrivals.expire() }
        async let waiting: Void = arrivals.wait(for: time(5))
        expiring.cancel()
        await waiting
        await arrivals.wait(for: time(6))
        await expiring.value
    }
}
