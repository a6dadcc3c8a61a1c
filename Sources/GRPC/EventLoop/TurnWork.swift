/// Work that a ``CompletionQueue`` does at the end of a turn, on its thread: so what it sends leaves together with all else
/// that the turn has sent.
protocol TurnWork: AnyObject, Sendable {
    func run()
    /// Called instead, on any thread, when the queue has ended.
    func queueHasEnded()
}

extension TurnWork {
    /// After the end there is nobody to send to.
    func queueHasEnded() {}
}
