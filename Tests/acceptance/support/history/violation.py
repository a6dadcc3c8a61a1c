"""What can be wrong with a history."""

import enum
from dataclasses import dataclass


class Kind(enum.Enum):
    DUPLICATE = "got twice"
    REORDERED = "out of order"
    EQUAL_TIMES = "two messages with the same time"
    TOO_EARLY = "from before the reader's start"
    PHANTOM = "never sent"
    REFUSED = "received, though the sender's answer was a refusal"
    ALTERED = "not as it was sent"
    WRONG_TIME = "not the time in the sender's answer"
    DISAGREEMENT = "readers disagree"
    STALE = "has a later time than a message that was begun after its end"
    GAP = "missing, though another reader has it"
    ACKNOWLEDGED_MISSING = "acknowledged, but missing"
    OWN_MISSING = "a sender's own message missing"
    SILENT_GAP = "lost with a killed server, but not reported to the reader"
    UNFOUNDED_GAP = "a loss was reported, but everything that came next was held"
    LATE_FLUSH = "given to a flush after one that had ended with later messages"


@dataclass(frozen=True, slots=True)
class Violation:
    kind: Kind
    #: The reading in which it shows, if it is one's.
    reading: str | None
    detail: str

    def __str__(self) -> str:
        return f"{self.kind.name} ({self.kind.value}){f' at {self.reading}' if self.reading else ''}: {self.detail}"
