import GRPC
import Messenger
import Testing

@testable import Client

@Suite struct SubscriptionStateTests {
    private func time(_ nanoseconds: Int64) -> SendTime { SendTime(nanosecondsSinceEpoch: nanoseconds) }
    private func message(_ nanoseconds: Int64) -> Message {
        Message(author: "a", text: "t", sendTime: time(nanoseconds))
    }

    private func opened() -> SubscriptionState {
        var state = SubscriptionState(start: time(100))
        state.opened(at: time(100))
        return state
    }

    @Test func beginsAtTheProgramsStart() {
        let state = SubscriptionState(start: time(100))
        #expect(state.position == time(100))
        #expect(state.status == SubscriptionStatus(stream: .connecting, gaps: 0))
    }

    @Test func takesEachMessageOnce() {
        var state = opened()
        let taken = [101, 101, 100, 102].map { state.take(message($0)) }
        #expect(taken == [true, false, false, true])
        #expect(state.position == time(102))
    }

    @Test func resumesAfterTheLastMessage() {
        var state = opened()
        _ = state.take(message(150))
        let next = state.ended(RPCError(code: .unavailable, message: ""), jitter: 0)
        #expect(next == .init(delay: Backoff.first))
        #expect(state.position == time(150))
        #expect(state.status.stream == .reconnecting)
        state.opened(at: time(150))
        #expect(state.status == SubscriptionStatus(stream: .open, gaps: 0))
        let takenAgain = state.take(message(150))
        #expect(!takenAgain)
    }

    @Test func aServerYoungerThanTheClientIsNoGap() {
        var state = SubscriptionState(start: time(100))
        let error = RPCError(
            code: .outOfRange,
            message: "",
            metadata: ["messenger-held-after": .string(time(200).description)]
        )
        let next = state.ended(error, jitter: 0)
        #expect(!next.isBehindGap)
        #expect(state.position == time(200))
        #expect(state.status.gaps == 0)
    }

    @Test func aGapIsCountedAndWhatIsHeldComesNext() {
        var state = opened()
        _ = state.take(message(150))
        let error = RPCError(
            code: .outOfRange,
            message: "",
            metadata: ["messenger-held-after": .string(time(200).description)]
        )
        let next = state.ended(error, jitter: 0)
        #expect(next.isBehindGap)
        #expect(state.status == SubscriptionStatus(stream: .reconnecting, gaps: 1))
        #expect(state.position == time(200))
    }

    @Test(arguments: [Status.Code.outOfRange, .invalidArgument])
    func aGapOfUnknownLengthGoesOnFromNow(code: Status.Code) {
        var state = opened()
        let next = state.ended(RPCError(code: code, message: ""), jitter: 0)
        #expect(next.isBehindGap)
        #expect(state.position == nil)
        state.opened(at: time(300))
        #expect(state.position == time(300))
    }

    @Test func theServersOKIsNoEnd() {
        var state = opened()
        let next = state.ended(nil, jitter: 0)
        #expect(next == .init(delay: Backoff.first))
        #expect(state.status.stream == .reconnecting)
    }

    @Test func backsOffUntilTheNextOpening() {
        var state = opened()
        let error = RPCError(code: .unavailable, message: "")
        let delays = (0..<8).map { _ in state.ended(error, jitter: 0).delay }
        #expect(delays == [50, 100, 200, 400, 800, 1000, 1000, 1000].map { .milliseconds($0) })
        let jittered = state.ended(error, jitter: 1).delay
        #expect(jittered == .milliseconds(500))
        state.opened(at: nil)
        let afterOpening = state.ended(error, jitter: 0).delay
        #expect(afterOpening == Backoff.first)
    }

    @Test func closedIsTheEnd() {
        var state = opened()
        state.closed()
        #expect(state.status.stream == .closed)
    }
}
