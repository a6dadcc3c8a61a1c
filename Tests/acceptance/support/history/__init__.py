"""What happened in a room, and the proof that it was right.

A `History` has the answers of senders and the messages of readers. `violations` lists what breaks a promise:

- **One order.** Each reader's times strictly increase. No two messages have the same time, and a message has the same
  time and content for all readers. A message that was accepted before another one was sent has the earlier time.
- **No gap, no duplicate.** A reader gets each message after its start once, up to its last one. If it read to the end,
  up to the end. The messages that must be there are those that a sender knows to be accepted or that any reader got.
- **Acknowledged means delivered**, to every reader that has read that far, and the sender's own to its own reader.
- **Nothing out of nothing.** A message is as it was sent. No reader gets a refused message, or one with an unknown
  outcome (an error, a timeout) more than once.

Only these messages may be missing (`loss`), because a server in memory holds only the newest messages:

- the last messages of a killed server that were accepted less than a second before the kill. Older ones must have
  left the server: that is the promise to open streams, and all of a test's streams are open when it kills.
- messages that the server dropped because it had accepted as many later ones as it holds.
- what a reader skips to get ahead of a full history that drops messages before the reader can ask for them.

A gap must have been reported to the reader that covers all missing messages and none that it has. A gap may be reported for
two reasons: a new server that holds nothing from before its start, or dropped messages. The times of kills and stops
divide the messages into epochs, one for each server.

Several readers may flush one buffer (`flushes`). Together they have what one would have, each flush a run of it.
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
