internal import CMessenger
public import LibGRPC

// The messages of messenger.proto. protobuf-c decodes and encodes them.

public struct SendMessageRequest: WireMessage, Equatable {
    public var author: String
    public var text: String
    /// What the sender calls this message, to send it again without sending it twice; empty for none.
    public var idempotencyKey: String

    public init(author: String, text: String, idempotencyKey: String = "") {
        self.author = author
        self.text = text
        self.idempotencyKey = idempotencyKey
    }

    public static func == (left: Self, right: Self) -> Bool {
        left.author.hasBytes(of: right.author) && left.text.hasBytes(of: right.text)
            && left.idempotencyKey.hasBytes(of: right.idempotencyKey)
    }

    public init(decoding buffer: ByteBuffer) throws {
        (author, text, idempotencyKey) = try buffer.unpacked {
            mes_grpc__send_message_request__unpack(nil, $0, $1)
        } free: {
            mes_grpc__send_message_request__free_unpacked($0, nil)
        } _: { message in
            (
                try message.author.validString(field: "author"),
                try message.text.validString(field: "text"),
                try message.idempotencykey.validString(field: "idempotencyKey")
            )
        }
    }

    public func encoded() -> ByteBuffer {
        var message = MesGrpc__SendMessageRequest()
        mes_grpc__send_message_request__init(&message)
        return author.withBinaryData { author in
            text.withBinaryData { text in
                idempotencyKey.withBinaryData { idempotencyKey in
                    message.author = author
                    message.text = text
                    message.idempotencykey = idempotencyKey
                    return ByteBuffer(
                        packing: &message,
                        size: mes_grpc__send_message_request__get_packed_size,
                        mes_grpc__send_message_request__pack
                    )
                }
            }
        }
    }
}

public struct SendMessageResponse: WireMessage, Equatable {
    /// When the room accepted the message.
    public var sendTime: SendTime

    public init(sendTime: SendTime) {
        self.sendTime = sendTime
    }

    public init(decoding buffer: ByteBuffer) throws {
        sendTime = try buffer.unpacked {
            mes_grpc__send_message_response__unpack(nil, $0, $1)
        } free: {
            mes_grpc__send_message_response__free_unpacked($0, nil)
        } _: { message in
            try SendTime(protobuf: message.sendtime)
        }
    }

    public func encoded() -> ByteBuffer {
        var message = MesGrpc__SendMessageResponse()
        mes_grpc__send_message_response__init(&message)
        return sendTime.withProtobuf { time in
            message.sendtime = time
            return ByteBuffer(
                packing: &message,
                size: mes_grpc__send_message_response__get_packed_size,
                mes_grpc__send_message_response__pack
            )
        }
    }
}

public struct ReadMessagesRequest: WireMessage, Equatable {
    /// The stream begins after this time; `nil` for new messages only.
    public var after: SendTime?
    /// The stream begins with at most this many of the latest messages; 0 for none.
    public var last: UInt32
    /// The stream ends after the last message that the room held when the call arrived.
    public var untilNow: Bool
    /// The stream ends after this many messages; 0 for no limit.
    public var limit: UInt32

    public init(after: SendTime? = nil, last: UInt32 = 0, untilNow: Bool = false, limit: UInt32 = 0) {
        self.after = after
        self.last = last
        self.untilNow = untilNow
        self.limit = limit
    }

    public init(decoding buffer: ByteBuffer) throws {
        self = try buffer.unpacked {
            mes_grpc__read_messages_request__unpack(nil, $0, $1)
        } free: {
            mes_grpc__read_messages_request__free_unpacked($0, nil)
        } _: { message in
            ReadMessagesRequest(
                after: try message.after.map { try SendTime(protobuf: $0) },
                last: message.last,
                untilNow: message.untilnow != 0,
                limit: message.limit
            )
        }
    }

    public func encoded() -> ByteBuffer {
        var message = MesGrpc__ReadMessagesRequest()
        mes_grpc__read_messages_request__init(&message)
        message.last = last
        message.untilnow = untilNow ? 1 : 0
        message.limit = limit
        func pack() -> ByteBuffer {
            ByteBuffer(
                packing: &message,
                size: mes_grpc__read_messages_request__get_packed_size,
                mes_grpc__read_messages_request__pack
            )
        }
        guard let after else { return pack() }
        return after.withProtobuf { time in
            message.after = time
            return pack()
        }
    }
}

extension Message: WireMessage {
    public init(decoding buffer: ByteBuffer) throws {
        self = try buffer.unpacked {
            mes_grpc__message__unpack(nil, $0, $1)
        } free: {
            mes_grpc__message__free_unpacked($0, nil)
        } _: { message in
            Message(
                author: try message.author.validString(field: "author"),
                text: try message.text.validString(field: "text"),
                sendTime: try SendTime(protobuf: message.sendtime)
            )
        }
    }

    public func encoded() -> ByteBuffer {
        var message = MesGrpc__Message()
        mes_grpc__message__init(&message)
        return author.withBinaryData { author in
            text.withBinaryData { text in
                sendTime.withProtobuf { time in
                    message.author = author
                    message.text = text
                    message.sendtime = time
                    return ByteBuffer(
                        packing: &message,
                        size: mes_grpc__message__get_packed_size,
                        mes_grpc__message__pack
                    )
                }
            }
        }
    }
}

// MARK: - Conversions

extension ProtobufCBinaryData {
    /// The value of a `string` field, which may contain U+0000.
    ///
    /// - Throws: `INVALID_ARGUMENT` if it is not UTF-8.
    func validString(field: String) throws -> String {
        do {
            // Much cheaper than String(validating:as:), which resolves its generic types at each call.
            return String(copying: try UTF8Span(validating: UnsafeBufferPointer(start: data, count: len).span))
        } catch {
            throw RPCError(code: .invalidArgument, message: "\(field) is not valid UTF-8")
        }
    }
}

extension String {
    /// Passes the text's UTF-8 to protobuf-c, which only reads it. The pointer is valid during `body`.
    func withBinaryData<Result>(_ body: (ProtobufCBinaryData) -> Result) -> Result {
        var text = self
        return text.withUTF8 { bytes in
            body(ProtobufCBinaryData(len: bytes.count, data: UnsafeMutablePointer(mutating: bytes.baseAddress)))
        }
    }
}

extension SendTime {
    /// - Throws: `INVALID_ARGUMENT` for a time that is missing, out of range or before 1970.
    init(protobuf timestamp: UnsafeMutablePointer<Google__Protobuf__Timestamp>?) throws {
        guard let timestamp, timestamp.pointee.seconds >= 0,
            let time = SendTime(seconds: timestamp.pointee.seconds, nanos: timestamp.pointee.nanos)
        else {
            throw RPCError(code: .invalidArgument, message: "a timestamp is missing or out of range")
        }
        self = time
    }

    func withProtobuf<Result>(_ body: (UnsafeMutablePointer<Google__Protobuf__Timestamp>) -> Result) -> Result {
        var timestamp = Google__Protobuf__Timestamp()
        google__protobuf__timestamp__init(&timestamp)
        timestamp.seconds = seconds
        timestamp.nanos = nanos
        return withUnsafeMutablePointer(to: &timestamp, body)
    }
}
