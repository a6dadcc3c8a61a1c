import LibGRPC
import Messenger
import Testing

@testable import Client

@Suite struct SubscriptionStateTests {
    private func time(_ nanoseconds: Int64) -> SendTime { SendTime(nanosecondsSinceEpoch: nanoseconds) }
    private func message(_ nanoseconds: Int64) -> Message {
        Message(author: "a", text: "t", sendTime: time(nanoseconds))
    }

    private func openState() -> SubscriptionState {
        var state = SubscriptionState()
        state.opened(at: time(100))
        _ = state.streamToLog()
        return state
    }

    private let now = ContinuousClock.now
    private let unavailable = RPCError(code: .unavailable, message: "away")

    @Test func theServerSetsTheFirstPosition() {
        var state = SubscriptionState()
        #expect(state.position == nil)
        #expect(state.isFirst)
        #expect(state.status == SubscriptionStatus(stream: .connecting, gaps: 0))
        state.opened(at: time(100))
        #expect(state.position == time(100))
        #expect(!state.isFirst)
    }

    @Test func receivesEachMessageOnce() {
        var state = openState()
        let received = [101, 101, 100, 102].map { state.receive(message($0)) }
        #expect(received == [true, false, false, true])
        #expect(state.position == time(102))
    }

    @Test func resumesAfterTheLastMessage() {
        var state = openState()
        _ = state.receive(message(150))
        let retry = state.ended(unavailable, jitter: 0, now: now)
        #expect(retry == .init(delay: Backoff.initial, failures: 1))
        #expect(state.position == time(150))
        #expect(state.status.stream == .reconnecting)
        state.opened(at: time(150))
        #expect(state.status == SubscriptionStatus(stream: .open, gaps: 0))
        let receivedAgain = state.receive(message(150))
        #expect(!receivedAgain)
    }

    private func refusal(heldAfter nanoseconds: Int64) -> RPCError {
        let metadata: Metadata = ["messenger-held-after": .string(time(nanoseconds).description)]
        return RPCError(code: .outOfRange, message: "", metadata: metadata)
    }

    @Test func aServerThatStartedLaterIsNoGap() {
        var state = SubscriptionState()
        let retry = state.ended(refusal(heldAfter: 200), jitter: 0, now: now)
        #expect(retry == .init(delay: .zero))
        #expect(state.position == time(200))
        #expect(state.status.gaps == 0)
    }

    @Test func aGapIsCountedAndHeldMessagesComeNext() {
        var state = openState()
        _ = state.receive(message(150))
        let retry = state.ended(refusal(heldAfter: 200), jitter: 0, now: now)
        #expect(retry == .init(delay: .zero, hasGap: true, failures: 1))
        #expect(state.status == SubscriptionStatus(stream: .reconnecting, gaps: 1))
        #expect(state.position == time(200))
    }

    /// The history is full: messages held at the refusal may be gone at the next call.
    @Test func aGrowingGapCountsOnceAndEnds() {
        var state = openState()
        _ = state.receive(message(150))
        let retry = (0..<4).map { state.ended(refusal(heldAfter: 200 + $0), jitter: 0, now: now) }
        #expect(retry.map(\.hasGap) == [true, false, false, false])
        #expect(retry.map(\.delay) == [.zero, .zero, Backoff.initial, Backoff.initial * 2])
        #expect(state.status.gaps == 1)
        #expect(state.position == nil)
        state.opened(at: time(300))
        _ = state.ended(refusal(heldAfter: 400), jitter: 0, now: now)
        #expect(state.status.gaps == 2)
        #expect(state.position == time(400))
    }

    /// The first refusal may have waited behind messages that were not read, so the second one is believed too.
    @Test func theThirdRefusalSkipsASecond() {
        var state = openState()
        _ = state.ended(refusal(heldAfter: 200), jitter: 0, now: now)
        _ = state.ended(refusal(heldAfter: 210), jitter: 0, now: now)
        #expect(state.position == time(210))
        _ = state.ended(refusal(heldAfter: 220), jitter: 0, now: now)
        #expect(state.position == time(1_000_000_220))
    }

    @Test func aPositionAtTheEndOfTimeDoesNotTrap() {
        var state = openState()
        for _ in 0..<3 { _ = state.ended(refusal(heldAfter: .max), jitter: 0, now: now) }
        #expect(state.position == time(.min + 999_999_999))
    }

    @Test func aPausedStreamIsConnected() {
        var state = openState()
        state.paused()
        #expect(state.status.stream == .paused)
        #expect(state.status.stream.isConnected)
        state.resumed()
        #expect(state.status.stream == .open)
        state.paused()
        _ = state.ended(unavailable, jitter: 0, now: now)
        #expect(state.status.stream == .reconnecting)
        #expect(!state.status.stream.isConnected)
        // The inbox is still full when the next stream is opened.
        state.opened(at: nil)
        #expect(state.status.stream == .paused)
        state.resumed()
        #expect(state.status.stream == .open)
    }

    @Test func aFullInboxDoesNotOpenAStream() {
        var state = openState()
        _ = state.ended(unavailable, jitter: 0, now: now)
        state.paused()
        #expect(state.status.stream == .reconnecting)
    }

    @Test(arguments: [Status.Code.outOfRange, .invalidArgument])
    func aGapOfUnknownLengthContinuesWithNewMessages(code: Status.Code) {
        var state = openState()
        let retry = state.ended(RPCError(code: code, message: ""), jitter: 0, now: now)
        #expect(retry.hasGap)
        #expect(state.position == nil)
        state.opened(at: time(300))
        #expect(state.position == time(300))
    }

