internal import LibGRPC

/// A message that the room has accepted.
public struct Message: Sendable, Equatable {
    public var author: String
    public var text: String
    /// When the room accepted the message. It identifies the message within the room.
    public var sendTime: SendTime

    public init(author: String, text: String, sendTime: SendTime) {
        self.author = author
        self.text = text
        self.sendTime = sendTime
    }

    /// Compares author and text as bytes.
    public static func == (left: Message, right: Message) -> Bool {
        left.sendTime == right.sendTime && left.author.hasBytes(of: right.author) && left.text.hasBytes(of: right.text)
    }
}

/// How long a message's author and text may be, in bytes of UTF-8.
public struct MessageLimits: Sendable, Equatable {
    public var authorBytes: Int
    public var textBytes: Int

    public init(authorBytes: Int, textBytes: Int) {
        self.authorBytes = authorBytes
        self.textBytes = textBytes
    }

    /// A sentence for the sender that says which limit the message exceeds; `nil` if it exceeds none. Both strings may be
    /// empty.
    public func violation(author: String, text: String) -> String? {
        if author.utf8.count > authorBytes {
            return "The author is longer than \(authorBytes) bytes."
        }
        if text.utf8.count > textBytes {
            return "The text is longer than \(textBytes) bytes."
        }
        return nil
    }
}
