"""Looks for messages that a reader lacks without reason, and for gaps that were reported without reason."""

import math
from bisect import bisect_left
from collections.abc import Iterator

from support.history.loss import Losses, positions
from support.history.model import Gap, History, Message, Outcome, Reading, Send
from support.history.violation import Kind, Violation


def missing(history: History, sends: dict[tuple[str, str], Send]) -> Iterator[Violation]:
    """All missing messages that may not be lost or were not announced, and false alarms."""
    known = _known(history, sends)
    losses = Losses(history, known)
    for reading in history.readings:
        times = sorted(message.time for message in reading.messages)
        for message in _due(reading, times, known, sends):
            gap = _gap(reading, times, message)
            if not losses.excuse(message, gap or _untold(times, message)):
                yield Violation(_kind(reading, sends[message.content]), reading.name, f"{message}")
            elif not gap:
                yield Violation(Kind.SILENT_GAP, reading.name, f"{message}")
        for gap, position in positions(reading):
            if not losses.account_for(gap, position):
                yield Violation(Kind.UNFOUNDED_GAP, reading.name, f"{gap}, when it had all up to {position}")


def _known(history: History, sends: dict[tuple[str, str], Send]) -> list[Message]:
    """All messages that were certainly in the room, by time: from senders' answers and from readers."""
    messages = {
        Message(send.time, send.author, send.text) for send in sends.values() if send.outcome is Outcome.ACCEPTED
    }
    for reading in history.readings:
        messages.update(message for message in reading.messages if message.content in sends)
    return sorted(messages, key=lambda message: message.time)


def _due(
    reading: Reading, times: list[int], known: list[Message], sends: dict[tuple[str, str], Send]
) -> Iterator[Message]:
    """The messages that the reader should have and lacks."""
    have = set(times)
    begun = min(times[0], reading.complete_after) if times else reading.complete_after
    for message in known:
        if message.time in have or not reading.not_before < message.time <= reading.covered:
            continue
        if message.time > begun or sends[message.content].own == reading.name:
            yield message


def _gap(reading: Reading, times: list[int], message: Message) -> Gap | None:
    """The gap that announced the loss of this message: the one before the reader's next message."""
    end = _untold(times, message).end
    covering = [gap for gap in reading.gaps if message.time <= gap.end <= end]
    return min(covering, key=lambda gap: gap.end, default=None)


def _untold(times: list[int], message: Message) -> Gap:
    """The widest gap that could have announced the loss, and did not."""
    next_ = bisect_left(times, message.time)
    return Gap(times[next_] - 1 if next_ < len(times) else math.inf, reported=-math.inf)


def _kind(reading: Reading, send: Send) -> Kind:
    if send.outcome is not Outcome.ACCEPTED:
        return Kind.GAP
    return Kind.OWN_MISSING if send.own == reading.name else Kind.ACKNOWLEDGED_MISSING
