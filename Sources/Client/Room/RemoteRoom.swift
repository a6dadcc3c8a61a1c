import Messenger

/// The chat's room as the client reaches it: over the network.
protocol RemoteRoom: Sendable {
    /// Sends a message into the room. Does not block.
    ///
    /// - Parameter completion: Called once, on any thread, which it may not block: with the time when the room accepted the
    ///   message, which is in the room from then on, or with an error. Unless the code of that is
    ///   ``SendError/Code/invalidArgument``, ``SendError/Code/resourceExhausted`` or ``SendError/Code/storageFull``, the room may
    ///   have accepted the message all the same.
    /// - Returns: Gives up, on any thread: the completion is called soon, if it has not been yet.
    func send(
        author: String,
        text: String,
        completion: @escaping @Sendable (Result<SendTime, SendError>) -> Void
    ) -> Cancellation

    /// Opens once the stream of messages has been opened for the first time, and stays open.
    var firstOpening: Gate { get }

    /// How the stream of messages is doing now.
    var subscription: SubscriptionStatus { get }
}

/// Ends something that is under way before its time; without effect when it has ended.
typealias Cancellation = @Sendable () -> Void
