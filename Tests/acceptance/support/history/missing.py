"""Looks for messages that a reader should have got, and has not."""

from bisect import bisect_left
from collections.abc import Iterator

from support.history.model import History, Message, Outcome, Reading, Send
from support.history.violation import Kind, Violation


def missing(history: History, sends: dict[tuple[str, str], Send]) -> Iterator[Violation]:
    """What is missing at any reader beyond what the kills excuse, and what they excuse where nobody told the reader."""
    known = _known(history, sends)
    for reading in history.readings:
        holes: set[int] = set()
        times = sorted(message.time for message in reading.messages)
        for message in _due(reading, times, known, sends):
            hole = bisect_left(times, message.time)
            if _is_excused(message, times[hole:], history):
                holes.add(hole)
            else:
                yield Violation(_kind(reading, sends[message.content]), reading.name, f"{message}")
        if len(holes) > reading.gaps_told:
            detail = f"{len(holes)} holes where messages are missing, {reading.gaps_told} gaps told"
            yield Violation(Kind.SILENT_GAP, reading.name, detail)


def _known(history: History, sends: dict[tuple[str, str], Send]) -> list[Message]:
    """All that certainly was in the room: what senders were told and what readers got, by time."""
    messages = {
        Message(send.time, send.author, send.text) for send in sends.values() if send.outcome is Outcome.ACCEPTED
    }
    for reading in history.readings:
        messages.update(message for message in reading.messages if message.content in sends)
    return sorted(messages, key=lambda message: message.time)


def _due(
    reading: Reading, times: list[int], known: list[Message], sends: dict[tuple[str, str], Send]
) -> Iterator[Message]:
    """The messages that the reader should have, and has not."""
    have = set(times)
    begun = min(times[0], reading.complete_after) if times else reading.complete_after
    for message in known:
        if message.time in have or not reading.not_before < message.time <= reading.covered:
            continue
        if message.time > begun or sends[message.content].own == reading.name:
            yield message


def _is_excused(message: Message, later: list[int], history: History) -> bool:
    """Whether it was lost with a killed server: the reader has nothing later of that server."""
    epoch = history.epoch(message.time)
    return epoch < len(history.kills) and not (later and history.epoch(later[0]) == epoch)


def _kind(reading: Reading, send: Send) -> Kind:
    if send.outcome is not Outcome.ACCEPTED:
        return Kind.GAP
    return Kind.OWN_MISSING if send.own == reading.name else Kind.ACKNOWLEDGED_MISSING
