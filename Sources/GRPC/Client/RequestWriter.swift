/// Sends the messages of a stream to the server.
///
/// One write at a time: a second one begun meanwhile fails with `INTERNAL`. A write waits while the server's flow control
/// takes no more; cancelling the task ends that wait, and the call.
public struct RequestWriter<Message: WireMessage>: Sendable {
    let call: ClientCall

    /// Sends one message.
    /// - Parameters:
    ///   - message: The message.
    ///   - compressed: `false` sends this message as it is on a call whose messages are compressed.
    /// - Throws: ``RPCError`` if the call has ended: with its status if that is known, else with `CANCELLED`, and the
    ///   responses tell the status. `INTERNAL` after ``finish()``. Also what encoding the message throws.
    public func write(_ message: Message, compressed: Bool = true) async throws(RPCError) {
        try await call.send(try message.encodedForSending(), compressed: compressed)
    }

    /// Tells the server that there will be no more messages. At most once.
    /// - Throws: As ``write(_:compressed:)``.
    public func finish() async throws(RPCError) {
        try await call.sendClose()
    }
}
