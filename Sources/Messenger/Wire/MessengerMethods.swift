public import GRPC

/// The methods of `mes_grpc.MessengerServer`, as messenger.proto defines them.
public enum MessengerMethods {
    /// The service's full name.
    public static let service = "mes_grpc.MessengerServer"

    /// Puts one message into the room.
    public static let sendMessage = MethodDescriptor<SendMessageRequest, SendMessageResponse>(
        service: service,
        method: "SendMessage"
    )

    /// Streams the room's messages.
    public static let readMessages = MethodDescriptor<ReadMessagesRequest, Message>(
        service: service,
        method: "ReadMessages"
    )

    /// ``readMessages`` for a server, which encodes a message once for all of its readers.
    public static let readEncodedMessages = MethodDescriptor<ReadMessagesRequest, ByteBuffer>(
        service: service,
        method: "ReadMessages"
    )

    /// The key in the initial metadata of ``readMessages`` that carries the stream's starting position: the RFC 3339 form
    /// of the ``SendTime`` after which the stream begins.
    public static let positionKey = "messenger-position"

    /// The key in the request metadata of ``readMessages`` that says how long the reader has been running, in nanoseconds: a
    /// stream without a position begins with the messages accepted since then.
    public static let readerAgeKey = "messenger-reader-age"

    /// The key in the trailing metadata of ``readMessages`` that goes with `OUT_OF_RANGE`: every message accepted after
    /// this time is held, so a reader that cannot have what it asked for can go on from here.
    public static let heldAfterKey = "messenger-held-after"

    /// The key in the trailing metadata of ``sendMessage`` that goes with errors of the history: `full`, `busy` or `away`.
    /// The error's sentence is then one for users.
    public static let storageErrorKey = "messenger-trouble"
}
