/// A message as a method sends and receives it: a value that can be turned into bytes and back.
///
/// The binding knows no encoding of its own; a type conforms with the one that its service uses. ``ByteBuffer``
/// conforms as itself, for what is encoded once and sent many times, and for proxies and tests.
public protocol WireMessage: Sendable {
    /// Decodes a received message. On a server a thrown ``RPCError`` ends the call with its status, any other error with
    /// `INVALID_ARGUMENT`. On a client every error becomes `INTERNAL`, with the thrown one as its cause.
    init(decoding buffer: ByteBuffer) throws

    /// Encodes the message to be sent. A thrown ``RPCError`` ends the call with its status; any other error with `INTERNAL`
    /// on a client, and as a handler's on a server.
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
