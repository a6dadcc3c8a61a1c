import struct LibGRPC.RPCError
import Logging
import Messenger
import NIOCore
import Synchronization

/// Feeds all readers of events from one stream of the room. Thread-safe.
///
/// While there is a reader, the stream fills a ring of encoded events. Each reader has a cursor and takes events at its
/// own pace. A slow one costs no more than a fast one: what the ring no longer holds, it reads from the server.
final class EventHub: Sendable {
    private struct State {
        var ring = EventRing(capacity: EventHub.ringBytes)
        var readers = 0
        /// Opens when the last reader has left.
        var isIdle = Latch()
        /// Opens when the stream has been open since the first reader came.
        var hasOpened = Latch()
        var firstReaderTime = ContinuousClock.now
    }

    /// The memory for events that all readers share.
    private static let ringBytes = 4 << 20
    /// So many pages are read at the same time. Each is a call on the connection to the server.
    private static let parallelPages = 16
    /// More may not wait, because those of readers that have left wait too.
    static let maxWaitingPages = 2_000

    private let room: any RemoteRoom
    private let maxReaders: Int
    private let pingInterval: Duration
    private let logger: Logger

    private let state = Mutex(State())
    private let readersOfLoops = Mutex<[ObjectIdentifier: EventLoopReaders]>([:])
    private let (firstReaders, firstReader) = AsyncStream.makeStream(
        of: Void.self,
        bufferingPolicy: .bufferingNewest(1)
    )
    private let (pageLoads, pageLoad) = AsyncStream.makeStream(
        of: PageLoad.self,
        bufferingPolicy: .bufferingOldest(EventHub.maxWaitingPages)
    )

    init(room: any RemoteRoom, maxReaders: Int, pingInterval: Duration, logger: Logger) {
        self.room = room
        self.maxReaders = maxReaders
        self.pingInterval = pingInterval
        self.logger = logger
    }

    var readerCount: Int { state.withLock { $0.readers } }

    /// Serves readers until the task is cancelled.
    func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.loadPages() }
            for await _ in firstReaders { await followRoom() }
            group.cancelAll()
        }
    }
}

// MARK: - The stream from the room

extension EventHub {
    private static let stableAfter = Duration.seconds(2)

    /// Keeps a stream open as long as there are readers.
    private func followRoom() async {
        var backoff = Backoff()
        var failureLog = FailureLogLimiter()
        while !Task.isCancelled, let isIdle = idleLatch() {
            let began = ContinuousClock.now
            let error = await runStream(until: isIdle)
            state.withLock { state in
                switch error {
                // It begins anew. What lies between is the readers' to ask for.
                case .gone, .invalid: state.ring.reset()
                default: state.ring.closed()
                }
            }
            guard !isIdle.isOpen, !Task.isCancelled else { continue }
            if began.duration(to: .now) >= Self.stableAfter {
                backoff.reset()
                _ = failureLog.reset()
            }
            let reason = error.map { "\($0)" } ?? "the server ended the stream"
            if let failures = failureLog.record(reason, now: .now) {
                logger.warning("event stream broken", metadata: ["reason": "\(reason)", "failures": "\(failures)"])
            }
            try? await Task.sleep(for: backoff.next(jitter: .random(in: 0...1)))
        }
    }

    /// Opens when the last reader has left; `nil` if there is none. Then the ring is empty.
    private func idleLatch() -> Latch? {
        state.withLock { state in
            guard state.readers == 0 else { return state.isIdle }
            state.ring.reset()
            state.hasOpened = Latch()
            return nil
        }
    }

