import Messenger
import NIOCore
import Testing

@testable import Client

@Suite struct MessageListChunksTests {
    private func text(_ messages: [Message]) -> String {
        MessageListChunks(messages).map { String(buffer: $0) }.joined()
    }

    @Test func noMessagesAreAnEmptyArray() {
        #expect(self.text([]) == "[]")
        #expect(Array(MessageListChunks([])).count == 1)
    }

    @Test func messagesAreSeparatedByCommas() {
        let first = #"{"author":"Ivan","text":"hey","sendTime":"2021-09-12T10:25:22.454093428Z"}"#
        let second = #"{"author":"Petr","text":"hey Ivan","sendTime":"2021-09-12T10:25:22.454093429Z"}"#
        #expect(self.text([.numbered(0)]) == "[\(first)]")
        #expect(self.text([.numbered(0), .numbered(1, author: "Petr", text: "hey Ivan")]) == "[\(first),\(second)]")
    }

    @Test func aLongListComesInChunksOfBoundedSize() throws {
        let messages = (0..<1000).map { Message.numbered($0, text: String(repeating: "\u{1}", count: 100)) }
        let chunks = Array(MessageListChunks(messages))
        let longestMessage = 6 * 100 + 100
        #expect(chunks.count > 5)
        #expect(chunks.allSatisfy { $0.readableBytes <= MessageListChunks.chunkBytes + longestMessage })
        #expect(chunks.dropLast().allSatisfy { $0.readableBytes >= MessageListChunks.chunkBytes })

        var reader = JSONReader(chunks.flatMap { Array(buffer: $0) })
        try reader.skipValue()
        try reader.readEnd()
    }

    @Test func saysWhenItIsFinished() {
        var one = MessageListChunks([.numbered(0)])
        _ = one.next()
        #expect(one.isFinished)
        let afterTheEnd = one.next()
        #expect(afterTheEnd == nil)

        var two = MessageListChunks([
            .numbered(0, text: String(repeating: "x", count: MessageListChunks.chunkBytes)), .numbered(1),
        ])
        _ = two.next()
        #expect(!two.isFinished)
    }
}
