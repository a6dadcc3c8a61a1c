import Messenger
import NIOCore
import Testing

@testable import Client

@Suite final class EventCursorTests {
    private var ring = EventRing(capacity: 1 << 20)

    private func time(_ number: Int) -> SendTime { Message.numbered(number).sendTime }

    private func append(_ numbers: ClosedRange<Int>) {
        for number in numbers { ring.append(Event(.numbered(number))) }
    }

    private func page(_ numbers: Range<Int>, isComplete: Bool) -> EventPage {
        var page = EventPage()
        for number in numbers { page.append(.numbered(number)) }
        page.isComplete = isComplete
        return page
    }

    private func events(_ numbers: ClosedRange<Int>) -> ByteBuffer {
        var bytes = ByteBuffer()
        for number in numbers { bytes.writeEvent(.numbered(number)) }
        return bytes
    }

    private final class Reader {
        private var cursor: EventCursor
        private let tests: EventCursorTests

        init(_ cursor: EventCursor, _ tests: EventCursorTests) {
            self.cursor = cursor
            self.tests = tests
        }

        /// The next chunk; `nil` for all other steps.
        func chunk() -> ByteBuffer? {
            if case .chunk(let bytes) = cursor.next(in: &tests.ring) { bytes } else { nil }
        }

        func waits() -> Bool {
            if case .wait = cursor.next(in: &tests.ring) { true } else { false }
        }

        func hasEnded() -> Bool {
            if case .end = cursor.next(in: &tests.ring) { true } else { false }
        }

        func request() throws -> EventPage.Request {
            guard case .load(let request) = cursor.next(in: &tests.ring) else {
                Issue.record("the cursor asks for no page")
                throw CancellationError()
            }
            return request
        }

        func loaded(_ result: Result<EventPage, ReadError>, for request: EventPage.Request) -> Bool {
            cursor.loaded(result, for: request)
        }

        func retry() { cursor.retry() }
    }

    private func reader(_ start: EventCursor.Start, limit: Int?) -> Reader {
        Reader(EventCursor(start, limit: limit, in: ring), self)
    }

    // MARK: From now on

    @Test func fromNowOn() {
        ring.opened(at: time(0))
        append(1...3)
        let cursor = reader(.now, limit: nil)
        #expect(cursor.chunk() == .positionEvent(time(3)))
        #expect(cursor.waits())
        append(4...6)
        #expect(cursor.chunk() == events(4...6))
        #expect(cursor.waits())
    }

    @Test func fromNowOnBeforeTheStreamIsOpen() {
        let cursor = reader(.now, limit: nil)
        #expect(cursor.waits())
        ring.opened(at: time(0))
        #expect(cursor.chunk() == .positionEvent(time(0)))
        append(1...1)
        #expect(cursor.chunk() == events(1...1))
    }

    @Test func theEndAtTheLimit() {
        ring.opened(at: time(0))
        let cursor = reader(.now, limit: 3)
        _ = cursor.chunk()
        append(1...2)
        #expect(cursor.chunk() == events(1...2))
        append(3...9)
        #expect(cursor.chunk() == events(3...3))
        #expect(cursor.hasEnded())
    }

    @Test func aServerWithoutPositions() {
        let cursor = reader(.now, limit: nil)
        let resuming = reader(.after(time(1)), limit: nil)
        ring.opened(at: nil)
        append(5...5)
        #expect(cursor.chunk() == events(5...5))
        #expect(resuming.chunk() == .gapEvent(heldAfter: nil, position: nil))
        #expect(resuming.chunk() == events(5...5))
    }

    // MARK: Resuming

    @Test func resumesInTheRing() {
        ring.opened(at: time(0))
        append(1...5)
        let cursor = reader(.after(time(2)), limit: nil)
        #expect(cursor.chunk() == events(3...5))
        append(6...6)
        #expect(cursor.chunk() == events(6...6))
    }

    @Test func resumesBeforeTheStreamIsOpen() throws {
        let cursor = reader(.after(time(2)), limit: nil)
        #expect(cursor.waits())
        ring.opened(at: time(5))
        #expect(try cursor.request().message == ReadMessagesRequest(after: time(2), untilNow: true, limit: 256))
    }

    @Test func pagesUntilTheRingHoldsWhatFollows() throws {
        ring.opened(at: time(10))
        append(11...12)
        let cursor = reader(.after(time(2)), limit: nil)
        var next = try cursor.request()
        #expect(cursor.waits(), "one page at a time")
        #expect(cursor.loaded(.success(page(3..<6, isComplete: false)), for: next))
        #expect(cursor.chunk() == events(3...5))
        next = try cursor.request()
        #expect(next.message.after == time(5))
        #expect(cursor.loaded(.success(page(6..<12, isComplete: true)), for: next))
        #expect(cursor.chunk() == events(6...11))
        #expect(cursor.chunk() == events(12...12))
        #expect(cursor.waits())
    }

    @Test func anEmptyPageJoinsTheRingThatBeginsLater() throws {
        ring.opened(at: time(10))
        let cursor = reader(.after(time(2)), limit: nil)
        let next = try cursor.request()
        append(11...11)
        #expect(cursor.loaded(.success(page(0..<0, isComplete: true)), for: next))
        #expect(cursor.chunk() == events(11...11))
    }

    /// The page has messages that the ring gets later.
    @Test func aPageThatIsAheadOfTheRing() throws {
        ring.opened(at: time(10))
        let cursor = reader(.after(time(2)), limit: nil)
        let next = try cursor.request()
        #expect(cursor.loaded(.success(page(11..<14, isComplete: true)), for: next))
        #expect(cursor.chunk() == events(11...13))
        #expect(cursor.waits())
        append(11...12)
        #expect(cursor.waits())
        append(13...14)
        #expect(cursor.chunk() == events(14...14))
    }

