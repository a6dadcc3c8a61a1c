"""A reader of server-sent events, with the rules of the standard for what it reads."""

import json
import socket
from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    type: str
    id: str
    data: str

    def json(self) -> dict:
        return json.loads(self.data)


class EventReader:
    """One request to /events. Its connection begins at once; the answer's head is read by `open` or the first event."""

    def __init__(
        self,
        port: int,
        query: str = "",
        last_event_id: str | None = None,
        receive_buffer: int | None = None,
        token: str | None = None,
    ):
        self._connection = socket.socket()
        if receive_buffer:
            self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._connection.settimeout(30)
        self._connection.connect(("127.0.0.1", port))
        header = f"Last-Event-ID: {last_event_id}\r\n" if last_event_id is not None else ""
        if token:
            header += f"Authorization: Bearer {token}\r\n"
        request = f"GET /events{query} HTTP/1.1\r\nHost: localhost\r\n{header}\r\n"
        self._connection.sendall(request.encode())
        self._file = self._connection.makefile("rb")
        self._buffer = b""
        self.status = 0
        self.headers: dict[str, str] = {}
        #: What a browser would resume from.
        self.last_id = last_event_id or ""
        #: The type of the current event.
        self.type = "message"
        self._ended = True
        self.comments = 0
        self.retry: int | None = None

    def open(self) -> "EventReader":
        """Waits for the answer's head, which must be that of a stream of events."""
        if not self.status:
            self.status = int(self._file.readline().split()[1])
            while (line := self._file.readline().strip()) != b"":
                name, _, value = line.decode().partition(": ")
                self.headers[name] = value
            assert self.status == 200, (self.status, self.headers)
        return self

    def fileno(self) -> int:
        return self._connection.fileno()

    def event(self) -> Event | None:
        """The next event with data; `None` when the answer is complete. Raises if the connection breaks before."""
        data = []
        while (line := self.line()) is not None:
            if line.startswith("data: "):
                data.append(line.removeprefix("data: "))
            elif not line and data:
                return Event(self.type, self.last_id, "\n".join(data))
        return None

    def events(self, count: int) -> list[Event]:
        return [event for _ in range(count) if (event := self.event())]

    def messages(self, count: int) -> list[dict]:
        """The next messages. Each one's ID is its time."""
        messages = []
        for event in self.events(count):
            message = event.json()
            assert event.type == "message", event
            assert list(message) == ["author", "text", "sendTime"] and message["sendTime"] == event.id, event
            messages.append(message)
        return messages

    def line(self) -> str | None:
        """The next line that is no comment; `None` at the answer's end."""
        self.open()
        while (line := self._line()) is not None and line.startswith(":"):
            self.comments += 1
        if line is not None:
            if self._ended:
                self.type = "message"
            self._ended = line == ""
            field, _, value = line.partition(": ")
            assert field in ("id", "event", "data", "retry", ""), line
            if field == "id":
                self.last_id = value
            elif field == "event":
                self.type = value
            elif field == "retry":
                self.retry = int(value)
        return line

    def _line(self) -> str | None:
        while b"\n" not in self._buffer:
            size = self._file.readline()
            if not size:
                raise ConnectionError("the connection ended within the answer")
            chunk = self._file.read(int(size, 16) + 2)[:-2]
            if not chunk:
                return None
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode()

    def close(self) -> None:
        self._file.close()
        self._connection.close()

    def __enter__(self) -> "EventReader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
