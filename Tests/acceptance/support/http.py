"""A client of messenger-client's HTTP API."""

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Response:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class HTTPConnection:
    """One kept-alive connection."""

    def __init__(self, address: str):
        self._connection = http.client.HTTPConnection(address, timeout=60)

    def request(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Response:
        """A request. `body` may be bytes, text, an iterable of bytes (sent in chunks) or a JSON value."""
        if isinstance(body, dict | list):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode()
        self._connection.request(method, path, body, headers or {})
        response = self._connection.getresponse()
        return Response(response.status, response.headers, response.read())

    def send(self, author: str, text: str) -> str:
        """Sends a message to the room and returns its sendTime."""
        response = self.request("POST", "/sendMessage", {"author": author, "text": text})
        assert response.status == 200, response
        answer = response.json()
        assert list(answer) == ["sendTime", "error"] and answer["error"] is None, answer
        return answer["sendTime"]

    def flush(self) -> list[dict[str, str]]:
        """Flushes the client's buffer."""
        response = self.request("POST", "/getAndFlushMessages")
        assert response.status == 200, response
        return response.json()

    def close(self) -> None:
        self._connection.close()


class HTTPClient:
    """The address of a messenger-client. Each request has its own connection, unless `connection` gives one to keep."""

    def __init__(self, address: str):
        self.address = address

    @contextmanager
    def connection(self) -> Iterator[HTTPConnection]:
        connection = HTTPConnection(self.address)
        try:
            yield connection
        finally:
            connection.close()

    def request(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Response:
        with self.connection() as connection:
            return connection.request(method, path, body, headers)

    def send(self, author: str, text: str) -> str:
        with self.connection() as connection:
            return connection.send(author, text)

    def flush(self) -> list[dict[str, str]]:
        with self.connection() as connection:
            return connection.flush()
