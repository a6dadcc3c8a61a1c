import Messenger

/// Why the storage could not do what it was asked to.
enum StorageError: Error, Equatable {
    /// Some of the requested messages are no longer stored, only those after this time.
    case noLongerHeld(heldAfter: SendTime)
    /// There is no space for the message. It was not stored.
    case full(Reason)
    /// The storage cannot be reached, written or read now. A message may have been stored.
    case unavailable(Reason)
    /// Another message was stored under the message's key.
    case keyIsTaken
    /// The storage has been closed. The message was not stored.
    case closed

    /// What clients are told. An enum without payload keeps the error small: `Room.next(_:)`, which can throw it, runs
    /// for every message of every reader.
    enum Reason: String {
        case diskIsFull = "the history's disk is full; the message was not accepted"
        case memoryIsFull = "the history's memory is full; the message was not accepted"
        case queueIsFull = "the queue of the history is full; the message was not accepted"
        case cannotBeWritten = "the history cannot be written now"
        case fileIsGone = "the history's file was removed or replaced; the server has to be restarted"
        case cannotBeRead = "the history cannot be read now"
        case cannotBeReached = "the history cannot be reached now"

        /// For programs: whether the storage is full, busy or away.
        var kind: String {
            switch self {
            case .diskIsFull, .memoryIsFull: "full"
            case .queueIsFull: "busy"
            case .cannotBeWritten, .fileIsGone, .cannotBeRead, .cannotBeReached: "away"
            }
        }
    }
}
