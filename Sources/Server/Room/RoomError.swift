import Messenger

/// Why the room does not give a reader what it asks for.
struct RoomError: Error, Equatable {
    enum Code {
        /// Messages that the reader has not had are not held any more, or never were.
        case noLongerHeld
        /// The reader claims to have had messages that nobody can have sent.
        case inTheFuture
        /// The room accepts no more readers.
        case closed
        /// The reader's task was cancelled.
        case cancelled
    }

    var code: Code
    /// For ``Code/noLongerHeld``: messages after this time are held.
    var heldAfter: SendTime?

    init(_ code: Code, heldAfter: SendTime? = nil) {
        self.code = code
        self.heldAfter = heldAfter
    }
}
