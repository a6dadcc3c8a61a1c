/// How long a message's author and text may be, in bytes of UTF-8.
public struct MessageLimits: Sendable, Equatable {
    /// The longest author, in bytes of UTF-8.
    public var authorBytes: Int
    /// The longest text, in bytes of UTF-8.
    public var textBytes: Int

    /// Creates limits, both in bytes of UTF-8.
    public init(authorBytes: Int, textBytes: Int) {
        self.authorBytes = authorBytes
        self.textBytes = textBytes
    }

    /// Says in one sentence, fit for the sender, which limit a message breaks.
    ///
    /// - Returns: `nil` when the message keeps both limits. Empty strings do.
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
