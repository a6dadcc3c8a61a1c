internal import CMessenger
public import GRPC

/// What a sender gives to the room.
public struct SendMessageRequest: WireMessage, Equatable {
    public var author: String
    public var text: String

    public init(author: String, text: String) {
        self.author = author
        self.text = text
    }

    public static func == (left: Self, right: Self) -> Bool {
        left.author.hasBytes(of: right.author) && left.text.hasBytes(of: right.text)
    }

    public init(decoding buffer: ByteBuffer) throws {
        (author, text) = try buffer.unpacked {
            mes_grpc__send_message_request__unpack(nil, $0, $1)
        } free: {
            mes_grpc__send_message_request__free_unpacked($0, nil)
        } _: { message in
            (try message.author.validString(field: "author"), try message.text.validString(field: "text"))
        }
    }

    public func encoded() -> ByteBuffer {
        var message = MesGrpc__SendMessageRequest()
        mes_grpc__send_message_request__init(&message)
        return author.withBinaryData { author in
            text.withBinaryData { text in
                message.author = author
                message.text = text
                return ByteBuffer(
                    packing: &message,
                    size: mes_grpc__send_message_request__get_packed_size,
                    mes_grpc__send_message_request__pack
                )
            }
        }
    }
}
