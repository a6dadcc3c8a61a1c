import Messenger

/// Why the room does not give a reader what it asks for.
enum RoomError: Error, Equatable {
    /// Messages that the reader has not had are not held any more, or never were: only those after this time are.
    case noLongerHeld(heldAfter: SendTime)
    /// The reader claims to have had messages that nobody can have sent.
    case inTheFuture
    /// Memory does not hold the reader's next message any more, but the room's storage does.
    case onlyInStorage
    /// There is no room for the message in the room's storage, and it is not kept.
    case full(StorageError.Reason)
    /// The room's storage does not answer now.
    case unavailable(StorageError.Reason)
    /// The room accepts no more readers.
    case closed
}
