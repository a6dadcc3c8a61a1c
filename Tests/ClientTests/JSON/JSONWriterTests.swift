import Messenger
import NIOCore
import Testing

@testable import Client

@Suite struct JSONWriterTests {
    private func json(_ string: String) -> String {
        var buffer = ByteBuffer()
        buffer.writeJSON(string)
        return String(buffer: buffer)
    }

    @Test(arguments: [
        ("", "\"\""), ("hey", "\"hey\""), ("a\"b\\c/d", "\"a\\\"b\\\\c/d\""), ("\n\r\t", "\"\\n\\r\\t\""),
        ("\u{0}\u{1}\u{8}\u{C}\u{F}\u{10}\u{1F}", "\"\\u0000\\u0001\\u0008\\u000c\\u000f\\u0010\\u001f\""),
        ("\u{7F}\u{2028}привет👋", "\"\u{7F}\u{2028}привет👋\""), ("\"", "\"\\\"\""),
    ])
    func escapesWhatItHasTo(string: String, expected: String) {
        #expect(self.json(string) == expected)
    }

    @Test func readsBackAsTheSameString() throws {
        // Every scalar of the first planes' beginnings, and some from beyond.
        let scalars =
            (0..<0x800).compactMap(Unicode.Scalar.init(_:)) + [
                "\u{D7FF}", "\u{E000}", "\u{FFFF}", "\u{1F600}", "\u{10FFFF}",
            ]
        for scalar in scalars {
            let string = "a\(scalar)b"
            var reader = JSONReader(Array(self.json(string).utf8))
            let readBack = try reader.readString()
            #expect(Array(readBack.unicodeScalars) == Array(string.unicodeScalars))
        }
    }

    @Test func messageHasItsKeysInTheAssignmentsOrder() {
        var buffer = ByteBuffer()
        buffer.writeJSON(Message.numbered(0))
        #expect(
            String(buffer: buffer) == #"{"author":"Ivan","text":"hey","sendTime":"2021-09-12T10:25:22.454093428Z"}"#
        )
    }
}
