import Messenger
import NIOCore

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
        guard !self.isFinished else { return nil }
        var chunk = ByteBuffer()
        if self.written == 0 { chunk.writeStaticString("[") }
        while self.written < self.messages.count, chunk.readableBytes < Self.chunkBytes {
            if self.written > 0 { chunk.writeStaticString(",") }
            chunk.writeJSON(self.messages[self.written])
            self.written += 1
        }
        if self.written == self.messages.count {
            chunk.writeStaticString("]")
            self.isFinished = true
        }
        return chunk
    }
}
