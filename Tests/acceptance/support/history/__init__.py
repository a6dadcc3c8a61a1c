"""What happened in a room, and the proof that it was right.

A `History` holds what senders were told and what every reader got. `violations` says what in it breaks a promise:

- **One order.** Each reader's times increase strictly, no two messages have the same time, and a message has the same
  time and content wherever it is seen. A message accepted before another was begun has the earlier time.
- **No gap, no duplicate.** A reader gets each message after its start once, up to its last one; if it was followed to
  the end, up to the end. The messages that must be there are those that any sender was told of or any reader got.
- **Acknowledged means delivered**, to every reader that was followed so far; also the sender's own to its own reader.
- **Nothing out of nothing.** A message was sent as it is seen; a refused one is never seen, and one whose sender was
  told nothing (an error, a timeout) at most once.

What may be missing, and nothing else (`loss`). A server keeps its history in memory, and of that the newest messages
only. So a reader may miss

- the last messages of a server that was killed, from some message on, if they were accepted less than a second before
  the kill: older ones must have left it. That is the promise to readers whose streams are open, and all of a test are
  while it kills.
- messages that its server has let go of: if so many later ones were accepted as it holds.
- where a full history lets go of what it holds before the reader can ask for it, what the reader skips to be ahead.

It must have been told of a gap that reaches over all of these and over nothing that it got. And a gap may be told for
one of two reasons only: a new server that holds nothing from before its start, or messages that were let go of. The
times at which servers were killed or stopped divide the messages into epochs, one for each server.

Several may empty one buffer (`flushes`): together they have what one would have had, each flush a run of it.
"""

from support.history.check import violations
from support.history.flushes import in_order
from support.history.model import Flush, Gap, History, Message, Outcome, Reading, Send
from support.history.violation import Kind, Violation

__all__ = [
    "Flush",
    "Gap",
    "History",
    "Kind",
    "Message",
    "Outcome",
    "Reading",
    "Send",
    "Violation",
    "assert_clean",
    "in_order",
    "violations",
]


def assert_clean(history: History) -> None:
    """Fails with what is wrong with the history, and how much it proved otherwise."""
    found = violations(history)
    lines = "\n".join(f"  {violation}" for violation in found[:20])
    assert not found, f"{len(found)} violations in {history.summary()}:\n{lines}"
