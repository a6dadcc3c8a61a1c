/// Redis cannot be reached, or says no.
public struct RedisError: Error, CustomStringConvertible {
    /// Redis's words for it, or the system's.
    public let description: String

    /// An error in these words: also for an answer that is not what was asked for.
    public init(description: String) {
        self.description = description
    }
}
