"""The messenger under test: programs that the tests start, or running ones at given addresses.

MESSENGER_TEST_CLIENT1_ADDR   the first client's HTTP side, host:port
MESSENGER_TEST_CLIENT2_ADDR   the second client's
MESSENGER_TEST_SERVER_ADDR    the server; without it, the tests of its gRPC side are skipped
MESSENGER_TEST_BIN            the folder of the programs, if we start them (.build/debug)
MESSENGER_TEST_HISTORY        where their servers keep the history: memory, sqlite, redis://HOST:PORT
"""

import math
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import grpc
import pytest

from support.api import connected
from support.browser import Browser
from support.http import HTTPClient
from support.launcher import Launcher
from support.processes import HISTORY, PROGRAMS, Program, free_port
from support.proxy import CuttableLink
from support.redis import Redis
from support.room import drain
from support.tokens import Tokens
from support.traffic import Traffic
from support.waiting import wait_until

ADDRESSES = {name: os.environ.get(f"MESSENGER_TEST_{name}_ADDR") for name in ("CLIENT1", "CLIENT2", "SERVER")}
FIGURES = pytest.StashKey[list[tuple[str, str]]]()
THEIRS = bool(ADDRESSES["CLIENT1"] or ADDRESSES["CLIENT2"])


@dataclass
class Messenger:
    """A server and two clients of it."""

    client1: HTTPClient
    client2: HTTPClient
    #: The server's address, if it is known.
    server_address: str | None


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FIGURES] = []
    # Whoever starts the tests in the background or under nohup has them ignore signals. The programs would inherit that.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def pytest_addoption(parser: pytest.Parser) -> None:
    help = "what to do with the tests marked alone, which other tests beside them would disturb"
    parser.addoption("--alone", choices=["run", "skip", "only"], default="run", help=help)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    choice = config.getoption("--alone")
    if choice != "run":
        unwanted = [item for item in items if bool(item.get_closest_marker("alone")) == (choice == "skip")]
        config.hook.pytest_deselected(items=unwanted)
        items[:] = [item for item in items if item not in unwanted]


def pytest_terminal_summary(terminalreporter) -> None:
    figures = terminalreporter.config.stash[FIGURES]
    if figures:
        terminalreporter.section("measured")
        for what, value in figures:
            terminalreporter.line(f"{what:<100} {value}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    # A worker of pytest-xdist gives its figures to the process that writes the report.
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["figures"] = session.config.stash[FIGURES]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node) -> None:
    node.config.stash[FIGURES] += getattr(node, "workeroutput", {}).get("figures", [])


def pytest_report_header() -> str:
    if THEIRS:
        return "messenger: " + ", ".join(f"{name.lower()} {address}" for name, address in ADDRESSES.items())
    return f"messenger: own processes of {PROGRAMS}, history: {HISTORY}"


@pytest.fixture(scope="session")
def messenger() -> Iterator[Messenger]:
    if THEIRS:
        assert ADDRESSES["CLIENT1"] and ADDRESSES["CLIENT2"], "set both MESSENGER_TEST_CLIENT1_ADDR and _CLIENT2_ADDR"
        given = Messenger(HTTPClient(ADDRESSES["CLIENT1"]), HTTPClient(ADDRESSES["CLIENT2"]), ADDRESSES["SERVER"])
        for client in given.client1, given.client2:
            wait_until(lambda: _answers(client), f"{client.address} answers", within=60)
        if given.server_address:
            with connected(given.server_address) as channel:
                grpc.channel_ready_future(channel).result(timeout=60)
        yield given
        return
    launcher = Launcher()
    try:
        server = launcher.server().wait_ready()
        client1 = launcher.client(server.address)
        client2 = launcher.client(server.address)
        yield Messenger(client1.wait_ready().http, client2.wait_ready().http, server.address)
    finally:
        launcher.close()


@pytest.fixture
def room(messenger: Messenger) -> Messenger:
    """The messenger with both clients' buffers empty."""
    drain(messenger.client1, messenger.client2)
    return messenger


@pytest.fixture
def server_address(messenger: Messenger) -> str:
    if not messenger.server_address:
        pytest.skip("MESSENGER_TEST_SERVER_ADDR is not given")
    return messenger.server_address


@pytest.fixture
def port(server_address: str) -> int:
    """The port of the server, for tests that write bytes to a socket."""
    host, _, port = server_address.rpartition(":")
    if host not in ("localhost", "127.0.0.1"):
        pytest.skip("the server is on another machine")
    return int(port)


@pytest.fixture
def channel(server_address: str) -> Iterator[grpc.Channel]:
    """A connection to the server."""
    with connected(server_address) as channel:
        yield channel


@pytest.fixture(scope="session")
def own_programs() -> None:
    """For tests that start, stop, break or configure programs."""
    if THEIRS:
        pytest.skip("the tests did not start the programs under test")


@pytest.fixture
def memory_history(own_programs) -> None:
    """For tests of a history that is only in memory."""
    if HISTORY != "memory":
        pytest.skip("this history outlives its process")


@pytest.fixture
def launch(own_programs) -> Iterator[Launcher]:
    """Starts programs that end with the test."""
    launcher = Launcher()
    yield launcher
    launcher.close()


@pytest.fixture
def server(launch):
    """A server of the test's own, with its history in memory."""
    return launch.server(MESSENGER_HISTORY="memory:").wait_ready()


@pytest.fixture
def client(launch, server):
    """A client of `server`."""
    return launch.client(server.address).wait_ready()


@pytest.fixture(scope="session")
def chromium(own_programs) -> Iterator[Browser]:
    chromium = Browser()
    yield chromium
    chromium.close()


@pytest.fixture
def browser(chromium) -> Iterator[Browser]:
    """Opens pages, which are closed at the end of the test."""
    yield chromium
    chromium.close_pages()


@pytest.fixture
def tokens(tmp_path) -> Tokens:
    """A file of tokens."""
    return Tokens(tmp_path / "tokens")


@pytest.fixture
def link() -> Iterator[Callable[[int], CuttableLink]]:
    """Makes network links to ports of this machine, which a test can break."""
    links: list[CuttableLink] = []

    def make(target: int) -> CuttableLink:
        links.append(CuttableLink(target))
        return links[-1]

    yield make
    for each in links:
        each.close()


@pytest.fixture
def redis(own_programs):
    redis = Redis(free_port(), "--appendonly", "no")
    yield redis
    redis.close()


@pytest.fixture
def replica(redis):
    """A replica of `redis` that has caught up."""
    replica = Redis(free_port(), "--replicaof", "127.0.0.1", str(redis.port), "--repl-diskless-sync-delay", "0")
    yield replica
    replica.close()


@pytest.fixture
def start_server(launch, redis):
    """Starts servers of one room in `redis`."""
    return lambda **settings: launch.server(**{"MESSENGER_HISTORY": redis.location(), **settings}).wait_ready()


@pytest.fixture
def traffic() -> Iterator[Callable[..., Traffic]]:
    """Makes senders and readers of a server. They are stopped at the end."""
    made: list[Traffic] = []

    def make(server: str, held: float = math.inf) -> Traffic:
        made.append(Traffic(server, held))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture(scope="session")
def figure(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Adds what a test has measured to the end of the report."""
    return lambda what, value: request.config.stash[FIGURES].append((what, value))


def _answers(client: HTTPClient) -> bool:
    try:
        return client.request("GET", "/readyz").status == 200
    except OSError:
        return False


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows the end of each program's log with a failure."""
    report = yield
    if report.failed:
        for program in Program.open:
            report.sections.append((f"log of {program.name} (process {program.pid})", program.last_lines()))
    return report
