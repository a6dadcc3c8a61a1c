"""A disk that can be full."""

import shutil
import subprocess
import tempfile
from pathlib import Path

from support.needs import skip_or_fail


class SmallDisk:
    """A small file system in memory, with few kilobytes and inodes. Mounting it requires root."""

    def __init__(self, kilobytes: int, files: int = 1000):
        self.path = Path(tempfile.mkdtemp(prefix="messenger-disk-"))
        mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k,nr_inodes={files}", "tmpfs", str(self.path)]
        if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
            self.path.rmdir()
            skip_or_fail("mounting a small disk takes root")

    def fill(self) -> None:
        """Uses all free space."""
        with open(self.path / "ballast", "wb", buffering=0) as ballast:
            try:
                while ballast.write(bytes(4096)):
                    pass
            except OSError:
                pass

    def make_room(self) -> None:
        (self.path / "ballast").unlink()

    def close(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.path)], check=True)
        self.path.rmdir()
