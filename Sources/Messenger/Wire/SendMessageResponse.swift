internal import CMessenger
public import GRPC

/// What the room answers to a sender.
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
            try SendTime(wire: message.sendtime)
        }
    }

    public func encoded() -> ByteBuffer {
        var message = MesGrpc__SendMessageResponse()
        mes_grpc__send_message_response__init(&message)
        return sendTime.withWireForm { time in
            message.sendtime = time
            return ByteBuffer(
                packing: &message,
                size: mes_grpc__send_message_response__get_packed_size,
                mes_grpc__send_message_response__pack
            )
        }
    }
}
