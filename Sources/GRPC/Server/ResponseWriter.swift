/// Sends the messages of a stream to the client.
///
/// One write at a time: a second one begun meanwhile fails with `INTERNAL`. A write waits while the client's flow
/// control takes no more; cancelling the task ends that wait, and the call.
public struct ResponseWriter<Message: WireMessage>: Sendable {
    let call: ServerCall

    /// Sends one message.
    /// - Parameters:
    ///   - message: The message.
    ///   - compressed: `false` sends this message as it is on a call whose messages are compressed.
    /// - Throws: `CANCELLED` when the client is gone, and what encoding the message throws.
    public func write(_ message: Message, compressed: Bool = true) async throws {
        try await call.send(message.encoded(), compressed: compressed)
    }

    /// Sends what `next` gives until it throws, or the call ends: asks it when the stream begins to follow, again whenever
    /// the broadcast is notified, and whenever the client has taken what it was sent.
    ///
    /// For many streams that get the same, encoded once: costs a fraction of a ``write(_:compressed:)`` after a wake-up.
    /// Called in the handler's own task (one made by `Task {}` is on other threads), with a broadcast of the server's group:
    /// else `UNAVAILABLE` is thrown. One at a time: a second one begun meanwhile fails with `INTERNAL`.
    /// - Parameters:
    ///   - broadcast: Says when there is more.
    ///   - next: What is sent.
    /// - Throws: What `next` throws, and `CANCELLED` when the client is gone. Cancelling the task cancels the call. Never
    ///   returns otherwise.
    public func follow(_ broadcast: Broadcast, next: @escaping Broadcast.Source) async throws {
        try await call.follow(broadcast, next)
    }

    /// Sends several messages that are there already, letting the transport gather them into few writes.
    /// - Throws: As ``write(_:compressed:)``; the messages before the one that failed may have been sent.
    public func write(contentsOf messages: some Collection<Message>) async throws {
        var remaining = messages.count
        for message in messages {
            remaining -= 1
            try await call.send(message.encoded(), isBuffered: remaining > 0)
        }
    }
}
