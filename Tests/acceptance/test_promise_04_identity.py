"""Promise 4: one history has one server, whatever the file is called, and the next start finds what was kept."""

import os
import shutil
import socket
import sqlite3
import stat
import subprocess
import tempfile
from pathlib import Path

import pytest

from support.durable import GONE, names, read, refused, send, serve, start
from support.needs import lacks
from support.processes import one_line
from support.waiting import wait_until

USAGE, BAD_DATA, UNAVAILABLE, BAD_CONFIGURATION = 64, 65, 69, 78
COMPANIONS = ("-wal", "-shm", "-journal")


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "history.db"


def other_names(path: Path) -> dict[str, str]:
    """Further paths of the file."""
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
    """A second server is refused by whatever name it is given the file, and leaves nothing behind."""
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
    """Each name would have a write-ahead log of its own: the start says so, for either name, also after a kill."""
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
    """Started through a link, the history is beside the file that the link leads to, also if that is made by the start."""
    link = tmp_path / "links" / "history.db"
    link.parent.mkdir()
    link.symlink_to(path)
    server = serve(launch, link)
    times = send(server, "one")
    assert names(link.parent) == {"history.db"}
    server.kill()
    assert read(serve(launch, path, port=server.port), times[0] - 1, 1) == ["one"]


def remove(suffix: str):
    return lambda path: os.unlink(f"{path}{suffix}")


def replace(suffix: str):
    def act(path: Path) -> None:
        copy = f"{path}.copy"
        shutil.copy(f"{path}{suffix}", copy)
        os.rename(copy, f"{path}{suffix}")

    return act


TAKEN_AWAY = {
    "file removed": remove(""),
    "log removed": remove("-wal"),
    "shared memory removed": remove("-shm"),
    "file replaced": replace(""),
    "log replaced": replace("-wal"),
    "file moved": lambda path: path.rename(path.parent / "moved.db"),
    "folder moved": lambda path: path.parent.rename(path.parent.with_name("moved")),
    "folder removed": lambda path: shutil.rmtree(path.parent),
}


@pytest.mark.parametrize("take_away", TAKEN_AWAY.values(), ids=TAKEN_AWAY)
def test_files_that_go_under_a_running_server(launch, tmp_path, take_away):
    """From then on sends are refused, with one line in the log; the server stops well."""
    path = tmp_path / "room" / "history.db"
    path.parent.mkdir()
    server = serve(launch, path)
    send(server, "kept")
    take_away(path)
    for _ in range(5):
        assert GONE in refused(server).details()
    server.stop(within=9)
    assert server.log().count(GONE) == 1, server.log()


def test_what_was_acknowledged_before_its_log_was_removed(launch, path):
    """It is in the file after the stop."""
    server = serve(launch, path)
    times = send(server, *map(str, range(20)))
    os.unlink(f"{path}-wal")
    refused(server)
    server.stop(within=9)
    server = serve(launch, path, port=server.port)
    assert read(server, times[0] - 1, 20) == [str(index) for index in range(20)]


def test_a_stop_leaves_anothers_files_alone(launch, path):
    """A server whose files were moved away stops: the files of the next server, at the same path, stay as they are."""
    first = serve(launch, path)
    send(first, "old")
    away = path.parent / "away"
    away.mkdir()
    for file in path.parent.glob("history.db*"):
        file.rename(away / file.name)
    second = serve(launch, path)
    times = send(second, "new")
    first.stop(within=9)
    times += send(second, "newer")
    second.kill()
    assert read(serve(launch, path, port=second.port), times[0] - 1, 2) == ["new", "newer"]


@pytest.mark.parametrize("umask", ["0", "077", "0777"])
def test_files_are_for_their_owner_alone(launch, path, umask):
    """0600, whatever the umask is."""
    shell = ("sh", "-c", f'umask {umask} && exec "$@"', "sh")
    send(serve(launch, path, runner=shell), "one")
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert "history.db-wal" in modes
    assert set(modes.values()) == {0o600}, modes


def test_a_planted_lock_file_is_not_followed(launch, path):
    """A link where a lock file might be leads nobody to write to somebody else's file."""
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
    """One line says that a path is wanted, and no file is left."""
    runner = ("sh", "-c", f'cd "{tmp_path}" && exec "$@"', "sh")
    programs = {uri: start(launch, uri, runner=runner) for uri in URIS}
    for uri, program in programs.items():
        line = one_line(program, BAD_CONFIGURATION)
        assert "plain path" in line and "memory:" in line, uri
        assert "localhost" not in line, "what may hold a password"
    assert names(tmp_path) == set()


ODD_NAMES = ["a?b.db", "a#b.db", "a%41b.db", "a b.db", "a\nb.db", "näive 🙂.db", "-", "x" * 240, "a:b.db"]


def test_odd_names_are_names(launch, tmp_path):
    """What is no URI names the file that it says."""
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
def test_what_is_no_file_is_refused(launch, path, make, words):
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


