import Messenger

/// Why the room does not give a reader what it asks for.
enum RoomError: Error, Equatable {
    /// Messages that the reader has not had are not held any more, or never were: only those after this time are.
    case noLongerHeld(heldAfter: SendTime)
    /// The reader claims to have had messages that nobody can have sent.
    case inTheFuture
    /// Memory does not hold the reader's next message any more, but the room's home does.
    case isInHome
    /// There is no room for the message in the room's home, and it is not kept.
    case full(HomeTrouble)
    /// The room's home does not answer now.
    case unavailable(HomeTrouble)
    /// The room accepts no more readers.
    case closed
}
