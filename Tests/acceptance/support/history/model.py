"""A history: senders' answers and readers' messages. Times are sendTimes, in nanoseconds since 1970."""

import enum
import math
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Message:
    """A message as a reader received it."""

    time: int
    author: str
    text: str

    @property
    def content(self) -> tuple[str, str]:
        return self.author, self.text


class Outcome(enum.Enum):
    """What a sender knows of its message."""

    ACCEPTED = "accepted"
    #: It is not in the room, says the server.
    REFUSED = "refused"
    #: An error or no answer: it may be in the room.
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Send:
    """A message as its sender knows it. No two in a history have the same author and text."""

    author: str
    text: str
    outcome: Outcome
    #: The sendTime in the answer, if the message was accepted.
    time: int | None = None
    #: When the sender began and was answered, by a clock that all senders of the history share.
    began: float = -math.inf
    ended: float = math.inf
    #: The name of the reading in which the sender sees its own messages.
    own: str | None = None

    @property
    def content(self) -> tuple[str, str]:
        return self.author, self.text


@dataclass(frozen=True, slots=True)
class Gap:
    """A reported loss: only messages after a time are held."""

    held_after: int
    #: When it was reported, at the latest.
    reported: float = math.inf
    #: Where the reader went on, if that is later: what was held was let go of before it was asked for, again and again.
    went_on_after: int = 0

    @property
    def end(self) -> int:
        return max(self.held_after, self.went_on_after)


@dataclass(frozen=True, slots=True)
class Flush:
    """What one flush of a buffer returned. Several may run at the same time."""

    #: By a clock that all who empty the buffer share.
    began: float
    ended: float
    messages: list[Message]


@dataclass(slots=True)
class Reading:
    """Everything that one reader received, over all its reconnections."""

    name: str
    #: It gets nothing up to this time, ...
    not_before: int
    #: ... and all after this one; in between, all from some message on. A stream that says where it begins has both
    #: the same; of a program that begins at its start the test knows only the time before and the time after.
    complete_after: int
    messages: list[Message] = field(default_factory=list)
    #: It was read until it had every message up to this time. None: it was let go of at some time.
    through: float | None = None
    #: The losses that were reported to it.
    gaps: list[Gap] = field(default_factory=list)
    #: Where the messages are what several took out of one buffer: how they did.
    flushes: list[Flush] = field(default_factory=list)

    @property
    def covered(self) -> float:
        """Messages up to this time must be there."""
        last = self.messages[-1].time if self.messages else -math.inf
        return last if self.through is None else max(last, self.through)


@dataclass(slots=True)
class History:
    sends: list[Send]
    readings: list[Reading]
    #: Times between the last message of a server that was killed and the first of the next, increasing.
    kills: list[int] = field(default_factory=list)
    #: The same of servers that were stopped, and so gave everybody everything before they ended.
    stops: list[int] = field(default_factory=list)
    #: How many messages a server holds; it drops the oldest.
    held: float = math.inf

    def epoch(self, time: int) -> int:
        """The number of the server that accepted the message of this time."""
        return bisect_right(self.ends, time)

    @property
    def ends(self) -> list[int]:
        return sorted(self.kills + self.stops)

    def summary(self) -> str:
        counts = Counter(send.outcome.value for send in self.sends)
        outcomes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
        seen = ", ".join(f"{reading.name} {len(reading.messages)}" for reading in self.readings[:6])
        if len(self.readings) > 6:
            seen += f" and {len(self.readings) - 6} more"
        gaps = sum(len(reading.gaps) for reading in self.readings)
        return (
            f"{len(self.sends)} messages sent ({outcomes or 'none'}), {len(self.kills)} kills, {gaps} gaps reported; "
            f"got: {seen or 'nobody'}"
        )
