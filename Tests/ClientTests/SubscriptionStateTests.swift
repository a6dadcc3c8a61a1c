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
        var state = SubscriptionState()
        state.opened(at: time(100))
        _ = state.opening()
        return state
    }

    private let now = ContinuousClock.now
    private let unavailable = RPCError(code: .unavailable, message: "away")

    @Test func theServerSaysWhereItBegins() {
        var state = SubscriptionState()
        #expect(state.position == nil)
        #expect(state.isFirst)
        #expect(state.status == SubscriptionStatus(stream: .connecting, gaps: 0))
        state.opened(at: time(100))
        #expect(state.position == time(100))
        #expect(!state.isFirst)
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
        let next = state.ended(unavailable, jitter: 0, now: now)
        #expect(next == .init(delay: Backoff.first, failures: 1))
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
        var state = SubscriptionState()
        let next = state.ended(refusal(heldAfter: 200), jitter: 0, now: now)
        #expect(next == .init(delay: .zero))
        #expect(state.position == time(200))
        #expect(state.status.gaps == 0)
    }

    @Test func aGapIsCountedAndWhatIsHeldComesNext() {
        var state = opened()
        _ = state.take(message(150))
        let next = state.ended(refusal(heldAfter: 200), jitter: 0, now: now)
        #expect(next == .init(delay: .zero, isBehindGap: true, failures: 1))
        #expect(state.status == SubscriptionStatus(stream: .reconnecting, gaps: 1))
        #expect(state.position == time(200))
    }

    /// The history is full: what was held at the refusal may not be any more when it is asked for.
    @Test func aGapThatGrowsIsOneGapAndEndsInTheEnd() {
        var state = opened()
        _ = state.take(message(150))
        let next = (0..<4).map { state.ended(refusal(heldAfter: 200 + $0), jitter: 0, now: now) }
        #expect(next.map(\.isBehindGap) == [true, false, false, false])
        #expect(next.map(\.delay) == [.zero, .zero, Backoff.first, Backoff.first * 2])
        #expect(state.status.gaps == 1)
        #expect(state.position == nil)
        state.opened(at: time(300))
        _ = state.ended(refusal(heldAfter: 400), jitter: 0, now: now)
        #expect(state.status.gaps == 2)
        #expect(state.position == time(400))
    }

    @Test func theSecondTimeItIsASecondLater() {
        var state = opened()
        _ = state.ended(refusal(heldAfter: 200), jitter: 0, now: now)
        _ = state.ended(refusal(heldAfter: 210), jitter: 0, now: now)
        #expect(state.position == time(1_000_000_210))
    }

    @Test func aPositionAtTheEndOfTimeIsNoEndOfTheProgram() {
        var state = opened()
        for _ in 0..<2 { _ = state.ended(refusal(heldAfter: .max), jitter: 0, now: now) }
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
        _ = state.ended(unavailable, jitter: 0, now: now)
        #expect(state.status.stream == .reconnecting)
        #expect(!state.status.stream.isConnected)
        // The buffer is still full when the next one is opened.
        state.opened(at: nil)
        #expect(state.status.stream == .paused)
        state.resumed()
        #expect(state.status.stream == .open)
    }

    @Test func aFullBufferOpensNoStream() {
        var state = opened()
        _ = state.ended(unavailable, jitter: 0, now: now)
        state.paused()
        #expect(state.status.stream == .reconnecting)
    }

    @Test(arguments: [Status.Code.outOfRange, .invalidArgument])
    func aGapOfUnknownLengthGoesOnFromNow(code: Status.Code) {
        var state = opened()
        let next = state.ended(RPCError(code: code, message: ""), jitter: 0, now: now)
        #expect(next.isBehindGap)
        #expect(state.position == nil)
        state.opened(at: time(300))
        #expect(state.position == time(300))
    }

    @Test func theServersOKIsNoEnd() {
        var state = opened()
        let next = state.ended(nil, jitter: 0, now: now)
        #expect(next == .init(delay: Backoff.first, failures: 1))
        #expect(state.status.stream == .reconnecting)
    }

    @Test func backsOffUntilAStreamHasLived() {
        var state = opened()
        let delays = (0..<8).map { _ in
            let delay = state.ended(unavailable, jitter: 0, now: now).delay
            // That it opens says nothing, and neither does a message: both may happen each time.
            state.opened(at: nil)
            _ = state.take(message(200))
            return delay
        }
        #expect(delays == [50, 100, 200, 400, 800, 1000, 1000, 1000].map { .milliseconds($0) })
        let jittered = state.ended(unavailable, jitter: 1, now: now).delay
        #expect(jittered == .milliseconds(500))
        state.opened(at: nil)
        state.lived()
        let afterLife = state.ended(unavailable, jitter: 0, now: now).delay
        #expect(afterLife == Backoff.first)
    }

    @Test func backsOffWhenOpenedAndRefusedAgainAndAgain() {
        var state = opened()
        let delays = (0..<5).map { (index: Int64) in
            let delay = state.ended(refusal(heldAfter: 200 + index), jitter: 0, now: now).delay
            state.opened(at: time(200 + index))
            return delay
        }
        #expect(delays == [0, 0, 50, 100, 200].map { Duration.milliseconds($0) })
    }

    @Test func aStreamThatEndsAtOnceIsWrittenOnce() {
        var state = SubscriptionState()
        var written: [String] = []
        for second in 0..<120 {
            state.opened(at: time(100))
            if let opening = state.opening() { written.append("open \(opening.failures)") }
            let next = state.ended(unavailable, jitter: 0, now: now + .seconds(second))
            if let failures = next.failures { written.append("failed \(failures)") }
        }
        #expect(written == ["open 0", "failed 1", "failed 61"])
        state.opened(at: time(100))
        let before = state.opening()
        state.lived()
        let after = state.opening()
        let again = state.opening()
        #expect([before, after, again] == [nil, .init(after: time(100), failures: 120), nil])
    }

    @Test func aStreamThatHasBroughtSomethingIsWrittenAnew() {
        var state = opened()
        for round in 1...3 {
            _ = state.take(message(200 + Int64(round)))
            let failures = state.ended(unavailable, jitter: 0, now: now).failures
            state.opened(at: nil)
            let opening = state.opening()
            #expect(failures == 1 && opening?.failures == 1)
        }
    }

    // MARK: A server that says no positions

    @Test func equalTimesAreNoRepetition() {
        var state = SubscriptionState()
        state.opened(at: nil)
        let messages = ["a", "b", "a", "b", "c"].map { Message(author: "x", text: $0, sendTime: time(500)) }
        let taken = messages.map { state.take($0) }
        #expect(taken == [true, true, false, false, true])
        // Not what Swift takes for equal, but the bytes.
        let accents = ["\u{e9}", "e\u{301}"].map { Message(author: "x", text: $0, sendTime: time(500)) }
        let takenAccents = accents.map { state.take($0) }
        #expect(takenAccents == [true, true])
        let takenLater = state.take(message(501))
        #expect(takenLater)
        let takenAgain = state.take(messages[0])
        #expect(!takenAgain)
    }

    @Test func whatIsRepeatedAfterAReopeningIsTakenOnce() {
        var state = SubscriptionState()
        var taken = 0
        for _ in 0..<3 {
            for nanoseconds in Int64(500)...503 where state.take(message(nanoseconds)) { taken += 1 }
            _ = state.ended(unavailable, jitter: 0, now: now)
        }
        #expect(taken == 4)
        #expect(state.status.gaps == 0)
        #expect(state.position == time(503))
    }

    @Test func aFirstMessageOpensTheStream() {
        var state = SubscriptionState()
        _ = state.take(message(500))
        let opening = state.opening()
        #expect(state.status.stream == .open)
        #expect(opening != nil)
    }

    @Test func onlyTimesOfAServerThatSaysPositionsAreUnique() {
        var state = opened()
        _ = state.take(message(150))
        let taken = state.take(Message(author: "other", text: "t", sendTime: time(150)))
        #expect(!taken)
    }

    @Test func closedIsTheEnd() {
        var state = opened()
        state.closed()
        #expect(state.status.stream == .closed)
    }
}
