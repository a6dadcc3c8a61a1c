"""Host names that only some programs know, and name servers that never answer."""

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from support.needs import skip_or_fail

#: Where the name server is whose silence programs hear: a loopback address of this worker of pytest's alone.
SILENT = f"127.0.77.{int(os.environ.get('PYTEST_XDIST_WORKER', 'gw0').removeprefix('gw')) % 250 + 1}"


class SilentNameServer:
    """A program's view of /etc/hosts, and a name server that never answers. Requires root."""

    def __init__(self, **addresses: str):
        self._folder = Path(tempfile.mkdtemp(prefix="messenger-names-"))
        self._hosts, resolver = self._folder / "hosts", self._folder / "resolv.conf"
        self.know(**addresses)
        resolver.write_text(f"nameserver {SILENT}\n")
        mounts = f"mount --bind {self._hosts} /etc/hosts && mount --bind {resolver} /etc/resolv.conf"
        #: The command that becomes a program which sees this.
        self.command = ["unshare", "--mount", "sh", "-c", f'{mounts} && exec "$@"', "sh"]
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.bind((SILENT, 53))
            subprocess.run([*self.command, "true"], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            self.close()
            skip_or_fail("names for one program take root")

    def know(self, **addresses: str) -> None:
        """Replaces all names."""
        # In place: what is mounted is this file, not its name.
        self._hosts.write_text("".join(f"{address} {name}\n" for name, address in addresses.items()))

    def forget(self) -> None:
        """Removes all names."""
        self.know()

    def was_asked(self) -> bool:
        """Whether a program has asked for a name."""
        self._socket.setblocking(False)
        try:
            return bool(self._socket.recv(512))
        except BlockingIOError:
            return False

    def close(self) -> None:
        self._socket.close()
        shutil.rmtree(self._folder)
