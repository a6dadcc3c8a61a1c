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
        // Without a digest it equals no other: the message is then refused the second time, and not taken for another.
        let digest = SHA256.hexDigest(of: parts) ?? IdempotencyKey.random().text
        return String(digest.prefix(32))
    }
}

extension Message {
    init(_ message: NewMessage, sendTime: SendTime) {
        self.init(author: message.author, text: message.text, sendTime: sendTime)
    }
}
