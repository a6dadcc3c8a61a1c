import Messenger
import Testing

@testable import Client

@Suite(.timeLimit(.minutes(1)))
struct ArrivalsTests {
    private func time(_ nanoseconds: Int64) -> SendTime { SendTime(nanosecondsSinceEpoch: nanoseconds) }

    @Test func whatHasArrivedIsNotWaitedFor() async {
        let arrivals = Arrivals()
        arrivals.reached(time(5))
        await arrivals.wait(for: time(5), atMost: .seconds(3600))
        await arrivals.wait(for: time(3), atMost: .seconds(3600))
    }

    @Test func anArrivalEndsTheWait() async {
        let arrivals = Arrivals()
        async let waiting: Void = arrivals.wait(for: time(5), atMost: .seconds(3600))
        arrivals.reached(time(6))
        await waiting
    }

    @Test func theWaitIsBounded() async {
        let arrivals = Arrivals()
        arrivals.reached(time(4))
        await arrivals.wait(for: time(5), atMost: .milliseconds(1))
    }
}
