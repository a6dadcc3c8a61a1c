import NIOCore
import NIOHTTP1

/// `GET /healthz` and `GET /readyz`: what a supervisor wants to know of the program.
struct HealthEndpoint<Room: RemoteRoom>: Sendable {
    let room: Room
    let inbox: Inbox

    /// Says that the program answers.
    func whetherAlive() -> HTTPResponse {
        HTTPResponse(body: ByteBuffer(staticString: #"{"status":"ok"}"#))
    }

    /// Says whether messages arrive as the room accepts them, or would if the buffer were not full, and what waits to be fetched.
    func whetherReady() -> HTTPResponse {
        let subscription = self.room.subscription
        let inbox = self.inbox.counters
        let isReady = subscription.stream.isConnected
        let body = """
            {"status":"\(isReady ? "ready" : "not ready")","stream":"\(subscription.stream.rawValue)",\
            "gaps":\(subscription.gaps),"received":\(inbox.received),\
            "buffered":\(inbox.messages),"bufferedBytes":\(inbox.bytes)}
            """
        return HTTPResponse(status: isReady ? .ok : .serviceUnavailable, body: ByteBuffer(string: body))
    }
}
