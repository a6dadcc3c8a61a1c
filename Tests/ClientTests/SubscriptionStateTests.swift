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

    private func refusal(heldAfter nanoseconds: Int64) -> RPCError {
        let metadata: Metadata = ["messenger-held-after": .string(time(nanoseconds).description)]
        return RPCError(code: .outOfRange, message: "", metadata: metadata)
    }

    @Test func aServerYoungerThanTheClientIsNoGap() {
        var state = SubscriptionState(start: time(100))
        let next = state.ended(refusal(heldAfter: 200), jitter: 0)
        #expect(next == .init(delay: .zero))
        #expect(state.position == time(200))
        #expect(state.status.gaps == 0)
    }

    @Test func aGapIsCountedAndWhatIsHeldComesNext() {
        var state = opened()
        _ = state.take(message(150))
        let next = state.ended(refusal(heldAfter: 200), jitter: 0)
        #expect(next == .init(delay: .zero, isBehindGap: true))
        #expect(state.status == SubscriptionStatus(stream: .reconnecting, gaps: 1))
        #expect(state.position == time(200))
    }

    /// The history is full: what was held at the refusal may not be any more when it is asked for.
    @Test func aGapThatGrowsIsOneGapAndEndsInTheEnd() {
        var state = opened()
        _ = state.take(message(150))
        let next = (0..<4).map { state.ended(refusal(heldAfter: 200 + $0), jitter: 0) }
        #expect(next.map(\.isBehindGap) == [true, false, false, false])
        #expect(next.map(\.delay) == [.zero, .zero, Backoff.first, Backoff.first * 2])
        #expect(state.status.gaps == 1)
        #expect(state.position == nil)
        state.opened(at: time(300))
        _ = state.ended(refusal(heldAfter: 400), jitter: 0)
        #expect(state.status.gaps == 2)
        #expect(state.position == time(400))
    }

    @Test func theSecondTimeItIsASecondLater() {
        var state = opened()
        _ = state.ended(refusal(heldAfter: 200), jitter: 0)
        _ = state.ended(refusal(heldAfter: 210), jitter: 0)
        #expect(state.position == time(1_000_000_210))
    }

    @Test func aPositionAtTheEndOfTimeIsNoEndOfTheProgram() {
        var state = opened()
        for _ in 0..<2 { _ = state.ended(refusal(heldAfter: .max), jitter: 0) }
        #expect(state.position == time(.min + 999_999_999))
    }

    @Test func aStreamThatWaitsIsThereAllTheSame() {
        var state = opened()
        state.paused()
        #expect(state.status.stream == .paused)
        #expect(state.status.stream.isConnected)
        state.resumed()
        #expect(state.status.stream == .open)
        state.paused()
        _ = state.ended(RPCError(code: .unavailable, message: ""), jitter: 0)
        #expect(state.status.stream == .reconnecting)
        #expect(!state.status.stream.isConnected)
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
