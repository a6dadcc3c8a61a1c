/// A message that encodes itself. For a type that does not, see ``MessageCodec``.
public protocol WireMessage: Sendable {
    /// Decodes a received message. On a server, a thrown ``RPCError`` ends the call with its status, and any other
    /// error with `INVALID_ARGUMENT`. On a client, every error becomes `INTERNAL`, with the thrown one as its cause.
    init(decoding buffer: ByteBuffer) throws

    /// Encodes the message. A thrown ``RPCError`` ends the call with its status. Any other error becomes `INTERNAL` on
    /// a client, and is treated as the handler's error on a server.
    func encoded() throws -> ByteBuffer
}

extension ByteBuffer: WireMessage {
    /// The buffer itself.
    public init(decoding buffer: ByteBuffer) {
        self = buffer
    }

    /// The buffer itself.
    public func encoded() -> ByteBuffer { self }
}
