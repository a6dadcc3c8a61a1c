import Messenger
import NIOCore

// The JSON that the client answers with, written straight into the buffer that goes out, with keys in a fixed order.

extension ByteBuffer {
    /// Writes a message: `{"author":"…","text":"…","sendTime":"…"}`.
    mutating func writeJSON(_ message: Message) {
        writeStaticString(#"{"author":"#)
        writeJSON(message.author)
        writeStaticString(#","text":"#)
        writeJSON(message.text)
        writeStaticString(#","sendTime":"#)
        writeJSON(message.sendTime)
        writeStaticString("}")
    }

    /// Writes a time as a string.
    mutating func writeJSON(_ time: SendTime) {
        let text = time.rfc3339
        writeStaticString("\"")
        writeBytes(text.span.bytes)
        writeStaticString("\"")
    }

    /// Writes a string, escaping what RFC 8259 demands and nothing else.
    mutating func writeJSON(_ string: String) {
        writeStaticString("\"")
        var string = string
        string.withUTF8 { bytes in
            guard let start = bytes.baseAddress else { return }
            let (quotationMark, backslash) = (UInt8(ascii: "\""), UInt8(ascii: "\\"))
            // A plain loop over a pointer: debug builds optimize no iterators, and the tests write megabytes. The index
            // stays below the count.
            var (index, plainStart) = (0, 0)
            let count = bytes.count
            while index < count {
                let byte = start[index]
                if byte < 0x20 || byte == quotationMark || byte == backslash {
                    writeBytes(bytes[plainStart..<index])
                    writeEscaped(byte)
                    plainStart = index + 1
                }
                index += 1
            }
            writeBytes(bytes[plainStart...])
        }
        writeStaticString("\"")
    }

    private mutating func writeEscaped(_ byte: UInt8) {
        switch Unicode.Scalar(byte) {
        case "\"": writeStaticString(#"\""#)
        case "\\": writeStaticString(#"\\"#)
        case "\n": writeStaticString(#"\n"#)
        case "\r": writeStaticString(#"\r"#)
        case "\t": writeStaticString(#"\t"#)
        default:
            // Bytes below 0x20 have one leading digit, 0 or 1.
            writeStaticString(byte < 0x10 ? #"\u000"# : #"\u001"#)
            writeString(String(byte & 0xF, radix: 16))
        }
    }
}

/// A JSON array of messages, in chunks, so that a long list is never in memory as one text.
///
/// The chunks together are the array; a chunk ends with the message that brings it to ``chunkBytes`` or more.
struct MessageListChunks: Sequence, IteratorProtocol, Sendable {
    /// The size at which a chunk is full, in bytes: as much as the connection takes before it holds writers back.
    static let chunkBytes = 64 * 1024

    private let messages: [Message]
    private var written = 0
    /// Whether the end of the array has been given out.
    private(set) var isFinished = false

    /// Creates the chunks of an array of `messages`.
    init(_ messages: [Message]) {
        self.messages = messages
    }

    mutating func next() -> ByteBuffer? {
        guard !isFinished else { return nil }
        var chunk = ByteBuffer()
        if written == 0 { chunk.writeStaticString("[") }
        while written < messages.count, chunk.readableBytes < Self.chunkBytes {
            if written > 0 { chunk.writeStaticString(",") }
            chunk.writeJSON(messages[written])
            written += 1
        }
        if written == messages.count {
            chunk.writeStaticString("]")
            isFinished = true
        }
        return chunk
    }
}
