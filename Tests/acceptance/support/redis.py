"""Redis as a process of the tests."""

import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

from support.needs import skip_or_fail
from support.waiting import wait_until


class Redis:
    """A redis-server on its own port. Its data survives a kill as far as `appendfsync` says."""

    def __init__(self, port: int, *options: str, host: str = "127.0.0.1"):
        if not shutil.which("redis-server"):
            skip_or_fail("there is no redis-server here")
        self.port = port
        self._host = host
        self._options = options
        self.folder = Path(tempfile.mkdtemp(prefix="messenger-redis-"))
        self.start()

    def start(self) -> None:
        self._run()
        wait_until(lambda: self.ask("PING") == "+PONG", f"Redis answers on {self.port}")

    def start_loading(self, *options: str) -> None:
        """Starts Redis with data that takes a while to load, and returns while it loads."""
        self._run(*options)
        wait_until(lambda: self.ask("PING").startswith("-LOADING"), f"Redis loads on {self.port}")

    def _run(self, *options: str) -> None:
        command = ["redis-server", "--port", str(self.port), "--bind", self._host, "--dir", str(self.folder)]
        command += ["--save", "", "--daemonize", "no", *(self._options or ("--appendonly", "yes")), *options]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def location(self, key: str = "room", host: str = "127.0.0.1") -> str:
        """The setting for a server."""
        return f"redis://{host}:{self.port}/{key}"

    def ask(self, *words: str) -> str:
        """Sends a command, and returns the first line of the answer. Empty if there is none."""
        request = f"*{len(words)}\r\n" + "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in words)
        try:
            with socket.create_connection((self._host, self.port), timeout=5) as connection:
                connection.sendall(request.encode())
                return connection.makefile("rb").readline().decode().rstrip("\r\n")
        except OSError:
            return ""

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def unread(self) -> int:
        """The number of bytes in the sockets of a frozen Redis."""
        address, total = f"0100007F:{self.port:04X}", 0
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[1] == address and fields[3] == "01":
                total += int(fields[4].partition(":")[2], 16)
        return total

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def forget(self) -> None:
        """Between `kill` and `start`: deletes all data."""
        shutil.rmtree(self.folder)
        self.folder.mkdir()

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
