"""Files of tokens."""

import hashlib
import secrets
from pathlib import Path


class Tokens:
    """A file of tokens. Programs read it at their start and at SIGHUP."""

    def __init__(self, path: Path):
        self.path = path
        self._lines: dict[str, str] = {}
        self._write()

    def add(self, name: str, rights: str = "read,send", rate: str = "") -> str:
        """Adds a new token and returns it."""
        token = secrets.token_urlsafe(24)
        self.put(token, name, rights, rate)
        return token

    def put(self, token: str, name: str, rights: str = "read,send", rate: str = "") -> None:
        """Adds a token, or changes what it may do."""
        digest = hashlib.sha256(token.encode()).hexdigest()
        self._lines[token] = f"{name} {digest} {rights} {rate}\n"
        self._write()

    def remove(self, token: str) -> None:
        del self._lines[token]
        self._write()

    def _write(self) -> None:
        self.path.write_text("# NAME SHA256 RIGHTS RATE\n" + "".join(self._lines.values()))


def bearer(token: str) -> list[tuple[str, str]]:
    """The metadata of a call with this token."""
    return [("authorization", f"Bearer {token}")]


def http_bearer(token: str) -> dict[str, str]:
    """The header field of a request with this token."""
    return {"Authorization": f"Bearer {token}"}
