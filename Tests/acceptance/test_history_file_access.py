"""Owners and modes of a history file and of the files beside it."""

import os
import shutil
import stat
import tempfile
from pathlib import Path

import pytest

from support.history_file import names, send, serve, start
from support.needs import skip_or_fail
from support.processes import one_line
from support.waiting import wait_until

UNAVAILABLE = 69
COMPANIONS = ("-wal", "-shm", "-journal")


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "history.db"


@pytest.mark.parametrize("umask", ["0", "077", "0777"])
def test_files_are_private_to_their_owner(launch, path, umask):
    """Mode 0600, whatever the umask is."""
    shell = ("sh", "-c", f'umask {umask} && exec "$@"', "sh")
    send(serve(launch, path, runner=shell), "one")
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert "history.db-wal" in modes
    assert set(modes.values()) == {0o600}, modes


@pytest.mark.parametrize("suffix", COMPANIONS)
@pytest.mark.parametrize("kind", ["owner", "folder", "FIFO", "link"])
def test_a_log_of_another_user_or_kind(launch, path, suffix, kind):
    """The start is refused, instead of each later message."""
    companion = Path(f"{path}{suffix}")
    if kind == "owner":
        if os.geteuid() != 0:
            skip_or_fail("giving a file to somebody else takes root")
        companion.touch(mode=0o600)
        os.chown(companion, 12345, 12345)
    elif kind == "folder":
        companion.mkdir()
    elif kind == "FIFO":
        os.mkfifo(companion)
    else:
        companion.symlink_to(path.parent / "elsewhere")
    before = names(path.parent)
    assert str(companion) in one_line(start(launch, path), UNAVAILABLE)
    assert names(path.parent) == before


@pytest.fixture
def stranger():
    """A folder of a user without rights, and a command that becomes that user."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        skip_or_fail("becoming another user takes root and setpriv")
    with tempfile.TemporaryDirectory(prefix="messenger-stranger-") as folder:
        os.chown(folder, 65532, 65532)
        yield Path(folder), ("setpriv", "--reuid=65532", "--regid=65532", "--clear-groups")


def test_files_that_root_has_left_behind(launch, stranger):
    """Logs from root's shell, and a file or folder without write permission: each stops the start."""
    folder, runner = stranger
    path = folder / "history.db"
    server = serve(launch, path, runner=runner)
    send(server, "one")
    server.stop()
    for name, mode in (("history.db-wal", 0o644), ("history.db-shm", 0o600)):
        file = folder / name
        file.touch(mode=mode)
        line = one_line(start(launch, path, runner=runner), UNAVAILABLE)
        assert name in line and "user 0" in line, line
        file.unlink()
    for file, mode in ((path, 0o400), (folder, 0o500)):
        before = file.stat().st_mode
        file.chmod(mode)
        assert "Permission denied" in one_line(start(launch, path, runner=runner), UNAVAILABLE)
        file.chmod(before)
    serve(launch, path, runner=runner)


def test_a_refused_start_leaves_no_file(launch, path):
    """The port is in use. The next start can open the history, and there is no lock file."""
    other = serve(launch, path.parent / "other.db")
    before = names(path.parent)
    program = launch.program("messenger-server", MESSENGER_HISTORY=f"sqlite:{path}", MESSENGER_SERVER_PORT=other.port)
    one_line(program, UNAVAILABLE)
    assert names(path.parent) - before <= {"history.db"}
    wait_until(lambda: serve(launch, path).running, "the history can be opened")
