/// A message that a method sends or receives: a value that can be encoded to bytes and decoded again.
///
/// The binding knows no encoding: a type conforms with the one that its service uses. ``ByteBuffer`` conforms as
/// itself. Use it for messages that are encoded once and sent many times, for proxies and for tests.
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

/// The name of a method and the types of its messages.
public struct MethodDescriptor<Request: WireMessage, Response: WireMessage>: Sendable {
    /// The service's full name with its package, for example `mes_grpc.MessengerServer`.
    public let service: String
    /// The method's name within its service.
    public let method: String
    /// The method's path in HTTP/2: `/service/method`.
    public let path: String

    /// The names are those in the service's `.proto` file.
    public init(service: String, method: String) {
        self.service = service
        self.method = method
        path = "/\(service)/\(method)"
    }
}
