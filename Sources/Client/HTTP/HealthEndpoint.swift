import Hummingbird

/// `GET /healthz` and `GET /readyz`: what a supervisor wants to know of the program.
struct HealthEndpoint<Room: RemoteRoom>: Sendable {
    let room: Room
    let inbox: Inbox

    /// Says that the program answers.
    func respondWhetherAlive(to request: Request) -> Response {
        .json(ByteBuffer(staticString: #"{"status":"ok"}"#), to: request.method)
    }

    /// Says whether messages arrive as the room accepts them, or would if the buffer were not full, and what waits to be fetched.
    func respondWhetherReady(to request: Request) -> Response {
        let subscription = self.room.subscription
        let inbox = self.inbox.counters
        let isReady = subscription.stream.isConnected
        let body = """
            {"status":"\(isReady ? "ready" : "not ready")","stream":"\(subscription.stream.rawValue)",\
            "gaps":\(subscription.gaps),"received":\(inbox.received),\
            "buffered":\(inbox.messages),"bufferedBytes":\(inbox.bytes)}
            """
        return .json(ByteBuffer(string: body), status: isReady ? .ok : .serviceUnavailable, to: request.method)
    }
}
