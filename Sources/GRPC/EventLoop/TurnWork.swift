/// Work that a ``CompletionQueue`` does at the end of a turn, on its thread: so what it sends leaves together with all else
/// that the turn has sent.
protocol TurnWork: AnyObject, Sendable {
    func run()
    /// How many messages it will send, where they may be many. Asked on the queue's thread.
    var sendCount: Int { get }
    /// Called instead, on any thread, when the queue has ended.
    func queueHasEnded()
}

extension TurnWork {
    var sendCount: Int { 0 }

    /// After the end there is nobody to send to.
    func queueHasEnded() {}
}
