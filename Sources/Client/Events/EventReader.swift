import HTTPServing
import Messenger
import NIOCore

/// The body of one answer to `GET /events`. Only for its connection's event loop.
final class EventReader: HTTPBodySource {
    private let hub: EventHub
    private let readers: EventLoopReaders
    private let waker: HTTPBodyWaker
    private let requestID: String
    private var cursor: EventCursor
    private var admission: EventHub.Admission?
    private var pageLoad: EventHub.PageLoad?
    private var isPingDue = false

    private static let retryDelay = TimeAmount.seconds(1)

    init(_ admission: EventHub.Admission, _ hub: EventHub, requestID: String, _ waker: HTTPBodyWaker) {
        self.hub = hub
        self.waker = waker
        self.requestID = requestID
        self.admission = admission
        cursor = admission.cursor
        readers = hub.readers(on: waker.eventLoop)
        readers.add(self)
    }

    func next() -> HTTPBodyPart {
        switch hub.step(&cursor) {
        case .chunk(let bytes): return .chunk(bytes)
        case .end: return .end
        case .load(let request): load(request)
        case .wait: break
        }
        guard isPingDue else { return .nothingYet }
        isPingDue = false
        return .chunk(ByteBuffer(staticString: ": ping\n\n"))
    }

    func end() {
        readers.remove(self)
        pageLoad?.cancel()
        admission = nil
    }

    func wake() {
        waker.wake()
    }

    func ping() {
        isPingDue = true
        waker.wake()
    }

    private func load(_ request: EventPage.Request) {
        var request = request
        request.requestID = requestID
        let eventLoop = waker.eventLoop
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let load = EventHub.PageLoad(request) { [request] result in
            eventLoop.execute { bound.value.loaded(result, request) }
        }
        pageLoad = load
        hub.load(load)
    }

    private func loaded(_ result: Result<EventPage, ReadError>, _ request: EventPage.Request) {
        guard admission != nil else { return }
        pageLoad = nil
        guard cursor.loaded(result, for: request) else {
            waker.eventLoop.assumeIsolated().scheduleTask(in: Self.retryDelay) {
                self.cursor.retry()
                self.wake()
            }
            return
        }
        wake()
    }
}
