/// Why a message could not be sent.
struct SendError: Error, Sendable, Equatable {
    /// What kind of failure it was.
    struct Code: Sendable, Hashable {
        private enum Wrapped: Hashable {
            case unavailable, deadlineExceeded, invalidArgument, resourceExhausted, storageFull, failed
        }

        private let wrapped: Wrapped

        /// The server cannot be reached.
        static let unavailable = Code(wrapped: .unavailable)
        /// The server did not answer in time.
        static let deadlineExceeded = Code(wrapped: .deadlineExceeded)
        /// The server does not take such a message.
        static let invalidArgument = Code(wrapped: .invalidArgument)
        /// The server has too much to do.
        static let resourceExhausted = Code(wrapped: .resourceExhausted)
        /// The server has no room for the message.
        static let storageFull = Code(wrapped: .storageFull)
        /// The server answered with another error.
        static let failed = Code(wrapped: .failed)
    }

    /// The kind of failure.
    var code: Code
    /// One short sentence for the sender, without internals.
    var message: String
}
