import Messenger
import NIOCore

/// A reader's place in the room's messages, and what it gets next. A value without I/O.
///
/// It takes events from the ring. If the ring does not hold what follows, it reads pages from the server until it does.
struct EventCursor: Sendable {
    /// Where a reader begins.
    enum Start: Sendable, Equatable {
        case now
        case after(SendTime)
        case last(Int)
        /// Where it wants to resume, but not after a time of this room.
        case unknown
    }

    enum Step {
        case chunk(ByteBuffer)
        /// Nothing yet.
        case wait
        /// Reads a page from the server. Until then there is nothing.
        case load(EventPage.Request)
        case end
    }

    /// The next event in the ring; `nil` if it is not there.
    private var index: Int?
    private var epoch = 0
    /// The time of the last message; `nil` if there was none and the beginning is not known.
    private var time: SendTime?
    /// How many of the latest messages come first.
    private var last: Int?
    private var remaining: Int
    /// To be written before anything else.
    private var pending: ByteBuffer?
    /// Whether the reader does not know yet from where it would resume.
    private var isUnplaced = false

    private var isLoading = false
    /// The server knows the reader's time if the ring is still in this epoch.
    private var checkedEpoch: Int?
    /// How many times in a row the server did not hold what follows.
    private var refusals = 0

    private static let maxRefusals = 3

    /// - Parameter limit: The number of messages after which the stream ends.
    init(_ start: Start, limit: Int?, in ring: EventRing) {
        remaining = limit ?? .max
        epoch = ring.epoch
        switch start {
        case .after(let time): self.time = time
        case .last(let count): last = count
        case .now:
            index = ring.endIndex
            isUnplaced = true
        case .unknown:
            index = ring.endIndex
            time = ring.end
            isUnplaced = time == nil
            pending = .gapEvent(heldAfter: nil, position: time)
        }
    }

    mutating func next(in ring: inout EventRing) -> Step {
        if let bytes = pending.take() { return .chunk(bytes) }
        guard remaining > 0 else { return .end }
        guard !isLoading else { return .wait }
        while true {
            guard let index, epoch == ring.epoch, index >= ring.startIndex else {
                if let step = place(in: ring) { return step }
                continue
            }
            if isUnplaced, let position = ring.position(before: index) {
                isUnplaced = false
                time = position
                return .chunk(.positionEvent(position))
            }
            guard let batch = ring.batch(from: index, maxCount: remaining) else { return .wait }
            self.index = batch.indices.upperBound
            time = batch.lastTime
            isUnplaced = false
            remaining -= batch.indices.count
            return .chunk(batch.bytes)
        }
    }

    /// Finds the place in the ring.
    ///
    /// - Returns: What to do if it is not there.
    private mutating func place(in ring: EventRing) -> Step? {
        index = nil
        guard let hasPositions = ring.hasPositions else { return .wait }
        guard hasPositions, time != nil || last != nil else {
            // Nothing says where to go on.
            index = ring.startIndex
            epoch = ring.epoch
            time = ring.start
            last = nil
            isUnplaced = false
            return .chunk(.gapEvent(heldAfter: nil, position: time))
        }
        if let time, let end = ring.end {
            if time <= end, let found = ring.index(after: time) {
                index = found
                epoch = ring.epoch
                return nil
            }
            // A page may be ahead of the ring.
            if time > end, checkedEpoch == ring.epoch { return .wait }
        }
        guard ring.isOpen else { return .wait }
        isLoading = true
        let count = min(remaining, EventPage.Request.maxCount)
        let message = ReadMessagesRequest(
            after: time,
            last: UInt32(time == nil ? last ?? 0 : 0),
            untilNow: true,
            limit: UInt32(count)
        )
        return .load(EventPage.Request(message: message, epoch: ring.epoch, ringStart: ring.start, ringEnd: ring.end))
    }

    /// A page was read.
    ///
    /// - Returns: `false` if reading failed: call ``retry()`` after a while.
    mutating func loaded(_ result: Result<EventPage, ReadError>, for request: EventPage.Request) -> Bool {
        switch result {
        case .success(let page):
            if page.count > 0 {
                pending = page.bytes
                time = page.lastTime
                remaining -= page.count
                refusals = 0
            }
            if page.isComplete {
                // The room held nothing more, so the ring has all that follows, also if it begins later.
                time = [time ?? request.ringEnd, request.ringStart].compactMap(\.self).max()
                checkedEpoch = request.epoch
            } else if page.count == 0 {
                return false
            }
        case .failure(.gone(let heldAfter)):
            refusals += 1
            // A full history drops old messages all the time. Whoever cannot keep up goes on from now.
            lost(heldAfter: refusals > Self.maxRefusals ? nil : heldAfter, request)
        case .failure(.invalid):
            // The time is in the server's future: its clock was set back, or the time is not of this room.
            lost(heldAfter: nil, request)
        case .failure(.unavailable), .failure(.overloaded), .failure(.refused), .failure(.failed):
            return false
        }
        isLoading = false
        return true
    }

    mutating func retry() {
        isLoading = false
    }

    private mutating func lost(heldAfter: SendTime?, _ request: EventPage.Request) {
        time = heldAfter ?? request.ringEnd
        last = nil
        if heldAfter == nil { checkedEpoch = request.epoch }
        pending = .gapEvent(heldAfter: heldAfter, position: time)
    }
}
