/// How often a turn polls for events before it goes on with what they have brought.
///
/// A poll handles what one of the process's connections has received, and often that is no event for this queue: a client's
/// acknowledgement, say. The first poll that gives nothing ends the taking, unless much is about to be sent: then it is worth
/// to look further, as what has come in the meantime leaves along with it, at next to no cost.
struct PollBudget {
    private var polls = 0
    private var misses = 0

    /// So that jobs are not starved by a storm of events.
    private static let pollsPerTurn = 256
    /// A poll that finds nothing takes about as long as one send.
    private static let sendsPerMiss = 16
    /// Fewer are sent so soon that to wait for more would only keep their readers idle.
    private static let manySends = 128

    /// Whether to poll again, now that there was an event.
    mutating func mayPollAfterEvent() -> Bool {
        polls += 1
        return polls < Self.pollsPerTurn
    }

    /// Whether to poll again, now that there was none.
    /// - Parameter sends: What is to be sent in this turn, in messages.
    mutating func mayPollAfterNothing(before sends: Int) -> Bool {
        polls += 1
        misses += 1
        return sends >= Self.manySends && sends >= misses * Self.sendsPerMiss && polls < Self.pollsPerTurn
    }
}
