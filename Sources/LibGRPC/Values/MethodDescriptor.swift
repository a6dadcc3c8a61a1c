/// A method's name, and the encodings of its messages.
public struct MethodDescriptor<Request, Response>: Sendable {
    /// The service's full name with its package, for example `mes_grpc.MessengerServer`.
    public let service: String
    /// The method's name within its service.
    public let method: String
    /// The method's path in HTTP/2: `/service/method`.
    public let path: String
    /// How requests are encoded.
    public let requests: MessageCodec<Request>
    /// How responses are encoded.
    public let responses: MessageCodec<Response>

    /// A method whose messages have any encoding. The names are those in the service's `.proto` file.
    public init(
        service: String,
        method: String,
        requests: MessageCodec<Request>,
        responses: MessageCodec<Response>
    ) {
        self.service = service
        self.method = method
        path = "/\(service)/\(method)"
        self.requests = requests
        self.responses = responses
    }

    /// A method whose messages encode themselves.
    public init(service: String, method: String) where Request: WireMessage, Response: WireMessage {
        self.init(service: service, method: method, requests: .wireMessage, responses: .wireMessage)
    }
}

extension MethodDescriptor<ByteBuffer, ByteBuffer> {
    /// A method whose messages stay bytes, by its path in HTTP/2: for proxies.
    public init(path: String) {
        let names = path.split(separator: "/", maxSplits: 1).map(String.init)
        (service, method) = (names.first ?? "", names.dropFirst().first ?? "")
        // Not made of the names: a proxy must not change the path.
        self.path = path
        (requests, responses) = (.bytes, .bytes)
    }
}

/// How messages of one type become bytes and come back. The type itself needs no conformance.
///
/// For messages that SwiftProtobuf has generated:
///
/// ```swift
/// extension MessageCodec where Message: SwiftProtobuf.Message {
///     static var protobuf: Self {
///         Self(encode: { ByteBuffer(try $0.serializedBytes() as [UInt8]) }) { bytes in
///             try Message(serializedBytes: bytes.withBytes { $0.withUnsafeBytes { [UInt8]($0) } })
///         }
///     }
/// }
/// ```
public struct MessageCodec<Message>: Sendable {
    let encode: @Sendable (Message) throws -> ByteBuffer
    let decode: @Sendable (ByteBuffer) throws -> Message

    /// - Parameters:
    ///   - encode: Encodes a message. A thrown ``RPCError`` ends the call with its status. Any other error becomes
    ///     `INTERNAL` on a client, and is treated as the handler's error on a server.
    ///   - decode: Decodes a received message. On a server, a thrown ``RPCError`` ends the call with its status, and any
    ///     other error with `INVALID_ARGUMENT`. On a client, every error becomes `INTERNAL`, with the thrown one as its
    ///     cause.
    public init(
        encode: @escaping @Sendable (Message) throws -> ByteBuffer,
        decode: @escaping @Sendable (ByteBuffer) throws -> Message
    ) {
        self.encode = encode
        self.decode = decode
    }
}

extension MessageCodec where Message: WireMessage {
    /// The messages encode themselves.
    public static var wireMessage: Self { Self(encode: { try $0.encoded() }, decode: { try Message(decoding: $0) }) }
}

extension MessageCodec where Message == ByteBuffer {
    /// The messages are bytes already: for messages that are encoded once and sent many times, for proxies, for tests.
    public static var bytes: Self { Self(encode: { $0 }, decode: { $0 }) }
}

extension MessageCodec {
    func decode(request buffer: ByteBuffer) throws(RPCError) -> Message {
        do {
            return try decode(buffer)
        } catch let error as RPCError {
            throw error
        } catch {
            throw RPCError(code: .invalidArgument, message: "the request message could not be decoded", cause: error)
        }
    }

    func encode(request message: Message) throws(RPCError) -> ByteBuffer {
        do {
            return try encode(message)
        } catch let error as RPCError where error.code != .ok {
            throw error
        } catch {
            throw RPCError(code: .internal, message: "the request could not be encoded", cause: error)
        }
    }

    func decode(response buffer: ByteBuffer) throws(RPCError) -> Message {
        do {
            return try decode(buffer)
        } catch {
            // Never the error's own code: INVALID_ARGUMENT would tell the caller that the server refused its request.
            throw RPCError(code: .internal, message: "the response could not be decoded", cause: error)
        }
    }
}
