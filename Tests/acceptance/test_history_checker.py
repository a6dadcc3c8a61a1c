"""The checker of histories accepts those that keep the promises, and finds each planted fault."""

import random

import pytest

from support.history import Gap, History, Message, Outcome, Reading, Send, assert_clean, violations
from support.history.imagined import imagine
from support.history.loss import DELIVERED_WITHIN
from support.history.planted import FAULTS

pytestmark = pytest.mark.repository


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(60))
def test_clean_histories_pass(seed):
    """With killed servers, readers that come late or leave, and senders without an answer."""
    assert_clean(imagine(random.Random(seed)))


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_planted_faults_are_found(fault):
    """The checker names the fault in each of 40 histories."""
    for seed in range(40):
        chance = random.Random(seed)
        history = imagine(chance)
        expected = fault(history, chance)
        found = {violation.kind for violation in violations(history)}
        assert found & expected, f"{fault.__name__} (seed {seed}): {found or 'nothing'} instead of {expected}"


def test_an_empty_history_passes():
    assert_clean(History([], []))


def sends(count: int) -> list[Send]:
    return [Send("Ivan", str(number), Outcome.ACCEPTED, time=number) for number in range(1, count + 1)]


def messages(*numbers: int) -> list[Message]:
    return [Message(number, "Ivan", str(number)) for number in numbers]


def reader(got: list[int], *gaps: Gap) -> Reading:
    return Reading("reader", 0, 0, messages(*got), through=9, gaps=list(gaps))


@pytest.mark.parametrize(
    ("got", "reported", "clean"),
    [
        ([1, 2, 3, 4, 6, 7], [5], True),
        ([1, 2, 3, 4, 6, 7], [], True),
        ([1, 2, 6, 7], [5], True),
        ([6, 7], [5], True),
        ([1, 2, 6, 7], [], False),
        ([1, 2, 6, 7], [4], False),
        ([1, 2, 6, 7], [6], False),
        ([1, 2, 6, 7], [3, 5], False),
        ([1, 3, 6, 7], [5], False),
        ([2, 3, 4, 6, 7], [5], False),
        ([1, 2, 3, 4, 7], [5], False),
        ([1, 2, 3, 4, 7], [6], False),
        ([1, 2, 3, 4, 6], [5], False),
    ],
)
def test_what_a_kill_excuses(got, reported, clean):
    """Messages 1 to 4 are of one server, 6 and 7 of the next.

    The last ones of the first may be missing, if a gap is announced.
    """
    sent = [send for send in sends(7) if send.time != 5]
    history = History(sent, [reader(got, *map(Gap, reported))], kills=[5])
    assert (violations(history) == []) == clean


@pytest.mark.parametrize(("age", "clean"), [(DELIVERED_WITHIN - 1, True), (DELIVERED_WITHIN, False)])
def test_how_old_a_message_may_be_that_a_kill_takes(age, clean):
    """A message that was accepted earlier than that has left the server."""
    kill = 2 * DELIVERED_WITHIN
    lost = Send("Ivan", "lost", Outcome.ACCEPTED, time=kill - age)
    history = History([lost], [Reading("reader", 0, 0, through=kill, gaps=[Gap(kill)])], kills=[kill])
    assert (violations(history) == []) == clean


def test_a_server_that_the_reader_never_found():
    """Two kills in a row leave one gap, which is announced once or once for each."""
    for gaps in [Gap(5)], [Gap(3), Gap(5)]:
        sent = [send for send in sends(7) if send.time not in (3, 5)]
        assert_clean(History(sent, [reader([1, 6, 7], *gaps)], kills=[3, 5]))


@pytest.mark.parametrize(
    ("got", "gap", "clean"),
    [
        ([1, 2, 6, 7, 8], Gap(5, reported=8), True),
        ([1, 2, 6, 7, 8], Gap(5, reported=7), False),
        ([1, 2, 7, 8], Gap(6, reported=9), False),
        ([1, 2, 7, 8], Gap(5, reported=8), False),
        ([1, 2, 4, 6, 7, 8], Gap(5, reported=8), False),
        ([1, 2, 3, 4, 5, 6, 7, 8], Gap(5, reported=8), False),
        ([1, 2, 7, 8], Gap(5, reported=8, went_on_after=6), True),
        ([1, 2, 8], Gap(5, reported=8, went_on_after=6), False),
        ([1, 2, 7, 8], Gap(6, reported=8, went_on_after=6), False),
    ],
)
def test_what_a_full_history_excuses(got, gap, clean):
    """A server holds three messages. Older ones may be missing."""
    history = History(sends(8), [reader(got, gap)], held=3)
    assert (violations(history) == []) == clean


@pytest.mark.parametrize(
    ("got", "own", "clean"), [([3, 4], None, True), ([2, 3, 4], None, True), ([4], None, False), ([3, 4], "c", False)]
)
def test_a_reader_that_starts_between_two_times(got, own, clean):
    """It begins somewhere after 1 and not after 2, and misses nothing from there on, nor its own messages."""
    sent = [Send(send.author, send.text, send.outcome, send.time, own=own) for send in sends(4)[1:2]]
    history = History(sends(4)[:1] + sent + sends(4)[2:], [Reading("c", 1, 2, messages(*got), through=4)])
    assert (violations(history) == []) == clean


@pytest.mark.parametrize(("answered", "clean"), [(25, True), (15, False)])
def test_a_program_that_starts_while_a_message_waits_to_be_stored(answered, clean):
    """It may have a message with a time from before its start, unless that was acknowledged before, too."""
    waiting = Send("Ivan", "waiting", Outcome.ACCEPTED, time=1, began=10, ended=answered)
    other = Send("Ivan", "other", Outcome.ACCEPTED, time=2, began=20, ended=30)
    got = [Message(send.time, send.author, send.text) for send in (waiting, other)]
    history = History([waiting, other], [Reading("c", 2, 4, got, through=4)])
    assert (violations(history) == []) == clean


def test_equal_messages_are_a_mistake_of_the_test():
    with pytest.raises(ValueError):
        violations(History(sends(1) * 2, []))
