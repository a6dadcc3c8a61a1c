/// How often a turn polls for events before it goes on with what they have brought.
///
/// A poll handles what one of the process's connections has received, and often that is no event for this queue: a client's
/// acknowledgement, say. The first poll that gives nothing ends the taking, unless much is about to be sent: then it is worth
/// to look further, as what has come in the meantime leaves along with it. Where nothing ever comes, less is looked.
struct PollBudget {
    // This turn's.
    private var polls = 0
    private var misses = 0
    private var hasFound = false

    /// A poll in vain for so many sends.
    private var sendsPerMiss = Self.fewestSendsPerMiss

    private static let pollsPerTurn = 256
    /// A poll in vain takes about as long as one send.
    private static let fewestSendsPerMiss = 16
    private static let mostSendsPerMiss = 128
    /// Fewer are sent so soon that to wait for more would only keep their readers idle.
    private static let manySends = 128

    /// Whether to poll again, now that there was an event. So that jobs are not starved by a storm of them, not without end.
    mutating func mayPollAfterEvent() -> Bool {
        polls += 1
        hasFound = hasFound || misses > 0
        return polls < Self.pollsPerTurn
    }

    /// Whether to poll again, now that there was none.
    /// - Parameter sends: What is to be sent in this turn, in messages.
    mutating func mayPollAfterNothing(before sends: Int) -> Bool {
        polls += 1
        misses += 1
        guard sends >= Self.manySends, polls < Self.pollsPerTurn else { return false }
        return misses <= max(1, sends / sendsPerMiss)
    }

    /// The next turn's polls are counted from now on.
    mutating func turnEnded() {
        if hasFound {
            sendsPerMiss = Self.fewestSendsPerMiss
        } else if misses > 1 {
            sendsPerMiss = min(sendsPerMiss * 2, Self.mostSendsPerMiss)
        }
        (polls, misses, hasFound) = (0, 0, false)
    }
}
