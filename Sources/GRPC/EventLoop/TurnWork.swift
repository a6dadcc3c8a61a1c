/// Work that a ``CompletionQueue`` does at the end of a turn, on its thread: so what it sends leaves together with all else
/// that the turn has sent.
protocol TurnWork: AnyObject, Sendable {
    func run()
}
