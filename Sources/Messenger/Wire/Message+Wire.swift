internal import CMessenger
public import GRPC

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
                sendTime: try SendTime(wire: message.sendtime)
            )
        }
    }

    public func encoded() -> ByteBuffer {
        var message = MesGrpc__Message()
        mes_grpc__message__init(&message)
        return author.withBinaryData { author in
            text.withBinaryData { text in
                sendTime.withWireForm { time in
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
