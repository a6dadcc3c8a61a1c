"""The backup and the repair in docs/operations.md work when followed to the letter."""

import os
import re
import shutil
import sqlite3
import subprocess
import threading
from contextlib import closing
from pathlib import Path

import pytest

from support.api import connected, pb, reading, stub, time_of
from support.disk import SmallDisk
from support.history_file import names, read, send, serve, start
from support.processes import PROGRAMS, ROOT, one_line

USAGE, BAD_DATA, UNAVAILABLE = 64, 65, 69


def blocks(heading: str) -> list[str]:
    """The commands below a heading of docs/operations.md."""
    text = (ROOT / "docs" / "operations.md").read_text()
    section = re.search(rf"^### {heading}\n(.*?)(?=^##)", text, re.DOTALL | re.MULTILINE)
    assert section, heading
    return re.findall(r"```sh\n(.*?)```", section[1], re.DOTALL)


def follow(commands: str, history: Path, backup: Path) -> str:
    """Runs commands as they stand on the page, with the test's values for the three that an operator chooses."""
    commands = re.sub(r"^\s*OWNER=.*$", f"OWNER={os.geteuid()}", commands, flags=re.MULTILINE)
    environment = {
        **os.environ,
        "PATH": f"{PROGRAMS}:{os.environ['PATH']}",
        "MESSENGER_HISTORY": f"sqlite:{history}",
        "HISTORY": str(history),
        "BACKUP": str(backup),
    }
    return subprocess.run(
        ["bash", "-eu", "-c", commands], env=environment, check=True, capture_output=True, text=True, timeout=60
    ).stdout


def send_with_keys(server, *keys: str) -> list[int]:
    with connected(server.address) as channel:
        requests = [pb.SendMessageRequest(author="Ivan", text=key, idempotencyKey=key) for key in keys]
        return [time_of(stub(channel).SendMessage(request, timeout=60)) for request in requests]


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "history.db"


@pytest.fixture
def backup(tmp_path) -> Path:
    (tmp_path / "backups").mkdir()
    return tmp_path / "backups" / "messenger.db"


def back_up(path: Path, backup: Path) -> str:
    (commands,) = blocks("Back up")
    return follow(commands, path, backup)


def restore(path: Path, backup: Path) -> None:
    check, move, put = blocks("Restore")
    follow("\n".join([check, "OWNER=me", move, put]), path, backup)


def test_a_backup_of_a_running_server_is_restored(launch, path, backup):
    """It has every message that was acknowledged before, and the restored server continues from there."""
    server = serve(launch, path)
    times = send_with_keys(server, *map(str, range(50)))
    is_over, is_sending, more = threading.Event(), threading.Event(), []

    def go_on() -> None:
        while not is_over.is_set():
            more.extend(send(server, "more"))
            is_sending.set()

    senders = [threading.Thread(target=go_on) for _ in range(4)]
    for sender in senders:
        sender.start()
    try:
        assert is_sending.wait(60)
        acknowledged = len(more)
        line = back_up(path, backup)
        assert all(sender.is_alive() for sender in senders)
    finally:
        is_over.set()
        for sender in senders:
            sender.join()
    said = re.fullmatch(rf".* is backed up to {backup}: messages (\d+), .*, keys 50, bytes (\d+)\n", line)
    assert said, line
    assert 50 + acknowledged <= int(said[1]) <= 50 + len(more)
    assert backup.stat().st_size == int(said[2])
    assert backup.stat().st_mode & 0o777 == 0o600
    assert names(backup.parent) == {backup.name}
    server.stop()
    assert names(path.parent) == {path.name, "backups"}

    restore(path, backup)
    server = serve(launch, path, port=server.port)
    assert read(server, times[0] - 1, int(said[1])) == [*map(str, range(50)), *["more"] * (int(said[1]) - 50)]
    assert send_with_keys(server, *map(str, range(50))) == times
    assert send(server, "next")[0] > times[-1]
    assert {file.stat().st_mode & 0o777 for file in path.parent.glob("history.db*") if file.is_file()} == {0o600}


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_backup_of_a_stopped_server_is_restored(launch, path, backup, end):
    """Also after a kill, when the newest messages are only in the log."""
    server = serve(launch, path)
    times = send(server, *map(str, range(20)))
    getattr(server, end)()
    before = {file.name: file.read_bytes() for file in path.parent.glob("history.db*")}
    back_up(path, backup)
    assert {file.name: file.read_bytes() for file in path.parent.glob("history.db*")} == before
    server = serve(launch, path, port=server.port)
    send(server, "after the backup")
    server.kill()
    restore(path, backup)
    server = serve(launch, path, port=server.port)
    with connected(server.address) as channel, reading(channel, times[0] - 1) as reader:
        texts = [message.text for message in reader.take(20)]
        assert texts == [str(index) for index in range(20)]
        send(server, "next")
        assert reader.take(1)[0].text == "next"


def ask_for_backup(launch, history: str, target: object):
    return launch.program("messenger-server", "--backup", str(target), MESSENGER_HISTORY=history)


