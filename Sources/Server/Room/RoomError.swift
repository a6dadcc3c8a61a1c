import Messenger

/// Why the room does not give a reader what it asks for.
enum RoomError: Error, Equatable {
    /// Messages that the reader has not had are not held any more, or never were: only those after this time are.
    case noLongerHeld(heldAfter: SendTime)
    /// The reader claims to have had messages that nobody can have sent.
    case inTheFuture
    /// The room accepts no more readers.
    case closed
}
