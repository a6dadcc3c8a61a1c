/// Sends the messages of a stream to the server.
///
/// One write at a time: a second one begun meanwhile fails with `INTERNAL`. A write waits while the server's flow control
/// takes no more; cancelling the task ends that wait, and the call.
public struct RequestWriter<Message: WireMessage>: Sendable {
    let call: ClientCall

    /// Sends one message.
    /// - Throws: ``RPCError`` with the call's status if it has ended, and what encoding the message throws.
    public func write(_ message: Message) async throws(RPCError) {
        try await call.send(try message.encodedForSending())
    }

    /// Tells the server that there will be no more messages. At most once.
    /// - Throws: ``RPCError`` with the call's status if it has ended with another than OK.
    public func finish() async throws(RPCError) {
        try await call.sendClose()
    }
}
