import Messenger

/// Why a home did not do what it was asked to.
enum HomeError: Error, Equatable {
    /// Messages that were asked for are not held any more: only those after this time are.
    case noLongerHeld(heldAfter: SendTime)
    /// There is no room for the message, and it is not kept.
    case full(HomeTrouble)
    /// It cannot be reached, written or read now; a message may have been kept all the same.
    case unavailable(HomeTrouble)
    /// It has been closed, and the message is not kept.
    case closed
}

/// What is the matter with a home, as users are told. Without a text of its own, so that errors stay small where they are
/// passed on: a reader asks for each of its messages by a function that may throw.
enum HomeTrouble: String {
    case diskIsFull = "the history's disk is full; the message was not accepted"
    case memoryIsFull = "the history's memory is full; the message was not accepted"
    case tooMuchWaits = "too much waits for the history; the message was not accepted"
    case cannotBeWritten = "the history cannot be written now"
    case fileIsGone = "the history's file was removed or replaced; the server has to be restarted"
    case cannotBeRead = "the history cannot be read now"
    case cannotBeReached = "the history cannot be reached now"

    /// What programs are told: whether it is full, busy or away.
    var kind: String {
        switch self {
        case .diskIsFull, .memoryIsFull: "full"
        case .tooMuchWaits: "busy"
        case .cannotBeWritten, .fileIsGone, .cannotBeRead, .cannotBeReached: "away"
        }
    }
}
