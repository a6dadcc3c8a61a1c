"""The server's unix socket belongs to one server and one user."""

import errno
import os
import signal
import socket
import stat

import pytest

from support.processes import one_line
from support.waiting import wait_until


def healthy(launch, path) -> bool:
    """What the health check says of the server at the socket."""
    return launch.program("messenger-server", "--check-health", MESSENGER_SERVER_SOCKET=path).exit_code(within=20) == 0


def refused(launch, path) -> None:
    """Another server at the socket ends with one line that names the path and the setting."""
    line = one_line(launch.program("messenger-server", MESSENGER_SERVER_PORT=0, MESSENGER_SERVER_SOCKET=path), 69)
    assert str(path) in line and "MESSENGER_SERVER_SOCKET" in line


def test_a_socket_of_a_running_server_is_not_taken(launch, tmp_path):
    """The second server is refused, also if the first one is frozen. The first keeps its socket, and deletes it."""
    path = tmp_path / "socket"
    server = launch.server(MESSENGER_SERVER_SOCKET=path).wait_ready()
    refused(launch, path)
    server.freeze()
    refused(launch, path)
    server.thaw()
    assert healthy(launch, path)
    server.stop()
    assert os.listdir(tmp_path) == []


def test_a_socket_with_a_full_queue_is_not_taken(launch, tmp_path):
    """The queue of a frozen server is full. It still runs."""
    path = tmp_path / "socket"
    server = launch.server(MESSENGER_SERVER_SOCKET=path).wait_ready()
    server.freeze()
    full = False
    while not full:
        # Those that have gone are in the queue too.
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.setblocking(False)
            full = stranger.connect_ex(str(path)) == errno.EAGAIN
    refused(launch, path)
    server.thaw()


def test_a_stale_socket_is_replaced(launch, tmp_path):
    """After kill -9 the next server replaces it."""
    path = tmp_path / "socket"
    launch.server(MESSENGER_SERVER_SOCKET=path).wait_ready().kill()
    assert path.exists()
    server = launch.server(MESSENGER_SERVER_SOCKET=path).wait_ready()
    assert healthy(launch, path)
    server.stop()
    assert not path.exists()


@pytest.mark.parametrize("mask", ["0", "0077", "0777"])
def test_a_socket_is_private_to_its_user(launch, tmp_path, mask):
    """Whatever the umask, only its user may connect."""
    path = tmp_path / "socket"
    runner = ["sh", "-c", f'umask {mask} && exec "$@"', "sh"]
    launch.server(MESSENGER_SERVER_SOCKET=path, runner=runner).wait_ready()
    assert stat.S_IMODE(path.stat().st_mode) == (0o600 if mask != "0777" else 0)


@pytest.mark.parametrize("what", ["file", "folder", "link", "dangling link", "datagrams"])
def test_other_files_are_not_replaced_by_a_socket(launch, tmp_path, what):
    """The start is refused, and the file stays."""
    path = tmp_path / "socket"
    kept = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    match what:
        case "file":
            path.write_text("precious")
        case "folder":
            path.mkdir()
        case "link":
            (tmp_path / "other").write_text("precious")
            path.symlink_to(tmp_path / "other")
        case "dangling link":
            path.symlink_to(tmp_path / "nowhere")
        case "datagrams":
            kept.bind(str(path))
    before = path.lstat()
    refused(launch, path)
    assert os.path.samestat(path.lstat(), before)
    kept.close()


def test_a_refused_start_leaves_no_socket(launch, tmp_path):
    """The port is taken. There is no socket and no lock file."""
    server = launch.server().wait_ready()
    path = tmp_path / "socket"
    one_line(launch.program("messenger-server", MESSENGER_SERVER_PORT=server.port, MESSENGER_SERVER_SOCKET=path), 69)
    assert os.listdir(tmp_path) == []


def test_of_many_servers_one_gets_the_socket(launch, tmp_path):
    """They start together beside a stale socket: one serves, the others are refused."""
    path = tmp_path / "socket"
    launch.server(MESSENGER_SERVER_SOCKET=path).wait_ready().kill()
    programs = [
        launch.program("messenger-server", MESSENGER_SERVER_PORT=0, MESSENGER_SERVER_SOCKET=path) for _ in range(5)
    ]
    wait_until(lambda: sum(program.running for program in programs) == 1, "all but one have ended")
    assert healthy(launch, path)
    (server,) = [program for program in programs if program.running]
    server.stop(signal.SIGTERM)
    assert not path.exists()
