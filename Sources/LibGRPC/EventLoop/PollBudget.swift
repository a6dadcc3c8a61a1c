/// How often a turn polls for events before it handles what they have brought.
///
/// A poll handles what one connection of the process has received. Often that is no event for this queue, but a
/// client's acknowledgement for example. So an empty poll ends the polling, unless the turn is about to send much: then
/// it polls on, because what arrives meanwhile leaves in the same turn. When polling finds nothing, the next turn polls
/// less.
struct PollBudget {
    // This turn's.
    private var polls = 0
    private var misses = 0
    private var hasFound = false

    /// One empty poll is allowed for this many sends.
    private var sendsPerMiss = Self.fewestSendsPerMiss

    private static let pollsPerTurn = 256
    /// An empty poll takes about as long as one send.
    private static let fewestSendsPerMiss = 16
    /// Fewer sends take so little time that polling on would only delay them.
    private static let mostSendsPerMiss = 128

    /// Whether to poll again after an event. Bounded, so that a storm of events does not starve the jobs.
    mutating func mayPollAfterEvent() -> Bool {
        polls += 1
        hasFound = hasFound || misses > 0
        return polls < Self.pollsPerTurn
    }

    /// Whether to poll again after an empty poll.
    /// - Parameter sends: How many messages this turn is about to send.
    mutating func mayPollAfterNothing(before sends: Int) -> Bool {
        polls += 1
        misses += 1
        guard sends >= Self.mostSendsPerMiss, polls < Self.pollsPerTurn else { return false }
        return misses <= sends / sendsPerMiss
    }

    /// Begins the next turn.
    mutating func turnEnded() {
        if hasFound {
            sendsPerMiss = Self.fewestSendsPerMiss
        } else if misses > 1 {
            sendsPerMiss = min(sendsPerMiss * 2, Self.mostSendsPerMiss)
        }
        (polls, misses, hasFound) = (0, 0, false)
    }
}
