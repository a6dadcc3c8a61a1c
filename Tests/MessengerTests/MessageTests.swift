import LibGRPC
import Messenger
import Testing

@Suite struct MessageTests {
    private let message = Message(author: "caf\u{E9}", text: "a\u{0}b", sendTime: SendTime(nanosecondsSinceEpoch: 1))

    @Test func comparesBytesNotCharacters() {
        var decomposed = message
        decomposed.author = "cafe\u{301}"
        #expect(message.author == decomposed.author)
        #expect(message != decomposed)
    }

    @Test func decodesWhatItEncodes() throws {
        #expect(try Message(decoding: message.encoded()) == message)
    }
}

@Suite struct MessageLimitsTests {
    private let limits = MessageLimits(authorBytes: 4, textBytes: 6)

    @Test func acceptsMessagesUpToTheLimits() {
        #expect(limits.violation(author: "", text: "") == nil)
        #expect(limits.violation(author: "Ivan", text: "привет".prefix(3).description) == nil)
    }

    @Test func countsBytesNotCharacters() {
        #expect(limits.violation(author: "Иван", text: "") == "The author is longer than 4 bytes.")
        #expect(limits.violation(author: "Ivan", text: "приве") == "The text is longer than 6 bytes.")
    }
}
