import Messenger
import NIOCore

/// Events for a reader that the ring does not serve, read from the server.
struct EventPage: Sendable {
    /// Asks for the messages that follow a reader's place.
    struct Request: Sendable {
        let message: ReadMessagesRequest
        /// The reader's.
        var requestID = ""
        /// The ring when the request was made.
        let epoch: Int
        let ringStart: SendTime?
        let ringEnd: SendTime?

        /// More would not fit into a page with most messages.
        static let maxCount = 256

        func result(from room: any RemoteRoom) async -> Result<EventPage, ReadError> {
            do throws(ReadError) {
                let messages = try await room.read(message, requestID: requestID, timeout: EventPage.timeout)
                return .success(await EventPage(of: messages, maxCount: Int(message.limit)))
            } catch {
                return .failure(error)
            }
        }
    }

    private(set) var bytes = ByteBuffer()
    private(set) var count = 0
    private(set) var lastTime: SendTime?
    /// Whether the room had no further messages.
    var isComplete = false

    /// A page ends with the event that brings it to this size or more.
    private static let maxBytes = 32 << 10
    private static let timeout = Duration.seconds(10)

    init() {}

    private init(of messages: Messages, maxCount: Int) async {
        do {
            for try await message in messages {
                append(message)
                if bytes.readableBytes >= Self.maxBytes { return }
            }
            // The server also ends the stream after so many.
            isComplete = count < maxCount
        } catch {
            // What has arrived is good. The next page shows whether the error stays.
        }
    }

    mutating func append(_ message: Message) {
        bytes.writeEvent(message)
        count += 1
        lastTime = message.sendTime
    }
}
