"""The curl session of the assignment."""

import json
import re

import pytest

from support.room import SEND_TIME, nanoseconds
from support.tools import curl
from support.waiting import wait_until

pytestmark = pytest.mark.history


def test_the_curl_session_of_the_assignment(room):
    """The assignment's own requests get answers of exactly its form, including key order and digits."""
    first = curl("-X", "POST", f"{room.client1.address}/sendMessage", "-d", '{"author": "Ivan", "text": "hey"}')
    second = curl("-X", "POST", f"{room.client1.address}/sendMessage", "-d", '{"author": "Ivan", "text": "hey guys"}')
    for answer in first, second:
        assert re.fullmatch(rf'\{{"sendTime":"{SEND_TIME.pattern}","error":null\}}\n?', answer)

    buffered = curl("-X", "POST", f"{room.client1.address}/getAndFlushMessages").rstrip("\n")
    time1, time2 = json.loads(first)["sendTime"], json.loads(second)["sendTime"]
    assert buffered == (
        f'[{{"author":"Ivan","text":"hey","sendTime":"{time1}"}},'
        f'{{"author":"Ivan","text":"hey guys","sendTime":"{time2}"}}]'
    )
    assert nanoseconds(time1) < nanoseconds(time2)


def test_a_flushed_buffer_is_an_empty_list(room):
    """A second flush returns an empty list."""
    assert curl("-X", "POST", f"{room.client1.address}/getAndFlushMessages").rstrip("\n") == "[]"


def test_the_other_client_reads_the_message(room):
    """A message sent by one client is in the other client's buffer, byte for byte."""
    curl("-X", "POST", f"{room.client1.address}/sendMessage", "-d", '{"author": "Петя", "text": "привет"}')
    answers = [wait_until(lambda: flush(client), "the message") for client in (room.client1, room.client2)]
    assert answers[0] == answers[1]
    assert json.loads(answers[0])[0]["text"] == "привет"


def flush(client) -> str | None:
    """What curl gets from the buffer once it is not empty."""
    answer = curl("-X", "POST", f"{client.address}/getAndFlushMessages").rstrip("\n")
    return None if answer == "[]" else answer