def test_a_backup_replaces_nothing(launch, path, backup):
    serve(launch, path)
    backup.write_text("precious")
    assert "exists already" in one_line(ask_for_backup(launch, f"sqlite:{path}", backup), UNAVAILABLE)
    assert "exists already" in one_line(ask_for_backup(launch, f"sqlite:{path}", path), UNAVAILABLE)
    assert backup.read_text() == "precious" and names(backup.parent) == {backup.name}


def test_a_backup_to_where_nothing_can_be_written(launch, path, backup):
    serve(launch, path)
    for target in [backup / "none" / "b.db", "/proc/b.db"]:
        line = one_line(ask_for_backup(launch, f"sqlite:{path}", target), UNAVAILABLE)
        assert str(target) in line


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
def test_a_backup_is_none_of_the_history_s_files(launch, path, suffix):
    """The server would refuse to start, or delete it."""
    server = serve(launch, path)
    times = send(server, "hey")
    server.stop()
    target = path.with_name(path.name + suffix)
    assert "belongs to the history" in one_line(ask_for_backup(launch, f"sqlite:{path}", target), UNAVAILABLE)
    assert read(serve(launch, path), times[0] - 1, 1) == ["hey"]


def test_a_backup_to_a_full_disk(launch, path):
    """It leaves nothing there, and the server goes on."""
    disk = SmallDisk(kilobytes=256)
    try:
        server = serve(launch, path)
        send(server, *("x" * 10_000 for _ in range(50)))
        line = one_line(ask_for_backup(launch, f"sqlite:{path}", disk.path / "b.db"), UNAVAILABLE)
        assert "the disk is full" in line
        assert names(disk.path) == set()
        send(server, "next")
    finally:
        disk.close()


def test_a_damaged_history_is_not_backed_up(launch, path, backup):
    server = serve(launch, path)
    send(server, *("x" * 1000 for _ in range(100)))
    server.stop()
    spoil_page(path)
    assert "is damaged" in one_line(ask_for_backup(launch, f"sqlite:{path}", backup), BAD_DATA)
    assert names(backup.parent) == set()


@pytest.mark.parametrize(
    ("history", "advice"),
    [
        ("memory:", "MESSENGER_HISTORY=sqlite:PATH"),
        ("", "MESSENGER_HISTORY=sqlite:PATH"),
        ("redis://localhost/room", "redis-cli --rdb"),
    ],
)
def test_only_files_are_backed_up(launch, history, advice, backup):
    assert advice in one_line(ask_for_backup(launch, history, backup), USAGE)
    assert names(backup.parent) == set()


def spoil_page(path: Path) -> None:
    with open(path, "r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xff" * 4096)


def spoil_all(path: Path) -> None:
    path.write_text("this is no history\n" * 1000)


def spoil_log(path: Path) -> None:
    with open(f"{path}-wal", "r+b") as file:
        file.seek(os.path.getsize(file.name) * 4 // 10)
        file.write(b"\xff" * 9)


def lose_file(path: Path) -> None:
    path.unlink()


DAMAGES = {
    "page": (spoil_page, "stop"),
    "all": (spoil_all, "stop"),
    "log": (spoil_log, "kill"),
    "lost": (lose_file, "kill"),
}


@pytest.mark.parametrize("spoil, end", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("is_through_a_link", [False, True])
def test_the_advice_for_a_damaged_history(launch, tmp_path, backup, spoil, end, is_through_a_link):
    """The error names the files to move and their real place. Once they are moved, a new history begins.

    With the backup at the path that the error names, the old one continues.
    """
    path = tmp_path / "room" / "history.db"
    path.parent.mkdir()
    setting = path
    if is_through_a_link:
        setting = tmp_path / "link.db"
        setting.symlink_to(path)
    server = serve(launch, setting)
    times = send(server, *("x" * 1000 for _ in range(100)))
    with closing(sqlite3.connect(path)) as file:
        file.execute("VACUUM INTO ?", (str(backup),))
    getattr(server, end)()
    spoil(path)

    line = one_line(start(launch, setting), BAD_DATA)
    advice = re.search(
        r"move (.*) to another folder and copy the backup to (\S+)\. To start with an empty history, only move them",
        line,
    )
    assert advice, line
    for number, copies in enumerate([False, True]):
        away = tmp_path / f"away{number}"
        away.mkdir()
        files = advice[1].split() if number == 0 else [str(file) for file in path.parent.iterdir()]
        for file in files:
            shutil.move(file, away)
        assert list(path.parent.iterdir()) == []
        if copies:
            shutil.copy(backup, advice[2])
        server = serve(launch, setting)
        if copies:
            assert read(server, times[0] - 1, 100) == ["x" * 1000] * 100
        send(server, "next")
        server.stop()


def test_the_advice_for_a_log_after_a_disk_failure(launch, path):
    """`--history-sync normal` starts without what cannot be read. Then `full` starts too."""
    server = serve(launch, path)
    times = send(server, *("x" * 1000 for _ in range(100)))
    server.kill()
    spoil_log(path)
    assert "--history-sync normal starts" in one_line(start(launch, path), BAD_DATA)
    server = launch.server("--history-sync", "normal", MESSENGER_HISTORY=f"sqlite:{path}").wait_ready()
    assert read(server, times[0] - 1, 10) == ["x" * 1000] * 10
    server.stop()
    serve(launch, path)