    @Test func aReaderThatHasFallenBehindReadsAPage() throws {
        ring = EventRing(capacity: 5 * Event(.numbered(1)).cost)
        ring.opened(at: time(0))
        let cursor = reader(.now, limit: nil)
        _ = cursor.chunk()
        append(1...2)
        #expect(cursor.chunk() == events(1...2))
        append(3...20)
        let next = try cursor.request()
        #expect(next.message.after == time(2))
        #expect(cursor.loaded(.success(page(3..<21, isComplete: true)), for: next))
        #expect(cursor.chunk() == events(3...20))
        append(21...21)
        #expect(cursor.chunk() == events(21...21))
    }

    @Test func theLastMessages() throws {
        ring.opened(at: time(10))
        let cursor = reader(.last(1000), limit: 500)
        var next = try cursor.request()
        #expect(next.message == ReadMessagesRequest(last: 1000, untilNow: true, limit: 256))
        #expect(cursor.loaded(.success(page(1..<4, isComplete: false)), for: next))
        #expect(cursor.chunk() == events(1...3))
        next = try cursor.request()
        #expect(next.message.after == time(3) && next.message.last == 0)
        #expect(cursor.loaded(.success(page(0..<0, isComplete: true)), for: next))
        append(11...11)
        #expect(cursor.chunk() == events(11...11))
    }

    @Test func theLastMessagesOfAnEmptyRoom() throws {
        ring.opened(at: time(10))
        let cursor = reader(.last(5), limit: nil)
        let next = try cursor.request()
        #expect(cursor.loaded(.success(page(0..<0, isComplete: true)), for: next))
        append(11...12)
        #expect(cursor.chunk() == events(11...12))
    }

    // MARK: Errors

    @Test func messagesThatAreGone() throws {
        ring.opened(at: time(10))
        let cursor = reader(.after(time(2)), limit: nil)
        let next = try cursor.request()
        #expect(cursor.loaded(.failure(.gone(heldAfter: time(7))), for: next))
        #expect(cursor.chunk() == .gapEvent(heldAfter: time(7), position: time(7)))
        #expect(try cursor.request().message.after == time(7))
    }

    /// A history that drops messages faster than they are read.
    @Test func goesOnFromNowWhenMessagesAreGoneAgainAndAgain() throws {
        ring.opened(at: time(10))
        let cursor = reader(.after(time(2)), limit: nil)
        for number in 3...5 {
            #expect(cursor.loaded(.failure(.gone(heldAfter: time(number))), for: try cursor.request()))
            #expect(cursor.chunk() == .gapEvent(heldAfter: time(number), position: time(number)))
        }
        #expect(cursor.loaded(.failure(.gone(heldAfter: time(6))), for: try cursor.request()))
        #expect(cursor.chunk() == .gapEvent(heldAfter: nil, position: time(10)))
        append(11...11)
        #expect(cursor.chunk() == events(11...11))
    }

    @Test func aTimeThatTheServerRefuses() throws {
        ring.opened(at: time(10))
        let cursor = reader(.after(time(99)), limit: nil)
        #expect(cursor.loaded(.failure(.invalid("It is in the future.")), for: try cursor.request()))
        #expect(cursor.chunk() == .gapEvent(heldAfter: nil, position: time(10)))
        append(11...11)
        #expect(cursor.chunk() == events(11...11))
    }

    @Test func anUnknownTime() {
        ring.opened(at: time(10))
        let cursor = reader(.unknown, limit: nil)
        append(11...11)
        #expect(cursor.chunk() == .gapEvent(heldAfter: nil, position: time(10)))
        #expect(cursor.chunk() == events(11...11))
    }

    @Test func aFailedPageIsReadAgain() throws {
        ring.opened(at: time(10))
        let cursor = reader(.after(time(2)), limit: nil)
        for failure in [ReadError.unavailable, .failed] {
            let next = try cursor.request()
            #expect(!cursor.loaded(.failure(failure), for: next))
            #expect(cursor.waits(), "not at once")
            cursor.retry()
        }
        let next = try cursor.request()
        // It broke before its first message.
        #expect(!cursor.loaded(.success(page(0..<0, isComplete: false)), for: next))
        cursor.retry()
        ring.closed()
        #expect(cursor.waits(), "not while the server is away")
    }

    // MARK: Another history

    @Test func aRingThatBeginsAnewIsNotTrusted() throws {
        ring.opened(at: time(0))
        append(1...3)
        let cursor = reader(.now, limit: nil)
        #expect(cursor.chunk() == .positionEvent(time(3)))
        ring.reset()
        #expect(cursor.waits())
        ring.opened(at: time(5))
        let next = try cursor.request()
        #expect(next.message.after == time(3))
        #expect(cursor.loaded(.failure(.gone(heldAfter: time(5))), for: next))
        #expect(cursor.chunk() == .gapEvent(heldAfter: time(5), position: time(5)))
        append(6...6)
        #expect(cursor.chunk() == events(6...6))
    }

    @Test func aServerWhoseClockWasSetBack() throws {
        ring.opened(at: time(100))
        append(101...103)
        let cursor = reader(.now, limit: nil)
        #expect(cursor.chunk() == .positionEvent(time(103)))
        ring.reset()
        ring.opened(at: time(5))
        append(6...7)
        #expect(cursor.loaded(.failure(.invalid("It is in the future.")), for: try cursor.request()))
        #expect(cursor.chunk() == .gapEvent(heldAfter: nil, position: time(7)))
        append(8...8)
        #expect(cursor.chunk() == events(8...8))
    }
}
