import DequeModule
import Messenger

/// Remembers under which keys messages were accepted, in a room in memory. A value without locks.
struct IdempotencyKeys: Sendable {
    /// How long keys are remembered, and how many. The oldest are forgotten first.
    struct Limits: Sendable {
        var age = Duration.seconds(600)
        var count = 100_000
    }

    private struct Accepted {
        var sendTime: SendTime
        var hash: Int
    }

    private let limits: Limits
    private var accepted: [IdempotencyKey: Accepted] = [:]
    private var oldestFirst: Deque<(key: IdempotencyKey, acceptedAt: Duration)> = []

    init(limits: Limits) {
        self.limits = limits
    }

    var count: Int { accepted.count }

    /// When the message was accepted under this key; `nil` if it was not.
    ///
    /// - Throws: ``RoomError/keyIsTaken`` if another message was accepted under the key.
    mutating func sendTime(
        of message: NewMessage,
        under key: IdempotencyKey,
        at now: Duration
    ) throws(RoomError) -> SendTime? {
        while let oldest = oldestFirst.first, oldest.acceptedAt + limits.age <= now { forgetOldest() }
        guard let known = accepted[key] else { return nil }
        guard known.hash == Self.hash(message) else { throw .keyIsTaken }
        return known.sendTime
    }

    /// Remembers a message that has just been accepted under a new key.
    mutating func insert(
        _ message: NewMessage,
        under key: IdempotencyKey,
        _ sendTime: SendTime,
        at now: Duration
    ) {
        accepted[key] = Accepted(sendTime: sendTime, hash: Self.hash(message))
        oldestFirst.append((key, now))
        if oldestFirst.count > limits.count { forgetOldest() }
    }

    private mutating func forgetOldest() {
        accepted[oldestFirst.removeFirst().key] = nil
    }

    /// The process has a random seed, so a sender cannot look for two messages with one hash. It costs a tenth of
    /// ``NewMessage/fingerprint``.
    private static func hash(_ message: NewMessage) -> Int {
        var hasher = Hasher()
        var (author, text) = (message.author, message.text)
        hasher.combine(author.utf8.count)
        author.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        return hasher.finalize()
    }
}
