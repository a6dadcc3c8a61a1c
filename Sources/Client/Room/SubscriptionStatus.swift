/// How the stream of messages from the room is doing.
struct SubscriptionStatus: Sendable, Equatable {
    /// The state of the stream.
    enum Stream: String, Sendable {
        /// It is being opened for the first time.
        case connecting
        /// Messages arrive as the room accepts them.
        case open
        /// It is open, and waits: the buffer is full.
        case paused
        /// It broke and is being opened again from where it stopped.
        case reconnecting
        /// It has ended for good, because the program is stopping.
        case closed

        /// Whether the server is there.
        var isConnected: Bool { self == .open || self == .paused }
    }

    /// The state of the stream.
    var stream: Stream
    /// How many times messages were missed because the server did not hold them any longer.
    var gaps: Int
}
