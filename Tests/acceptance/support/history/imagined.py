"""Generated histories that keep every promise, to test the checker with."""

import math
import random
from bisect import bisect_right

from support.history.flushes import in_order
from support.history.loss import DELIVERED_WITHIN
from support.history.model import Flush, Gap, History, Message, Outcome, Reading, Send

_OUTCOMES = [Outcome.ACCEPTED] * 8 + [Outcome.UNKNOWN, Outcome.REFUSED]

#: The longest time between two messages: a server that is killed has promised about half of its messages.
_PAUSE = 60_000_000

#: How many messages a server holds.
HELD = 25


def imagine(chance: random.Random, servers: int = 3, messages: int = 60) -> History:
    """A room with several servers, one after the other. All but the last are killed.

    Its readers by name: `first` reads from beginning to end. `late` reads the second half. `gone` stops somewhere.
    `client` is a program that starts while messages arrive; the sender `client` sends by it, and three flush its
    buffer. `behind` is away until the last server no longer holds its next message.
    """
    clock = 1_000_000
    room: list[list[Message]] = []
    history = History([], [], held=HELD)
    for server in range(servers):
        room.append([])
        for index in range(messages):
            clock += chance.randrange(1_000, _PAUSE)
            send = _send(chance, f"{server}-{index}.", clock)
            history.sends.append(send)
            if send.outcome is Outcome.ACCEPTED or (send.outcome is Outcome.UNKNOWN and chance.random() < 0.7):
                room[server].append(Message(clock, send.author, send.text))
        if server < servers - 1:
            clock += 1_000
            history.kills.append(clock)

    start, middle = room[0][0].time - 1, room[servers // 2][messages // 3].time
    history.readings = [
        _reading(chance, history, room, "first", start, start),
        _reading(chance, history, room, "late", middle, middle),
        _reading(chance, history, room, "gone", start, start, until=room[-1][chance.randrange(5, 20)].time),
        _reading(chance, history, room, "client", start, room[0][8].time, begins=room[0][4].time),
        _reading(chance, history, room, "behind", start, start),
    ]
    client, behind = history.readings[-2:]
    client.flushes = list(_flushes(chance, client.messages))
    client.messages = in_order(client.flushes)
    _overtake(chance, behind, room[-1])
    return history


def _send(chance: random.Random, text: str, time: int) -> Send:
    author = chance.choice(["Ivan", "Petr", "client"])
    outcome = chance.choice(_OUTCOMES)
    accepted_at = time if outcome is Outcome.ACCEPTED else None
    began, ended = time - chance.randrange(2 * _PAUSE), time + chance.randrange(2 * _PAUSE)
    # The messages that fall in the client's start are others'.
    own = "client" if author == "client" and not text.startswith("0-") else None
    return Send(author, text, outcome, accepted_at, began, ended, own)


def _reading(
    chance: random.Random,
    history: History,
    room: list[list[Message]],
    name: str,
    not_before: int,
    complete_after: int,
    begins: int | None = None,
    until: int | None = None,
) -> Reading:
    """A reader that has all it must have of each killed server, and some more, and everything of the last one."""
    reading = Reading(name, not_before, complete_after, through=math.inf if until is None else None)
    for number, accepted in enumerate(room):
        have = [m for m in accepted if (begins or not_before) < m.time <= (math.inf if until is None else until)]
        if have and number < len(history.kills):
            kill = history.kills[number]
            promised = sum(message.time <= kill - DELIVERED_WITHIN for message in have)
            have = have[: chance.randrange(max(promised, 1), len(have) + 1)]
            # The next server has started by then.
            reading.gaps.append(Gap(kill + chance.randrange(500)))
        reading.messages += have
    return reading


def _flushes(chance: random.Random, messages: list[Message]) -> list[Flush]:
    """As if three had flushed the buffer again and again. Their answers overlap, and some are empty."""
    flushes = []
    while messages:
        count = chance.randrange(6)
        taken, messages = messages[:count], messages[count:]
        at = taken[-1].time if taken else 0
        flushes.append(Flush(at - chance.randrange(_PAUSE), at + chance.randrange(_PAUSE), taken))
    chance.shuffle(flushes)
    return flushes


def _overtake(chance: random.Random, reading: Reading, accepted: list[Message]) -> None:
    """Keeps the reader away for as many messages as one server holds, and some more."""
    left = chance.randrange(1, 10)
    back = chance.randrange(left + HELD + 2, len(accepted))
    gap = Gap(accepted[back - HELD].time, reported=accepted[back].time)
    reading.gaps.append(gap)
    lost = accepted[left : back - HELD + 1]
    reading.messages = [message for message in reading.messages if message not in lost]
    assert lost and bisect_right(accepted, gap.reported, key=lambda message: message.time) == back + 1