    private func runStream(until isIdle: Latch) async -> ReadError? {
        await withTaskGroup(of: ReadError?.self) { group in
            group.addTask { await self.receive() }
            group.addTask {
                _ = await isIdle.wait()
                return nil
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            return first
        }
    }

    /// - Returns: Why the stream ended; `nil` for OK.
    private func receive() async -> ReadError? {
        // The first reader may have come before the connection.
        let (position, readerAge) = state.withLock { state in
            (state.ring.resumption, state.hasOpened.isOpen ? nil : state.firstReaderTime.duration(to: .now))
        }
        do throws(ReadError) {
            let stream = try await room.follow(after: position, readerAge: readerAge)
            if let position = stream.position { opened(at: position) }
            do throws(RPCError) {
                var isOpen = stream.position != nil
                for try await message in stream.messages {
                    // The server sends no positions.
                    if !isOpen { opened(at: nil) }
                    isOpen = true
                    let event = Event(message)
                    state.withLock { $0.ring.append(event) }
                    wakeReaders()
                }
            } catch {
                throw ReadError(error)
            }
            return nil
        } catch {
            return error
        }
    }

    private func opened(at position: SendTime?) {
        state.withLock { state in
            state.ring.opened(at: position)
            return state.hasOpened
        }.open()
        wakeReaders()
    }

    private func wakeReaders() {
        readersOfLoops.withLock { for readers in $0.values { readers.wake() } }
    }
}

// MARK: - Readers

extension EventHub {
    /// A reader's place among those that may read at the same time, until it is released.
    final class Admission: Sendable {
        /// Where the reader begins.
        let cursor: EventCursor
        /// Open once the stream has been open.
        let hasOpened: Latch
        private let hub: EventHub

        fileprivate init(cursor: EventCursor, hasOpened: Latch, hub: EventHub) {
            self.cursor = cursor
            self.hasOpened = hasOpened
            self.hub = hub
        }

        deinit {
            hub.readerLeft()
        }
    }

    /// Admits a reader; `nil` if there are too many.
    func admit(_ start: EventCursor.Start, limit: Int?) -> Admission? {
        let admission = state.withLock { state -> Admission? in
            guard state.readers < maxReaders else { return nil }
            state.readers += 1
            if state.readers == 1 {
                state.isIdle = Latch()
                state.firstReaderTime = .now
            }
            let cursor = EventCursor(start, limit: limit, in: state.ring)
            return Admission(cursor: cursor, hasOpened: state.hasOpened, hub: self)
        }
        if admission != nil { firstReader.yield() }
        return admission
    }

    private func readerLeft() {
        state.withLock { state -> Latch? in
            state.readers -= 1
            return state.readers == 0 ? state.isIdle : nil
        }?.open()
    }

    /// What a reader gets next.
    func step(_ cursor: inout EventCursor) -> EventCursor.Step {
        state.withLock { cursor.next(in: &$0.ring) }
    }

    /// The readers on the current event loop.
    func readers(on loop: any EventLoop) -> EventLoopReaders {
        readersOfLoops.withLock { readersOfLoops in
            if let readers = readersOfLoops[ObjectIdentifier(loop)] { return readers }
            let readers = EventLoopReaders(loop, pingInterval: pingInterval)
            readersOfLoops[ObjectIdentifier(loop)] = readers
            return readers
        }
    }
}

// MARK: - Pages

extension EventHub {
    /// A page that a reader waits for.
    final class PageLoad: Sendable {
        let request: EventPage.Request
        private let completion: @Sendable (Result<EventPage, ReadError>) -> Void
        private let isCancelled = Atomic(false)

        init(
            _ request: EventPage.Request,
            completion: @escaping @Sendable (Result<EventPage, ReadError>) -> Void
        ) {
            self.request = request
            self.completion = completion
        }

        /// The reader has left.
        func cancel() {
            isCancelled.store(true, ordering: .relaxed)
        }

        fileprivate func refuse() {
            completion(.failure(.unavailable))
        }

        fileprivate func run(_ room: any RemoteRoom) async {
            guard !isCancelled.load(ordering: .relaxed) else { return }
            completion(await request.result(from: room))
        }
    }

    /// Reads a page, after those that were asked for before. Calls back on any thread, maybe before this returns; with
    /// ``ReadError/unavailable`` if too many wait.
    func load(_ load: PageLoad) {
        if case .dropped(let refused) = pageLoad.yield(load) { refused.refuse() }
    }

    private func loadPages() async {
        await withTaskGroup(of: Void.self) { group in
            var running = 0
            for await load in pageLoads {
                if running == Self.parallelPages {
                    await group.next()
                    running -= 1
                }
                group.addTask { [room] in await load.run(room) }
                running += 1
            }
            group.cancelAll()
        }
    }
}
