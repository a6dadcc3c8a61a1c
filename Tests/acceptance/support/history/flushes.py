"""Several readers flush one buffer: together they have what one would have."""

from collections.abc import Iterable, Iterator

from support.history.model import Flush, Message, Reading
from support.history.violation import Kind, Violation


def in_order(flushes: Iterable[Flush]) -> list[Message]:
    """What they got, in the order in which it was flushed.

    If that is unknown, in the order of the flushes' beginnings.

    A flush returns everything in the buffer, so flushes never interleave. If they do, the result is not in order.
    """
    some = (flush for flush in flushes if flush.messages)
    return [message for flush in sorted(some, key=lambda flush: flush.messages[0].time) for message in flush.messages]


def late(reading: Reading) -> Iterator[Violation]:
    """Flushes that began after another had ended, but have earlier messages."""
    latest_began: Flush | None = None
    for flush in sorted((f for f in reading.flushes if f.messages), key=lambda flush: flush.messages[0].time):
        if latest_began and flush.ended < latest_began.began:
            detail = f"{latest_began.messages[0]} was flushed after {flush.messages[0]}"
            yield Violation(Kind.LATE_FLUSH, reading.name, detail)
        if not latest_began or flush.began > latest_began.began:
            latest_began = flush
