import Messenger

/// The chat's room as the client reaches it: over the network.
protocol RemoteRoom: Sendable {
    /// Sends a message into the room.
    ///
    /// - Returns: When the room accepted it. The message is in the room from then on.
    /// - Throws: ``SendError``. Unless its code is ``SendError/Code/invalidArgument``, ``SendError/Code/resourceExhausted`` or
    ///   ``SendError/Code/storageFull``, the room may have accepted the message all the same.
    func send(author: String, text: String) async throws(SendError) -> SendTime

    /// Opens once the stream of messages has been opened for the first time, and stays open.
    var firstOpening: Gate { get }

    /// How the stream of messages is doing now.
    var subscription: SubscriptionStatus { get }
}
