internal import CMessenger
public import GRPC

/// Where a reader begins.
public struct ReadMessagesRequest: WireMessage, Equatable {
    /// The stream begins with the message after this time; `nil` for new messages only.
    public var after: SendTime?

    public init(after: SendTime? = nil) {
        self.after = after
    }

    public init(decoding buffer: ByteBuffer) throws {
        after = try buffer.unpacked {
            mes_grpc__read_messages_request__unpack(nil, $0, $1)
        } free: {
            mes_grpc__read_messages_request__free_unpacked($0, nil)
        } _: { message in
            try message.after.map { try SendTime(wire: $0) }
        }
    }

    public func encoded() -> ByteBuffer {
        var message = MesGrpc__ReadMessagesRequest()
        mes_grpc__read_messages_request__init(&message)
        func pack() -> ByteBuffer {
            ByteBuffer(
                packing: &message,
                size: mes_grpc__read_messages_request__get_packed_size,
                mes_grpc__read_messages_request__pack
            )
        }
        guard let after else { return pack() }
        return after.withWireForm { time in
            message.after = time
            return pack()
        }
    }
}
