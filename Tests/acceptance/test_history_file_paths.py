"""A history file has one server, whatever name it is opened by. Paths that are no files are refused."""

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from support.history_file import names, read, send, serve, start
from support.needs import skip_or_fail
from support.processes import one_line

USAGE, BAD_DATA, UNAVAILABLE, BAD_CONFIGURATION = 64, 65, 69, 78
COMPANIONS = ("-wal", "-shm", "-journal")


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "history.db"


def other_names(path: Path) -> dict[str, str]:
    """Other paths of the same file."""
    link, twice, folder = path.parent / "link.db", path.parent / "twice.db", path.parent / "folder"
    link.symlink_to(path)
    twice.symlink_to("link.db")
    folder.symlink_to(path.parent)
    return {
        "symlink": str(link),
        "symlink to a symlink": str(twice),
        "through a linked folder": str(folder / path.name),
        "with ..": f"{path.parent}/../{path.parent.name}/./{path.name}",
        "relative": os.path.relpath(path),
        "removed lock file": str(path),
    }


def test_another_name_is_the_same_history(launch, path):
    """A second server is refused by any name of the file, and leaves nothing behind."""
    server = serve(launch, path)
    others = other_names(path)
    for lock in path.parent.glob("*.lock*"):
        lock.unlink()
    before = names(path.parent)
    programs = {what: start(launch, other) for what, other in others.items()}
    for what, program in programs.items():
        assert "in use" in one_line(program, UNAVAILABLE), what
    assert names(path.parent) == before
    send(server, "still one server")


def test_a_hard_link_is_refused(launch, path):
    """Each name would have its own write-ahead log. The start is refused by either name, also after a kill."""
    server = serve(launch, path)
    times = send(server, "one")
    other = path.parent / "other.db"
    os.link(path, other)
    before = names(path.parent)
    assert "hard links" in one_line(start(launch, other), UNAVAILABLE)
    server.kill()
    for name in (path, other):
        assert "hard links" in one_line(start(launch, name), UNAVAILABLE)
    assert names(path.parent) == before
    other.unlink()
    assert read(serve(launch, path, port=server.port), times[0] - 1, 1) == ["one"]


def test_a_link_is_followed_once(launch, path, tmp_path):
    """The log is beside the file that the link points to, also if the start creates that file."""
    link = tmp_path / "links" / "history.db"
    link.parent.mkdir()
    link.symlink_to(path)
    server = serve(launch, link)
    times = send(server, "one")
    assert names(link.parent) == {"history.db"}
    server.kill()
    assert read(serve(launch, path, port=server.port), times[0] - 1, 1) == ["one"]


def test_a_planted_lock_file_is_not_followed(launch, path):
    """A link at the place of a lock file does not make the server write to another file."""
    victim = path.parent / "victim"
    for suffix in (".lock", "-lock"):
        Path(f"{path}{suffix}").symlink_to(victim)
    send(serve(launch, path), "one")
    assert not victim.exists()


URIS = [
    ":memory:",
    ":temp:",
    "file:room?mode=memory",
    "file:history.db",
    "file:///tmp/history.db",
    "FILE:history.db",
    "//localhost/history.db",
    "///history.db",
    "http://localhost/history.db",
    "history.db?mode=memory&cache=shared",
    "./history.db?vfs=unix",
]


def test_uris_are_refused(launch, tmp_path):
    """One line asks for a plain path, and no file is left."""
    runner = ("sh", "-c", f'cd "{tmp_path}" && exec "$@"', "sh")
    programs = {uri: start(launch, uri, runner=runner) for uri in URIS}
    for uri, program in programs.items():
        line = one_line(program, BAD_CONFIGURATION)
        assert "plain path" in line and "memory:" in line, uri
        assert "localhost" not in line, "what may hold a password"
    assert names(tmp_path) == set()


ODD_NAMES = ["a?b.db", "a#b.db", "a%41b.db", "a b.db", "a\nb.db", "näive 🙂.db", "-", "x" * 240, "a:b.db"]


def test_odd_file_names(launch, tmp_path):
    """A name that is no URI is used as it is."""
    for name in ODD_NAMES:
        folder = tmp_path / str(ODD_NAMES.index(name))
        folder.mkdir()
        server = serve(launch, folder / name)
        send(server, "one")
        assert name in names(folder)
        launch.forget(server)


def make_socket(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)


def hard_linked(path: str) -> None:
    Path(path).write_bytes(b"")
    os.link(path, path + ".other")


NO_FILES = {
    "folder": (os.mkdir, "folder"),
    "FIFO": (os.mkfifo, "regular file"),
    "socket": (make_socket, "regular file"),
    "link to a device": (lambda path: os.symlink("/dev/full", path), "/dev"),
    "link to itself": (lambda path: os.symlink(path, path), "links"),
    "hard-linked": (hard_linked, "hard links"),
}


@pytest.mark.parametrize("make, words", NO_FILES.values(), ids=NO_FILES)
def test_a_path_that_is_no_regular_file_is_refused(launch, path, make, words):
    """One line, and nothing is left behind."""
    make(str(path))
    before = names(path.parent)
    line = one_line(start(launch, path), UNAVAILABLE)
    assert words in line, line
    assert names(path.parent) == before


PATHS = {
    "/dev/null": "regular file",
    "/dev/full": "regular file",
    "/": "folder",
    "/tmp/": "folder",
    "..": "../history.db",
    "nowhere/history.db": "nowhere",
    "/proc/self/history.db": "",
    "x" * 300: "",
    "x" * 250: "too long",
    "x/" * 3000: "",
}


def test_impossible_paths_are_refused(launch, tmp_path):
    """One line for each, and no file beside it, such as `/dev/null.lock`."""
    runner = ("sh", "-c", f'cd "{tmp_path}" && exec "$@"', "sh")
    programs = {path: start(launch, path, runner=runner) for path in PATHS}
    for path, program in programs.items():
        line = one_line(program, UNAVAILABLE)
        assert PATHS[path] in line, (path, line)
    assert names(tmp_path) == set()
    assert not list(Path("/dev").glob("null[.-]*")) + list(Path("/dev").glob("full[.-]*"))


def test_a_path_that_is_not_utf_8(launch, tmp_path):
    """It would name another file."""
    folder = os.fsencode(tmp_path) + b"/\xff"
    os.mkdir(folder)
    runner = ("sh", "-c", 'export MESSENGER_HISTORY="sqlite:$(printf "%s/\\377/x.db" "$0")"; exec "$@"', str(tmp_path))
    program = launch.program("messenger-server", runner=runner, MESSENGER_SERVER_PORT=0)
    assert "UTF-8" in one_line(program, BAD_CONFIGURATION)
    assert os.listdir(folder) == []
    link = tmp_path / "link.db"
    os.symlink(folder + b"/x.db", link)
    assert "UTF-8" in one_line(start(launch, link), UNAVAILABLE)


def test_a_file_that_is_mounted_alone(launch, tmp_path):
    """A container with one bind-mounted file would keep the log outside the mount.

    The start says to mount the folder.
    """
    outside, inside = tmp_path / "outside.db", tmp_path / "inside" / "history.db"
    outside.touch()
    inside.parent.mkdir()
    inside.touch()
    mount = ["mount", "--bind", str(outside), str(inside)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        skip_or_fail("mounting a file takes root")
    try:
        line = one_line(start(launch, inside), UNAVAILABLE)
        assert "Mount the folder" in line
        assert names(inside.parent) == {"history.db"}
    finally:
        subprocess.run(["umount", str(inside)], check=True)
