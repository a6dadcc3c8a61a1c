/// Redis cannot be reached, or says no.
public struct RedisError: Error, CustomStringConvertible {
    /// Redis's words for it, or the system's. Never holds a word of the command: that may be a password or a user's text.
    public let description: String

    /// An error in these words: also for an answer that is not what was asked for.
    public init(description: String) {
        self.description = description
    }

    /// What Redis refuses.
    ///
    /// - Parameter words: Redis's error. Its first word is a code such as `NOPERM`.
    public init(refusal words: String) {
        // "ERR unknown command 'AUTH', with args beginning with: 'user' 'password'"
        let end = words.firstRange(of: ", with args")?.lowerBound ?? words.endIndex
        description = String(words[..<end].prefix(300))
    }

    /// The code of what Redis refuses, or another first word.
    public var code: Substring { description.prefix { $0 != " " } }
}
