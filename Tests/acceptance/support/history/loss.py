"""What a history in memory may lose: the oldest messages, and the last ones of a killed server."""

from bisect import bisect_left, bisect_right

from support.history.model import Gap, History, Message, Outcome, Reading

#: A server writes a message to its open streams in the turn in which it accepts it, and that is all that it promises of
#: one that is killed: what it had accepted longer ago must have left it. Deliveries take 15 ms where both of two cores
#: are full; the rest of the second is for machines that do other things as well. In nanoseconds.
DELIVERED_WITHIN = 10**9


class Losses:
    """What may be missing from one history."""

    def __init__(self, history: History, known: list[Message]):
        """`known` are the messages that certainly were in the room, by time."""
        self._history = history
        self._kills = set(history.kills)
        self._ends = history.ends
        self._times = [message.time for message in known]
        # They may have been in the room, anywhere, and have pushed others out.
        contents = {message.content for message in known}
        self._uncertain = sum(s.outcome is Outcome.UNKNOWN and s.content not in contents for s in history.sends)

    def excuse(self, message: Message, gap: Gap) -> bool:
        """Whether the message may be missing for a reader to which this gap was reported, which covers it."""
        return (
            message.time > gap.held_after or self.is_pushed_out(message.time, gap.reported) or self._died(message.time, gap)
        )

    def is_pushed_out(self, time: int, by: float) -> bool:
        """Whether the server had dropped its message of this time before `by`, as it had enough later ones."""
        epoch = self._history.epoch(time)
        end = self._ends[epoch] if epoch < len(self._ends) else by
        later = bisect_right(self._times, min(end, by)) - bisect_left(self._times, time)
        return later + self._uncertain > self._history.held

    def _died(self, time: int, gap: Gap) -> bool:
        """Whether the server was killed before it had to deliver the message, and the gap is that kill's."""
        epoch = self._history.epoch(time)
        if epoch == len(self._ends):
            return False
        end = self._ends[epoch]
        return end in self._kills and time > end - DELIVERED_WITHIN and gap.held_after >= end

    def account_for(self, gap: Gap, position: int) -> bool:
        """Whether a reader that has everything up to `position` may get a report of the gap.

        A server that holds nothing from before its start cannot know whether there was something.
        """
        began_later = bisect_right(self._ends, position) < bisect_right(self._ends, gap.held_after)
        return position < gap.held_after and (began_later or self.is_pushed_out(gap.held_after, gap.reported))


def positions(reading: Reading) -> list[tuple[Gap, int]]:
    """The gaps that were reported to the reader, and up to which time it had everything at each."""
    times = sorted(message.time for message in reading.messages)
    result = []
    position = reading.not_before
    for gap in sorted(reading.gaps, key=lambda gap: gap.end):
        before = bisect_right(times, gap.held_after)
        position = max([position, *times[max(0, before - 1) : before]])
        result.append((gap, position))
        position = max(position, gap.end)
    return result
