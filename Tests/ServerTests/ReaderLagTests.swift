import Messenger
import Synchronization
import Testing

@testable import Server

@Suite(.timeLimit(.minutes(5)))
struct ReaderLagTests {
    private typealias Lag = Room<Message>.Lag

    /// In seconds.
    private final class Clock: Sendable {
        let seconds = Atomic<Int64>(0)

        var now: SendTime { SendTime(nanosecondsSinceEpoch: seconds.load(ordering: .relaxed) * 1_000_000_000) }
        func advance() { seconds.add(1, ordering: .relaxed) }
    }

    private let clock = Clock()
    private let cursors = Room<Message>.OpenCursors()

    private func room(messages: Int = 100) -> Room<Message> {
        Room(limits: .init(messages: messages, bytes: .max), clock: { [clock] in clock.now }) { ($0, 0) }
    }

    /// One message a second, and a second after the last one.
    private func send(_ count: Int, to room: Room<Message>) throws {
        for index in 0..<count {
            clock.advance()
            _ = try room.append(author: "a", text: "\(index)")
        }
        clock.advance()
    }

    @Test func theSlowestReaderCounts() throws {
        let room = room()
        #expect(room.lag(of: cursors) == Lag())
        let readers = try (0..<3).map { _ in try room.cursor() }
        for reader in readers { cursors.add(reader) }
        try send(5, to: room)
        for (reader, count) in zip(readers, [5, 2, 4]) {
            for _ in 0..<count { _ = try room.next(reader) }
        }
        #expect(room.lag(of: cursors) == Lag(messages: 3, duration: .seconds(3)))
        for _ in 0..<3 { _ = try room.next(readers[1]) }
        #expect(room.lag(of: cursors) == Lag(messages: 1, duration: .seconds(1)))
        _ = try room.next(readers[2])
        #expect(room.lag(of: cursors) == Lag())
    }

    @Test func aReaderBehindMemory() throws {
        let room = room(messages: 2)
        let reader = try room.cursor()
        cursors.add(reader)
        try send(1, to: room)
        _ = try room.next(reader)
        try send(4, to: room)
        // Its last message is from the first second; now it is the seventh.
        #expect(room.lag(of: cursors) == Lag(messages: 2, duration: .seconds(6)))
    }

    /// The sequence number of such a reader is not known.
    @Test func aReaderThatComesFromStorage() throws {
        let room = room(messages: 3)
        try send(5, to: room)
        let inMemory = Room<Message>.Cursor(position: SendTime(nanosecondsSinceEpoch: 3_500_000_000), next: nil)
        cursors.add(inMemory)
        #expect(room.lag(of: cursors) == Lag(messages: 2, duration: .seconds(2)))
        let behind = Room<Message>.Cursor(position: SendTime(nanosecondsSinceEpoch: 1_000_000_000), next: nil)
        cursors.add(behind)
        #expect(room.lag(of: cursors) == Lag(messages: 3, duration: .seconds(5)))
        // Nothing is later than what these two have.
        inMemory.last = room.latest
        behind.last = SendTime(nanosecondsSinceEpoch: 9_000_000_000)
        #expect(room.lag(of: cursors) == Lag())
    }

    @Test func streamsThatHaveEndedAreForgotten() throws {
        let room = room()
        let open = try (0..<10).map { _ in try room.cursor() }
        for reader in open { cursors.add(reader) }
        for _ in 0..<10_000 { cursors.add(try room.cursor()) }
        #expect(cursors.count <= 64, "also if nobody asks for the lag")
        try send(1, to: room)
        for reader in open { _ = try room.next(reader) }
        #expect(room.lag(of: cursors) == Lag(), "those that have ended lag no more")
        #expect(cursors.count == 10)
        withExtendedLifetime(open) {}
    }
}
