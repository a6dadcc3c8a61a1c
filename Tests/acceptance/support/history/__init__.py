"""What happened in a room, and the proof that it was right.

A `History` holds what senders were told and what every reader got. `violations` says what in it breaks a promise:

- **One order.** Each reader's times increase strictly, no two messages have the same time, and a message has the same
  time and content wherever it is seen. A message accepted before another was begun has the earlier time.
- **No gap, no duplicate.** A reader gets each message after its start once, up to its last one; if it was followed to
  the end, up to the end. The messages that must be there are those that any sender was told of or any reader got.
- **Acknowledged means delivered**, to every reader that was followed so far; also the sender's own to its own reader.
- **Nothing out of nothing.** A message was sent as it is seen; a refused one is never seen, and one whose sender was
  told nothing (an error, a timeout) at most once.

What may be missing, and nothing else. A server keeps its history in memory, so one that is killed forgets it. The
history of a test lists the times of these kills; they divide the messages into epochs. Of an epoch that ended so, a
reader may miss the last messages, from some message on, and must have been told of it: each hole that this leaves in
what it got takes one told gap. Of an epoch that follows, it must have the messages from the first one on.
"""

from support.history.check import violations
from support.history.model import History, Message, Outcome, Reading, Send
from support.history.violation import Kind, Violation

__all__ = ["History", "Kind", "Message", "Outcome", "Reading", "Send", "Violation", "assert_clean", "violations"]


def assert_clean(history: History) -> None:
    """Fails with what is wrong with the history, and how much it proved otherwise."""
    found = violations(history)
    lines = "\n".join(f"  {violation}" for violation in found[:20])
    assert not found, f"{len(found)} violations in {history.summary()}:\n{lines}"
