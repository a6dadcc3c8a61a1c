import HTTPServing
import Messenger
import NIOCore
import NIOHTTP1

/// `GET /events`: the room's messages as server-sent events. It takes nothing from the inbox.
struct EventsRoute: Sendable {
    private let hub: EventHub
    /// What all readers may use, so that they leave memory for other requests.
    private let memory: HTTPMemory

    private static let headers: HTTPHeaders = [
        "Content-Type": "text/event-stream",
        "Cache-Control": "no-store",
        // nginx and others would hold events back.
        "X-Accel-Buffering": "no",
    ]
    private static let lastLimits = 1...10_000
    private static let limits = 1...1_000_000_000
    /// A reader that begins while the server is away is answered after this time.
    private static let openTimeout = Duration.seconds(1)

    init(hub: EventHub, memory: HTTPMemory) {
        self.hub = hub
        self.memory = HTTPMemory(limit: memory.limit / 4, of: memory)
    }

    var route: HTTPRoute {
        HTTPRoute("/events", [.GET, .HEAD]) { [self] request throws(HTTPFailure) in
            let (start, limit) = try Self.readRequest(request.head)
            guard let admission = hub.admit(start, limit: limit) else {
                throw .busy("Too many clients read events; try again later.")
            }
            // An answer without a body needs no place among the readers.
            if request.head.method == .HEAD { return .response(Self.emptyResponse) }
            let response = response(admission, requestID: request.id)
            if admission.hasOpened.isOpen { return .response(response) }
            // Whoever has the answer's head gets what is sent from then on.
            return .waitingTask {
                _ = await admission.hasOpened.wait(timeout: Self.openTimeout)
                return .response(response)
            }
        }
    }

    private static func readRequest(
        _ head: HTTPRequestHead
    ) throws(HTTPFailure) -> (EventCursor.Start, limit: Int?) {
        let query = try HTTPQuery(head)
        let last = try query.number("last", in: lastLimits)
        let limit = try query.number("limit", in: limits)
        let after = try query.time("after")
        guard last == nil || after == nil else { throw HTTPFailure(.badRequest, "Use either after or last, not both.") }
        // A browser resumes with the URL with which it began.
        let ids = head.headers["Last-Event-ID"].filter { !$0.isEmpty }
        guard let id = ids.first else { return (after.map { .after($0) } ?? last.map { .last($0) } ?? .now, limit) }
        guard ids.count == 1, let time = SendTime(rfc3339: id) else { return (.unknown, limit) }
        return (.after(time), limit)
    }

    /// As the response to a reader, but for the body.
    private static var emptyResponse: HTTPResponse {
        HTTPResponse(headers: headers, body: ByteBuffer(), chunks: EmptyCollection.Iterator())
    }

    private func response(_ admission: EventHub.Admission, requestID: String) -> HTTPResponse {
        HTTPResponse(
            headers: Self.headers,
            // Milliseconds until a browser reconnects.
            body: ByteBuffer(staticString: "retry: 1000\n\n"),
            source: { [hub] waker in EventReader(admission, hub, requestID: requestID, waker) },
            memory: memory
        )
    }
}

extension HTTPQuery {
    /// The value of a parameter that is a time.
    func time(_ name: StaticString) throws(HTTPFailure) -> SendTime? {
        guard let text = try value(name) else { return nil }
        guard let time = SendTime(rfc3339: text) else {
            let form = "a time such as 2021-09-12T10:25:22.454093428Z"
            throw HTTPFailure(.badRequest, "The parameter \(name) must be \(form).")
        }
        return time
    }
}
