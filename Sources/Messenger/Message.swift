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
}