def test_paths_that_are_none(launch, tmp_path):
    """One line for each, and no file beside it: not `/dev/null.lock` either."""
    runner = ("sh", "-c", f'cd "{tmp_path}" && exec "$@"', "sh")
    programs = {path: start(launch, path, runner=runner) for path in PATHS}
    for path, program in programs.items():
        line = one_line(program, UNAVAILABLE)
        assert PATHS[path] in line, (path, line)
    assert names(tmp_path) == set()
    assert not list(Path("/dev").glob("null[.-]*")) + list(Path("/dev").glob("full[.-]*"))


def test_a_path_that_is_not_utf_8(launch, tmp_path):
    """It would be another file's name."""
    folder = os.fsencode(tmp_path) + b"/\xff"
    os.mkdir(folder)
    runner = ("sh", "-c", 'export MESSENGER_HISTORY="sqlite:$(printf "%s/\\377/x.db" "$0")"; exec "$@"', str(tmp_path))
    program = launch.program("messenger-server", runner=runner, MESSENGER_SERVER_PORT=0)
    assert "UTF-8" in one_line(program, BAD_CONFIGURATION)
    assert os.listdir(folder) == []
    link = tmp_path / "link.db"
    os.symlink(folder + b"/x.db", link)
    assert "UTF-8" in one_line(start(launch, link), UNAVAILABLE)


@pytest.mark.parametrize("suffix", COMPANIONS)
@pytest.mark.parametrize("kind", ["owner", "folder", "FIFO", "link"])
def test_a_companion_that_is_not_ours(launch, path, suffix, kind):
    """A log that belongs to somebody else, or is no file, stops the start: not each message after it."""
    companion = Path(f"{path}{suffix}")
    if kind == "owner":
        if os.geteuid() != 0:
            lacks("giving a file to somebody else takes root")
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
        lacks("becoming another user takes root and setpriv")
    with tempfile.TemporaryDirectory(prefix="messenger-stranger-") as folder:
        os.chown(folder, 65532, 65532)
        yield Path(folder), ("setpriv", "--reuid=65532", "--regid=65532", "--clear-groups")


def test_what_root_has_left_behind(launch, stranger):
    """Logs that root's shell has made, a file and a folder that cannot be written: each stops the start."""
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


def test_a_file_that_is_mounted_alone(launch, tmp_path):
    """As a container has it with one file bind-mounted: its log would stay there. The start says what to mount."""
    outside, inside = tmp_path / "outside.db", tmp_path / "inside" / "history.db"
    outside.touch()
    inside.parent.mkdir()
    inside.touch()
    mount = ["mount", "--bind", str(outside), str(inside)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        lacks("mounting a file takes root")
    try:
        line = one_line(start(launch, inside), UNAVAILABLE)
        assert "Mount the folder" in line
        assert names(inside.parent) == {"history.db"}
    finally:
        subprocess.run(["umount", str(inside)], check=True)


def test_a_refused_start_leaves_no_file(launch, path):
    """Port in use, after the history was open: the next start has it, and no lock file lies there."""
    other = serve(launch, path.parent / "other.db")
    before = names(path.parent)
    program = launch.program("messenger-server", MESSENGER_HISTORY=f"sqlite:{path}", MESSENGER_SERVER_PORT=other.port)
    one_line(program, UNAVAILABLE)
    assert names(path.parent) - before <= {"history.db"}
    wait_until(lambda: serve(launch, path).running, "the history can be opened")


def cut(suffix: str):
    return lambda path: os.truncate(f"{path}{suffix}", 0)


def copy_over(path: Path) -> None:
    """`cp BACKUP history.db` under a running server: the file stays the same one."""
    shutil.copyfile(path.parent / "backup", path)


@pytest.mark.parametrize("overwrite", [cut(""), cut("-wal"), copy_over], ids=["emptied", "log emptied", "copied over"])
def test_files_that_are_overwritten_under_a_running_server(launch, path, overwrite):
    """They are the same files, and what is acknowledged would be lost: sends are refused, with one line."""
    server = serve(launch, path)
    send(server, "old")
    shutil.copyfile(path, path.parent / "backup")
    # More than the write-ahead log keeps.
    send(server, *["x" * 60_000] * 150)
    overwrite(path)
    for _ in range(3):
        assert GONE in refused(server).details()
    server.stop(within=9)
    assert server.log().count(GONE) == 1, server.log()


def test_a_history_that_is_compacted_under_a_running_server(launch, path):
    """`VACUUM` makes the file smaller, and it is whole."""
    server = serve(launch, path)
    times = send(server, *["x" * 60_000] * 150)
    size = path.stat().st_size
    with sqlite3.connect(path, timeout=20, isolation_level=None) as other:
        other.execute("DELETE FROM message WHERE time < ?", times[-2:-1])
        other.execute("VACUUM")
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert path.stat().st_size < size / 2
    times += send(server, "one", "two")
    server.kill()
    assert read(serve(launch, path, port=server.port), times[-3], 2) == ["one", "two"]


def test_a_history_whose_last_time_is_the_last_of_all(launch, path):
    """No message could come after it: the start says so."""
    server = serve(launch, path)
    send(server, "one")
    server.stop(within=9)
    with sqlite3.connect(path) as other:
        other.execute("INSERT INTO message VALUES (?, 'Ivan', 'last')", [2**63 - 1])
    assert "2262-04-11" in one_line(start(launch, path), BAD_DATA)
