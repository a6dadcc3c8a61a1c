import Messenger
import NIOCore

// The JSON that the client answers with, written straight into the buffer that goes out, with keys in a fixed order.

extension ByteBuffer {
    /// Writes a message: `{"author":"…","text":"…","sendTime":"…"}`.
    mutating func writeJSON(_ message: Message) {
        self.writeStaticString(#"{"author":"#)
        self.writeJSON(message.author)
        self.writeStaticString(#","text":"#)
        self.writeJSON(message.text)
        self.writeStaticString(#","sendTime":"#)
        self.writeJSON(message.sendTime)
        self.writeStaticString("}")
    }

    /// Writes a time as a string.
    mutating func writeJSON(_ time: SendTime) {
        let text = time.rfc3339
        self.writeStaticString("\"")
        self.writeBytes(text.span.bytes)
        self.writeStaticString("\"")
    }

    /// Writes a string, escaping what RFC 8259 demands and nothing else.
    mutating func writeJSON(_ string: String) {
        self.writeStaticString("\"")
        var string = string
        string.withUTF8 { bytes in
            var plainStart = 0
            for (index, byte) in bytes.enumerated() where Self.needsEscape(byte) {
                self.writeBytes(bytes[plainStart..<index])
                self.writeEscaped(byte)
                plainStart = index + 1
            }
            self.writeBytes(bytes[plainStart...])
        }
        self.writeStaticString("\"")
    }

    private static func needsEscape(_ byte: UInt8) -> Bool {
        byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
    }

    private mutating func writeEscaped(_ byte: UInt8) {
        switch Unicode.Scalar(byte) {
        case "\"": self.writeStaticString(#"\""#)
        case "\\": self.writeStaticString(#"\\"#)
        case "\n": self.writeStaticString(#"\n"#)
        case "\r": self.writeStaticString(#"\r"#)
        case "\t": self.writeStaticString(#"\t"#)
        default:
            // Bytes below 0x20 have one leading digit, 0 or 1.
            self.writeStaticString(byte < 0x10 ? #"\u000"# : #"\u001"#)
            self.writeString(String(byte & 0xF, radix: 16))
        }
    }
}
