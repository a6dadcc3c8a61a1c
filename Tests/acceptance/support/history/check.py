"""Looks for broken promises in a history. The package's docstring lists the promises."""

import math
from collections.abc import Iterator

from support.history.flushes import late
from support.history.missing import missing
from support.history.model import History, Message, Outcome, Reading, Send
from support.history.violation import Kind, Violation


def violations(history: History) -> list[Violation]:
    """All that is wrong with the history; empty if it keeps every promise."""
    sends = {send.content: send for send in history.sends}
    if len(sends) != len(history.sends):
        raise ValueError("two sends with the same author and text: nobody could tell them apart")
    if any((send.outcome is Outcome.ACCEPTED) != (send.time is not None) for send in history.sends):
        raise ValueError("a message has a time if it was accepted, and only then")
    return [
        *_among_senders(history.sends),
        *(found for reading in history.readings for found in _within(reading, sends)),
        *_among_readers(history, sends),
        *missing(history, sends),
        *(found for reading in history.readings for found in late(reading)),
    ]


def _among_senders(sends: list[Send]) -> Iterator[Violation]:
    """The times in senders' answers differ, and lie between a send's beginning and end."""
    latest_began: Send | None = None
    earlier: Send | None = None
    for send in sorted((send for send in sends if send.time is not None), key=lambda send: send.time):
        if earlier and earlier.time == send.time:
            yield Violation(Kind.EQUAL_TIMES, None, f"{earlier} and {send}")
        if latest_began and send.ended < latest_began.began:
            yield Violation(Kind.STALE, None, f"{send} after {latest_began}")
        if not latest_began or send.began > latest_began.began:
            latest_began = send
        earlier = send


def _within(reading: Reading, sends: dict[tuple[str, str], Send]) -> Iterator[Violation]:
    """What one reader shows by itself, and in comparison with what was sent."""
    by_time = {send.time: send for send in sends.values() if send.time is not None}
    seen: set[tuple[str, str]] = set()
    latest: Message | None = None
    for message in reading.messages:
        detail = f"{message}" if latest is None else f"{message}, after {latest}"
        if message.content in seen:
            yield Violation(Kind.DUPLICATE, reading.name, detail)
        elif latest and message.time == latest.time:
            yield Violation(Kind.EQUAL_TIMES, reading.name, detail)
        elif latest and message.time < latest.time:
            yield Violation(Kind.REORDERED, reading.name, detail)
        if message.time <= reading.not_before and _is_too_early(message, reading, sends):
            yield Violation(Kind.TOO_EARLY, reading.name, f"{message}, begun after {reading.not_before}")
        if kind := _origin(message, sends.get(message.content), by_time.get(message.time)):
            yield Violation(kind, reading.name, detail)
        seen.add(message.content)
        latest = message


def _is_too_early(message: Message, reading: Reading, sends: dict[tuple[str, str], Send]) -> bool:
    """Whether a reader may not have this message, whose time is not after the reader's `not_before`.

    A message that waits to be stored has its time already, and is accepted later. So a program that starts meanwhile may
    have it. It may not have what was acknowledged before: before others were sent that are from before its start too.
    """
    sent = sends.get(message.content)
    if reading.not_before == reading.complete_after or sent is None:
        return True
    before = (send.began for send in sends.values() if send.time is not None and send.time <= reading.not_before)
    return sent.ended < max(before, default=-math.inf)


def _origin(message: Message, sent: Send | None, at_its_time: Send | None) -> Kind | None:
    """What is wrong with the origin of a message."""
    if sent is None:
        return Kind.ALTERED if at_its_time else Kind.PHANTOM
    if sent.outcome is Outcome.REFUSED:
        return Kind.REFUSED
    return Kind.WRONG_TIME if sent.time not in (None, message.time) else None


def _among_readers(history: History, sends: dict[tuple[str, str], Send]) -> Iterator[Violation]:
    """A time means the same message for everybody, and a message has one time.

    Since each reader's times increase, that makes one order.
    """
    by_time: dict[int, Message] = {}
    by_content: dict[tuple[str, str], Message] = {}
    for reading in history.readings:
        for message in reading.messages:
            for other in by_time.setdefault(message.time, message), by_content.setdefault(message.content, message):
                if other != message:
                    yield Violation(Kind.DISAGREEMENT, reading.name, f"{message}, elsewhere {other}")
