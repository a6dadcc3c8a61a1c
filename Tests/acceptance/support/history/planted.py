"""Faults to plant in a clean history. Each returns what the checker must find."""

import math
import random
from collections.abc import Callable
from dataclasses import replace

from support.history.flushes import in_order
from support.history.imagined import HELD
from support.history.loss import DELIVERED_WITHIN
from support.history.model import Flush, Gap, History, Message, Outcome, Reading, Send
from support.history.violation import Kind

Fault = Callable[[History, random.Random], set[Kind]]

FAULTS: list[Fault] = []

_LOST = {Kind.ACKNOWLEDGED_MISSING, Kind.OWN_MISSING}


def _plant(fault: Fault) -> Fault:
    FAULTS.append(fault)
    return fault


def _reading(history: History, name: str) -> Reading:
    return next(reading for reading in history.readings if reading.name == name)


def _give_all(history: History, message: Message) -> None:
    """Gives a message to every reader that read to the end."""
    for reading in history.readings:
        if reading.through is not None:
            reading.messages.append(message)


def _index(
    history: History, chance: random.Random, reading: Reading, outcome: Outcome, epoch: int | None = None
) -> int:
    """A message in the middle of what the reader got of one server, with this outcome for its sender."""
    outcomes = {send.content: send.outcome for send in history.sends}
    candidates = [
        index
        for index, message in enumerate(reading.messages[1:-1], 1)
        if outcomes[message.content] is outcome
        and message.time > reading.complete_after
        and history.epoch(message.time) == history.epoch(reading.messages[index + 1].time)
        and epoch in (None, history.epoch(message.time))
    ]
    return chance.choice(candidates)


def _resend(history: History, content: tuple[str, str], **changes: object) -> None:
    """Changes what a sender knows."""
    [index] = [index for index, send in enumerate(history.sends) if send.content == content]
    history.sends[index] = replace(history.sends[index], **changes)


@_plant
def lost(history: History, chance: random.Random) -> set[Kind]:
    reading = chance.choice(history.readings)
    del reading.messages[_index(history, chance, reading, Outcome.ACCEPTED)]
    return _LOST


@_plant
def lost_at_the_end(history: History, chance: random.Random) -> set[Kind]:
    history.sends.append(Send("Ivan", "the last", Outcome.ACCEPTED, time=10**12))
    for reading in history.readings[:1]:
        reading.messages.append(Message(10**12, "Ivan", "the last"))
    return _LOST


@_plant
def lost_to_all(history: History, chance: random.Random) -> set[Kind]:
    first = _reading(history, "first")
    message = first.messages[_index(history, chance, first, Outcome.ACCEPTED, epoch=len(history.kills))]
    for reading in history.readings:
        reading.messages = [other for other in reading.messages if other != message]
    return _LOST


@_plant
def lost_at_the_seam(history: History, chance: random.Random) -> set[Kind]:
    """The first message of a server that follows a killed one."""
    reading = _reading(history, "first")
    epoch = chance.randrange(1, len(history.kills) + 1)
    message = next(message for message in reading.messages if history.epoch(message.time) == epoch)
    reading.messages.remove(message)
    # Another reader, or the sender, knows of it.
    _resend(history, message.content, outcome=Outcome.ACCEPTED, time=message.time, own=None)
    return {Kind.ACKNOWLEDGED_MISSING}


@_plant
def lost_without_answer(history: History, chance: random.Random) -> set[Kind]:
    """Its sender knows nothing, but another reader has it."""
    reading = _reading(history, "first")
    message = reading.messages[_index(history, chance, reading, Outcome.ACCEPTED, epoch=len(history.kills))]
    _resend(history, message.content, outcome=Outcome.UNKNOWN, time=None)
    reading.messages.remove(message)
    return {Kind.GAP}


@_plant
def own_message_unseen(history: History, chance: random.Random) -> set[Kind]:
    """During the client's start messages of others may be missing, but not its own."""
    client = _reading(history, "client")
    first = _reading(history, "first").messages
    message = next(m for m in first if client.not_before < m.time < client.messages[0].time)
    _resend(history, message.content, outcome=Outcome.ACCEPTED, time=message.time, own="client")
    return {Kind.OWN_MISSING}


@_plant
def silent_gap(history: History, chance: random.Random) -> set[Kind]:
    reading = _reading(history, "first")
    lost = Send("Ivan", "lost with its server", Outcome.ACCEPTED, time=history.kills[0] - 1)
    history.sends.append(lost)
    reading.gaps = []
    return {Kind.SILENT_GAP}


