internal import GRPC

/// A message that the room has accepted.
public struct Message: Sendable, Equatable {
    /// Who sent it, as the sender says.
    public var author: String
    /// What was sent.
    public var text: String
    /// When the room accepted it: its identity within the room.
    public var sendTime: SendTime

    /// Creates a message.
    public init(author: String, text: String, sendTime: SendTime) {
        self.author = author
        self.text = text
        self.sendTime = sendTime
    }

    /// Whether the times are the same, and the texts byte for byte.
    public static func == (left: Message, right: Message) -> Bool {
        left.sendTime == right.sendTime && left.author.hasBytes(of: right.author) && left.text.hasBytes(of: right.text)
    }
}
