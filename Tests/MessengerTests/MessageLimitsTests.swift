import Testing

import Messenger

@Suite struct MessageLimitsTests {
    private let limits = MessageLimits(authorBytes: 4, textBytes: 6)

    @Test func takesMessagesUpToTheLimits() {
        #expect(self.limits.violation(author: "", text: "") == nil)
        #expect(self.limits.violation(author: "Ivan", text: "привет".prefix(3).description) == nil)
    }

    @Test func countsBytesAndNotCharacters() {
        #expect(self.limits.violation(author: "Иван", text: "") == "The author is longer than 4 bytes.")
        #expect(self.limits.violation(author: "Ivan", text: "приве") == "The text is longer than 6 bytes.")
    }
}
