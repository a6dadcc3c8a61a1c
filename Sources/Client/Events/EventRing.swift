import DequeModule
import Messenger
import NIOCore

/// The newest messages as events, for all readers. A value without I/O.
///
/// Each event has an index. A reader that follows the ring is the index of its next event.
struct EventRing {
    /// Events in a row, for one write.
    struct Batch {
        let indices: Range<Int>
        let lastTime: SendTime
        let bytes: ByteBuffer
    }

    /// A batch of several events has about this size.
    static let batchBytes = 16 << 10

    private let capacity: Int
    private var events: Deque<Event> = []
    private var bytes = 0
    /// Readers that follow together share it.
    private var lastBatch: Batch?

    /// Whether messages arrive.
    private(set) var isOpen = false
    /// Whether the server sends positions; `nil` until it is known.
    private(set) var hasPositions: Bool?
    /// All messages after this time are in the ring, up to the last one; `nil` if that is not known.
    private(set) var start: SendTime?
    /// Grows when the ring begins anew, at a position that need not be later.
    private(set) var epoch = 0
    /// The index of the oldest event.
    private(set) var startIndex = 0

    var endIndex: Int { startIndex + events.count }
    var end: SendTime? { events.last?.time ?? start }

    /// - Parameter capacity: The memory for events in bytes.
    init(capacity: Int) {
        self.capacity = capacity
    }

    // MARK: The stream from the server

    /// From where to resume the stream; `nil` for messages from now on.
    var resumption: SendTime? { hasPositions == true ? end : nil }

    /// - Parameter position: After which the stream begins; `nil` if the server sends none.
    mutating func opened(at position: SendTime?) {
        if let position, start == nil {
            if !events.isEmpty { reset() }
            start = position
        }
        hasPositions = position != nil
        isOpen = true
    }

    mutating func append(_ event: Event) {
        if hasPositions == true, let end, event.time <= end { return }
        events.append(event)
        bytes += event.cost
        while bytes > capacity, events.count > 1 {
            let dropped = events.removeFirst()
            bytes -= dropped.cost
            startIndex += 1
            if start != nil { start = dropped.time }
        }
    }

    /// The stream has ended. The next one resumes it.
    mutating func closed() {
        isOpen = false
    }

    /// The next stream does not continue this one.
    mutating func reset() {
        startIndex = endIndex
        events.removeAll()
        bytes = 0
        lastBatch = nil
        start = nil
        hasPositions = nil
        isOpen = false
        epoch += 1
    }

    // MARK: Readers

    /// The index of the first event after this time; `nil` if some messages after it are not in the ring.
    func index(after time: SendTime) -> Int? {
        guard let start, start <= time else { return nil }
        var low = 0
        var high = events.count
        while low < high {
            let middle = (low + high) / 2
            if events[middle].time <= time { low = middle + 1 } else { high = middle }
        }
        return startIndex + low
    }

    /// After which time a reader resumes whose next event has this index.
    func position(before index: Int) -> SendTime? {
        guard start != nil, (startIndex...endIndex).contains(index) else { return nil }
        return index == startIndex ? start : events[index - startIndex - 1].time
    }

    /// The next events of a reader; `nil` if there are none yet.
    mutating func batch(from index: Int, maxCount: Int) -> Batch? {
        guard (startIndex..<endIndex).contains(index) else { return nil }
        if let lastBatch, lastBatch.indices.lowerBound == index, lastBatch.indices.count <= maxCount,
            lastBatch.indices.upperBound == endIndex || lastBatch.bytes.readableBytes >= Self.batchBytes
        {
            return lastBatch
        }
        var last = events[index - startIndex]
        var bytes = last.bytes
        var end = index + 1
        while end < endIndex, end - index < maxCount, bytes.readableBytes < Self.batchBytes {
            last = events[end - startIndex]
            bytes.writeImmutableBuffer(last.bytes)
            end += 1
        }
        let batch = Batch(indices: index..<end, lastTime: last.time, bytes: bytes)
        lastBatch = batch
        return batch
    }
}
