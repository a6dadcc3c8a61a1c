import DequeModule
import Messenger

/// Remembers under which keys messages were accepted, in a room in memory. A value without locks.
struct IdempotencyKeys: Sendable {
    /// How long keys are remembered, and how many. The oldest are forgotten first.
    struct Limits: Sendable {
        var age = Duration.seconds(600)
        var count = 100_000
    }

    /// What is remembered of a message and its key: hashes, which cost less than the texts. The process has a random seed,
    /// so a sender cannot look for two messages or keys with one hash.
    struct Hashes: Sendable {
        fileprivate let key: Int
        /// Of the key, too: a message under another key with the same hash would be refused, and not lost.
        fileprivate let message: Int

        init(_ message: NewMessage, under key: IdempotencyKey) {
            var hasher = Hasher()
            var (key, author, text) = (key.text, message.author, message.text)
            key.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
            let keyHasher = hasher
            self.key = keyHasher.finalize()
            hasher.combine(author.utf8.count)
            author.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
            text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
            self.message = hasher.finalize()
        }
    }

    private let limits: Limits
    /// By the hash of the key.
    private var accepted: [Int: (sendTime: SendTime, message: Int)] = [:]
    private var oldestFirst: Deque<(key: Int, acceptedAt: Duration)> = []

    init(limits: Limits) {
        self.limits = limits
    }

    var count: Int { accepted.count }

    /// Remembers a message that is accepted at `sendTime`, unless one was accepted under its key before.
    /// - Returns: When that one was accepted; `nil` if there is none.
    /// - Throws: ``RoomError/keyIsTaken`` if it was another message.
    mutating func insert(_ hashes: Hashes, _ sendTime: SendTime, at now: Duration) throws(RoomError) -> SendTime? {
        while let oldest = oldestFirst.first, oldest.acceptedAt + limits.age <= now { forgetOldest() }
        // One look-up: nearly every key is new.
        if let known = accepted.updateValue((sendTime, hashes.message), forKey: hashes.key) {
            accepted[hashes.key] = known
            guard known.message == hashes.message else { throw .keyIsTaken }
            return known.sendTime
        }
        oldestFirst.append((hashes.key, now))
        if oldestFirst.count > limits.count { forgetOldest() }
        return nil
    }

    private mutating func forgetOldest() {
        accepted[oldestFirst.removeFirst().key] = nil
    }
}