@_plant
def lost_long_before_the_kill(history: History, chance: random.Random) -> set[Kind]:
    """A reader has only the beginning of a killed server's messages, and a gap was reported to it."""
    # Else it might have let go of them.
    history.held = math.inf
    history.readings.remove(_reading(history, "behind"))
    reading = _reading(history, "first")
    epoch = chance.randrange(len(history.kills))
    due = history.kills[epoch] - DELIVERED_WITHIN
    first = chance.choice([m for m in reading.messages if history.epoch(m.time) == epoch and m.time <= due])
    _resend(history, first.content, outcome=Outcome.ACCEPTED, time=first.time, own=None)
    reading.messages = [m for m in reading.messages if history.epoch(m.time) != epoch or m.time < first.time]
    return {Kind.ACKNOWLEDGED_MISSING}


@_plant
def gap_for_nothing(history: History, chance: random.Random) -> set[Kind]:
    """A gap is reported within one server's messages, with nothing missing or with a message that is held."""
    reading = _reading(history, "first")
    index = _index(history, chance, reading, Outcome.ACCEPTED)
    reading.gaps.append(Gap(reading.messages[index].time, reported=reading.messages[index + 1].time))
    if chance.random() < 0.5:
        del reading.messages[index]
    return {Kind.UNFOUNDED_GAP}


@_plant
def gap_told_twice(history: History, chance: random.Random) -> set[Kind]:
    reading = chance.choice(history.readings)
    reading.gaps.append(chance.choice(reading.gaps))
    return {Kind.UNFOUNDED_GAP}


@_plant
def lost_with_a_stopped_server(history: History, chance: random.Random) -> set[Kind]:
    """A stopped server delivers everything before it ends, so a gap may not cover a message."""
    history.stops.append(history.kills.pop(0))
    history.sends.append(Send("Ivan", "lost at the stop", Outcome.ACCEPTED, time=history.stops[0] - 1))
    return {Kind.ACKNOWLEDGED_MISSING}


@_plant
def overtaken_without_a_word(history: History, chance: random.Random) -> set[Kind]:
    _reading(history, "behind").gaps.pop()
    return _LOST | {Kind.GAP}


@_plant
def overtaken_too_soon(history: History, chance: random.Random) -> set[Kind]:
    """As if the server held only a few messages."""
    history.held = 2 * HELD
    return {Kind.UNFOUNDED_GAP}


@_plant
def told_less_than_was_lost(history: History, chance: random.Random) -> set[Kind]:
    """The first message after the gap is missing too."""
    behind = _reading(history, "behind")
    after = next(message for message in behind.messages if message.time > behind.gaps[-1].held_after)
    behind.messages.remove(after)
    _resend(history, after.content, outcome=Outcome.ACCEPTED, time=after.time, own=None)
    return {Kind.ACKNOWLEDGED_MISSING}


def _flushes(history: History) -> list[Flush]:
    """The flushes of the client's buffer that have messages, in order."""
    some = [flush for flush in _reading(history, "client").flushes if flush.messages]
    return sorted(some, key=lambda flush: flush.messages[0].time)


@_plant
def given_to_two_flushes(history: History, chance: random.Random) -> set[Kind]:
    flushes = _flushes(history)
    index = chance.randrange(1, len(flushes))
    flushes[index].messages.insert(0, flushes[index - 1].messages[-1])
    _reading(history, "client").messages = in_order(flushes)
    return {Kind.DUPLICATE}


@_plant
def flushes_interleaved(history: History, chance: random.Random) -> set[Kind]:
    """Two flushes at the same time took messages in turns."""
    flushes = _flushes(history)
    index = chance.choice([i for i, flush in enumerate(flushes[:-1]) if len(flush.messages) > 1])
    one, other = flushes[index].messages, flushes[index + 1].messages
    one[-1], other[0] = other[0], one[-1]
    _reading(history, "client").messages = in_order(flushes)
    return {Kind.REORDERED}