    @Test func reconnectsAfterOK() {
        var state = openState()
        let retry = state.ended(nil, jitter: 0, now: now)
        #expect(retry == .init(delay: Backoff.initial, failures: 1))
        #expect(state.status.stream == .reconnecting)
    }

    @Test func backsOffUntilAStreamIsStable() {
        var state = openState()
        let delays = (0..<8).map { _ in
            let delay = state.ended(unavailable, jitter: 0, now: now).delay
            // Neither an open stream nor a message resets the backoff: both may happen each time.
            state.opened(at: nil)
            _ = state.receive(message(200))
            return delay
        }
        #expect(delays == [50, 100, 200, 400, 800, 1000, 1000, 1000].map { .milliseconds($0) })
        let jittered = state.ended(unavailable, jitter: 1, now: now).delay
        #expect(jittered == .milliseconds(500))
        state.opened(at: nil)
        state.becameStable()
        let afterStable = state.ended(unavailable, jitter: 0, now: now).delay
        #expect(afterStable == Backoff.initial)
    }

    @Test func backsOffIfThePositionIsRefusedRepeatedly() {
        var state = openState()
        let delays = (0..<5).map { (index: Int64) in
            let delay = state.ended(refusal(heldAfter: 200 + index), jitter: 0, now: now).delay
            state.opened(at: time(200 + index))
            return delay
        }
        #expect(delays == [0, 0, 50, 100, 200].map { Duration.milliseconds($0) })
    }

    @Test func aStreamThatKeepsEndingAtOnceIsLoggedOnce() {
        var state = SubscriptionState()
        var logged: [String] = []
        for second in 0..<120 {
            state.opened(at: time(100))
            if let stream = state.streamToLog() { logged.append("open \(stream.failures)") }
            let retry = state.ended(unavailable, jitter: 0, now: now + .seconds(second))
            if let failures = retry.failures { logged.append("failed \(failures)") }
        }
        #expect(logged == ["open 0", "failed 1", "failed 61"])
        state.opened(at: time(100))
        let before = state.streamToLog()
        state.becameStable()
        let after = state.streamToLog()
        let again = state.streamToLog()
        #expect([before, after, again] == [nil, .init(after: time(100), failures: 120), nil])
    }

    @Test func aStreamThatMadeProgressIsLoggedAgain() {
        var state = openState()
        for round in 1...3 {
            _ = state.receive(message(200 + Int64(round)))
            let failures = state.ended(unavailable, jitter: 0, now: now).failures
            state.opened(at: nil)
            let stream = state.streamToLog()
            #expect(failures == 1 && stream?.failures == 1)
        }
    }

    // MARK: A server that sends no positions

    @Test func messagesWithEqualTimesAreDifferent() {
        var state = SubscriptionState()
        state.opened(at: nil)
        let messages = ["a", "b", "a", "b", "c"].map { Message(author: "x", text: $0, sendTime: time(500)) }
        let received = messages.map { state.receive($0) }
        #expect(received == [true, true, false, false, true])
        // Compared as bytes, not by Unicode equivalence.
        let accents = ["\u{e9}", "e\u{301}"].map { Message(author: "x", text: $0, sendTime: time(500)) }
        let receivedAccents = accents.map { state.receive($0) }
        #expect(receivedAccents == [true, true])
        let receivedLater = state.receive(message(501))
        #expect(receivedLater)
        let receivedAgain = state.receive(messages[0])
        #expect(!receivedAgain)
    }

    @Test func messagesRepeatedAfterReconnectingAreReceivedOnce() {
        var state = SubscriptionState()
        var received = 0
        for _ in 0..<3 {
            for nanoseconds in Int64(500)...503 where state.receive(message(nanoseconds)) { received += 1 }
            _ = state.ended(unavailable, jitter: 0, now: now)
        }
        #expect(received == 4)
        #expect(state.status.gaps == 0)
        #expect(state.position == time(503))
    }

    @Test func theFirstMessageOpensTheStream() {
        var state = SubscriptionState()
        _ = state.receive(message(500))
        let stream = state.streamToLog()
        #expect(state.status.stream == .open)
        #expect(stream != nil)
    }

    @Test func timesAreUniqueIfTheServerSendsPositions() {
        var state = openState()
        _ = state.receive(message(150))
        let received = state.receive(Message(author: "other", text: "t", sendTime: time(150)))
        #expect(!received)
    }

    @Test func closes() {
        var state = openState()
        state.closed()
        #expect(state.status.stream == .closed)
    }
}

@Suite struct FailureLogLimiterTests {
    private let now = ContinuousClock.now

    @Test func logsAReasonOnceAndAfterAMinute() {
        var limiter = FailureLogLimiter()
        let logged = (0...120).map { limiter.record("away", now: now + .seconds($0)) }
        #expect(logged.compactMap(\.self) == [1, 61, 121])
        let count = limiter.reset()
        let afterReset = limiter.record("away", now: now)
        #expect(count == 121 && afterReset == 1)
    }

    @Test func logsANewReasonAtOnce() {
        var limiter = FailureLogLimiter()
        let logged = ["a", "b", "a", "b", "c"].map { limiter.record($0, now: now) }
        #expect(logged == [1, 2, nil, nil, 5])
    }

    @Test func limitsDifferentReasons() {
        var limiter = FailureLogLimiter()
        let logged = (0..<1000).map { limiter.record("request \($0)", now: now) }
        #expect(logged.compactMap(\.self).count == FailureLogLimiter.maxReasons)
    }

    @Test func aFailureWithoutAReasonIsOnlyAReminder() {
        var limiter = FailureLogLimiter()
        let logged = [0, 59, 60, 61].map { limiter.record(nil, now: now + .seconds($0)) }
        #expect(logged == [nil, nil, 3, nil])
    }
}
