import Messenger

/// Why a home did not do what it was asked to.
enum HomeError: Error, Equatable {
    /// Messages that were asked for are not held any more: only those after this time are.
    case noLongerHeld(heldAfter: SendTime)
    /// There is no room for the message, and it is not kept. One sentence says where not.
    case full(String)
    /// It cannot be reached, written or read now; a message may have been kept all the same. One sentence says why.
    case unavailable(String)
    /// It has been closed, and the message is not kept.
    case closed
}
