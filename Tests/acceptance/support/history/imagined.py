"""Histories as they could have been: clean ones, for testing the checker."""

import math
import random

from support.history.model import History, Message, Outcome, Reading, Send

_OUTCOMES = [Outcome.ACCEPTED] * 8 + [Outcome.UNKNOWN, Outcome.REFUSED]


def imagine(chance: random.Random, servers: int = 3, messages: int = 60) -> History:
    """A room that keeps every promise: `servers` one after the other, all but the last killed, each with `messages`.

    The readers, by name: `first` from the beginning to the end; `late`, a stream of the second half; `gone`, let go of
    somewhere; `client`, a program in whose start messages fall, and by way of which the sender `client` sends.
    """
    clock = 1_000_000
    room: list[list[Message]] = []
    history = History([], [])
    for server in range(servers):
        room.append([])
        for index in range(messages):
            clock += chance.randrange(1, 1_000)
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
    ]
    return history


def _send(chance: random.Random, text: str, time: int) -> Send:
    author = chance.choice(["Ivan", "Petr", "client"])
    outcome = chance.choice(_OUTCOMES)
    told = time if outcome is Outcome.ACCEPTED else None
    began, ended = time - chance.randrange(2_000), time + chance.randrange(2_000)
    # The messages that fall in the client's start are others'.
    own = "client" if author == "client" and not text.startswith("0-") else None
    return Send(author, text, outcome, told, began, ended, own)


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
    """A reader that has of each killed server a part from the beginning, and of the last one all."""
    reading = Reading(name, not_before, complete_after, through=math.inf if until is None else None)
    for number, accepted in enumerate(room):
        have = [m for m in accepted if (begins or not_before) < m.time <= (math.inf if until is None else until)]
        if have and number < len(history.kills):
            # Never all but a few: tests take messages out and expect that they are missed.
            have = have[: chance.randrange(len(have) // 2, len(have) + 1)]
            reading.gaps_told += 1
        reading.messages += have
    return reading
