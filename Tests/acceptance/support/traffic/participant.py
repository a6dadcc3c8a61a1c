"""What senders and readers have in common."""

import threading
import traceback


class Participant:
    """A thread that does one thing again and again until it is stopped."""

    #: After a failure, before the next try.
    PAUSE = 0.02

    def __init__(self, name: str):
        self.name = name
        #: The sendTime of the latest message sent and accepted, or got.
        self.latest = 0
        self.stopping = threading.Event()
        #: Why the thread has ended before its time: a mistake in the test.
        self.error: str | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        try:
            self.work()
        except Exception:
            self.error = traceback.format_exc()

    def work(self) -> None:
        """Runs until `stopping` is set."""
        raise NotImplementedError

    def interrupt(self) -> None:
        """Ends what the thread waits for, if that could take long."""

    def stop(self, within: float = 30) -> None:
        self.stopping.set()
        self.interrupt()
        self._thread.join(within)
        assert not self._thread.is_alive(), f"{self.name} did not stop in {within:g} s"

    def check(self) -> None:
        """Fails if the thread has failed."""
        assert not self.error, f"{self.name} failed:\n{self.error}"
