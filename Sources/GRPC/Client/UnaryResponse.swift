/// What a call with one request and one response brought: the response, and the metadata beside it.
public struct UnaryResponse<Message: WireMessage>: Sendable {
    /// The response.
    public var message: Message
    /// What the server sent before the response.
    public var initialMetadata: Metadata
    /// What the server sent with the status.
    public var trailingMetadata: Metadata
}
