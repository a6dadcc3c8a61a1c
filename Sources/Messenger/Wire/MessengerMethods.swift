public import LibGRPC

/// The methods of `mes_grpc.MessengerServer`, as messenger.proto defines them.
public enum MessengerMethods {
    /// The service's full name.
    public static let service = "mes_grpc.MessengerServer"

    public static let sendMessage = MethodDescriptor<SendMessageRequest, SendMessageResponse>(
        service: service,
        method: "SendMessage"
    )

    public static let readMessages = MethodDescriptor<ReadMessagesRequest, Message>(
        service: service,
        method: "ReadMessages"
    )

    /// ``readMessages`` for a server, which encodes each message once for all readers.
    public static let readEncodedMessages = MethodDescriptor<ReadMessagesRequest, ByteBuffer>(
        service: service,
        method: "ReadMessages"
    )

    /// Initial metadata of ``readMessages``: the position after which the stream begins, a ``SendTime`` in RFC 3339.
    public static let positionKey = "messenger-position"

    /// Request metadata of ``readMessages``: how long the reader has been running, in nanoseconds. A stream without a
    /// position begins with the messages accepted since then.
    public static let readerAgeKey = "messenger-reader-age"

    /// Trailing metadata of ``readMessages`` with `OUT_OF_RANGE`: the server holds all messages after this time, so a
    /// reader can continue from here.
    public static let heldAfterKey = "messenger-held-after"

    /// Request metadata of any method: what log lines about one request have in common.
    public static let requestIDKey = "x-request-id"

    /// Trailing metadata of ``sendMessage`` after an error of the storage: `full`, `busy` or `away`. The error's message
    /// is then written for users.
    public static let storageErrorKey = "messenger-trouble"
}
