import Messenger

/// A message that a sender wants the room to accept.
struct NewMessage: Sendable {
    var author: String
    var text: String
    /// `nil` if the sender will not send the message again.
    var key: IdempotencyKey?

    /// Distinguishes messages under the same key, also in a file or on another server.
    var fingerprint: String {
        // The length keeps an author that ends as a text begins apart from that text.
        let parts = Array("\(author.utf8.count):".utf8) + Array(author.utf8) + Array(text.utf8)
        return String(SHA256.hexDigest(of: parts).prefix(32))
    }
}

/// What a sender calls one message, to send it again without sending it twice.
struct IdempotencyKey: Sendable, Hashable {
    /// Of printable ASCII, so it has one byte for each character.
    static let maxLength = 64

    let bytes: [UInt8]

    /// `nil` if the text is empty, too long, or has other characters than printable ASCII.
    init?(_ text: String) {
        guard (1...Self.maxLength).contains(text.utf8.count), text.utf8.allSatisfy({ (0x20...0x7E).contains($0) })
        else { return nil }
        bytes = Array(text.utf8)
    }

    var text: String { String(decoding: bytes, as: UTF8.self) }
}

extension Message {
    init(_ message: NewMessage, sendTime: SendTime) {
        self.init(author: message.author, text: message.text, sendTime: sendTime)
    }
}
