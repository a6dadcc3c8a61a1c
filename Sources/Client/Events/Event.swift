import Messenger
import NIOCore

/// A message as an event of `text/event-stream`, encoded once for all readers.
struct Event: Sendable {
    let time: SendTime
    let bytes: ByteBuffer

    init(_ message: Message) {
        time = message.sendTime
        var bytes = ByteBuffer()
        bytes.writeEvent(message)
        self.bytes = bytes
    }

    /// What it uses, in bytes.
    var cost: Int { bytes.storageCapacity + Self.overhead }

    /// The value itself and the heap object of its bytes.
    private static let overhead = MemoryLayout<Event>.stride + 96
}

// The format of server-sent events. An event ends with an empty line. JSON escapes line breaks, so it is one line.

extension ByteBuffer {
    mutating func writeEvent(_ message: Message) {
        writeEventID(message.sendTime)
        writeStaticString("data: ")
        writeJSON(message)
        writeStaticString("\n\n")
    }

    /// The room no longer holds the next messages, only those after this time, if it is known.
    ///
    /// - Parameter position: From where the reader goes on, and resumes.
    static func gapEvent(heldAfter: SendTime?, position: SendTime?) -> ByteBuffer {
        var bytes = ByteBuffer(staticString: "event: gap\n")
        bytes.writeEventID(position)
        bytes.writeStaticString(#"data: {"heldAfter":"#)
        if let heldAfter { bytes.writeJSON(heldAfter) } else { bytes.writeStaticString("null") }
        bytes.writeStaticString("}\n\n")
        return bytes
    }

    /// Without data: a browser only remembers from where to resume.
    static func positionEvent(_ position: SendTime) -> ByteBuffer {
        var bytes = ByteBuffer()
        bytes.writeEventID(position)
        bytes.writeStaticString("\n")
        return bytes
    }

    /// - Parameter time: `nil` makes a browser forget the last ID.
    private mutating func writeEventID(_ time: SendTime?) {
        writeStaticString("id: ")
        if let time { writeBytes(time.rfc3339.span.bytes) }
        writeStaticString("\n")
    }
}