@_plant
def flushed_late(history: History, chance: random.Random) -> set[Kind]:
    """A flush that began later has messages that an earlier one should have returned."""
    client = _reading(history, "client")
    flushes = _flushes(history)
    earlier = chance.choice(flushes[: len(flushes) // 2])
    late = replace(earlier, began=flushes[-1].ended + 1, ended=flushes[-1].ended + 2)
    client.flushes[client.flushes.index(earlier)] = late
    return {Kind.LATE_FLUSH}


@_plant
def duplicated(history: History, chance: random.Random) -> set[Kind]:
    messages = chance.choice(history.readings).messages
    index = chance.randrange(len(messages))
    messages.insert(chance.randrange(index, len(messages)) + 1, messages[index])
    return {Kind.DUPLICATE}


@_plant
def accepted_twice(history: History, chance: random.Random) -> set[Kind]:
    """A send is repeated without the sender's knowledge: every reader has it with two times."""
    first = _reading(history, "first")
    message = first.messages[_index(history, chance, first, Outcome.UNKNOWN)]
    _give_all(history, replace(message, time=10**12))
    return {Kind.DUPLICATE}


@_plant
def reordered(history: History, chance: random.Random) -> set[Kind]:
    messages = chance.choice(history.readings).messages
    index = chance.randrange(len(messages) - 1)
    messages[index : index + 2] = reversed(messages[index : index + 2])
    return {Kind.REORDERED}


@_plant
def replayed_from_before_the_start(history: History, chance: random.Random) -> set[Kind]:
    late = _reading(history, "late")
    early = [message for message in _reading(history, "first").messages if message.time <= late.not_before]
    late.messages.insert(0, chance.choice(early))
    return {Kind.TOO_EARLY}


@_plant
def phantom(history: History, chance: random.Random) -> set[Kind]:
    _give_all(history, Message(10**12, "nobody", "boo"))
    return {Kind.PHANTOM}


@_plant
def refused_but_there(history: History, chance: random.Random) -> set[Kind]:
    refused = chance.choice([send for send in history.sends if send.outcome is Outcome.REFUSED])
    _give_all(history, Message(10**12, refused.author, refused.text))
    return {Kind.REFUSED}


@_plant
def altered_for_one(history: History, chance: random.Random) -> set[Kind]:
    reading = chance.choice(history.readings)
    index = _index(history, chance, reading, Outcome.ACCEPTED)
    reading.messages[index] = replace(reading.messages[index], text=reading.messages[index].text[:-1])
    return {Kind.ALTERED}


@_plant
def altered_without_answer(history: History, chance: random.Random) -> set[Kind]:
    reading = _reading(history, "first")
    index = _index(history, chance, reading, Outcome.UNKNOWN)
    reading.messages[index] = replace(reading.messages[index], text="altered")
    return {Kind.PHANTOM}


@_plant
def told_another_time(history: History, chance: random.Random) -> set[Kind]:
    first = _reading(history, "first")
    message = first.messages[_index(history, chance, first, Outcome.ACCEPTED)]
    _resend(history, message.content, time=message.time + 10**12)
    return {Kind.WRONG_TIME}


@_plant
def equal_times_told(history: History, chance: random.Random) -> set[Kind]:
    one, other = chance.sample([send for send in history.sends if send.time], 2)
    _resend(history, one.content, time=other.time)
    return {Kind.EQUAL_TIMES}


@_plant
def equal_times_got(history: History, chance: random.Random) -> set[Kind]:
    """Two messages have the same time at all readers. Their senders know nothing."""
    for text in "ab":
        history.sends.append(Send("Ivan", text, Outcome.UNKNOWN))
        _give_all(history, Message(10**12, "Ivan", text))
    return {Kind.EQUAL_TIMES}


@_plant
def orders_disagree(history: History, chance: random.Random) -> set[Kind]:
    """Two readers have two messages in different orders, each with increasing times. The senders know nothing."""
    history.sends += [Send("Ivan", text, Outcome.UNKNOWN) for text in "ab"]
    for reading, order in zip(history.readings[:2], ("ab", "ba"), strict=True):
        reading.messages += [Message(10**12 + index, "Ivan", text) for index, text in enumerate(order)]
    return {Kind.DISAGREEMENT}


@_plant
def answered_before_but_later(history: History, chance: random.Random) -> set[Kind]:
    """A message was answered before another one was sent, and has the later time."""
    accepted = [send for send in history.sends if send.time is not None]
    before, after = accepted[chance.randrange(20)], accepted[-1 - chance.randrange(20)]
    _resend(history, before.content, began=after.began, ended=after.ended)
    _resend(history, after.content, began=before.began, ended=before.ended)
    return {Kind.STALE}
