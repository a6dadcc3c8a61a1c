"""A room in Redis over TLS: the server trusts the right Redis only."""

from collections.abc import Callable, Iterator

import grpc
import pytest

from support.api import connected, reading
from support.processes import free_port, one_line
from support.redis import Redis
from support.redis_room import accepted, refusal, send, take
from support.tls import CERTIFICATES
from support.waiting import wait_until

pytestmark = pytest.mark.fault

BAD_CONFIGURATION, UNAVAILABLE = 78, 69


PASSWORD = "hunter2"


class TLSRedis(Redis):
    """It has a port with TLS too, and a user with a password."""

    def __init__(self, clients: str = "no"):
        self.tls_port = free_port()
        files = {"cert": "server.pem", "key": "server.key", "ca-cert": "authority.pem"}
        options = [word for name, file in files.items() for word in (f"--tls-{name}-file", str(CERTIFICATES / file))]
        options += ["--tls-port", str(self.tls_port), "--tls-auth-clients", clients, "--bind", "127.0.0.1", "127.0.0.2"]
        super().__init__(
            free_port(), *options, "--appendonly", "yes", "--user", "ivan", "on", f">{PASSWORD}", "~*", "&*", "+@all"
        )

    def over_tls(self, host: str = "localhost") -> str:
        return f"rediss://ivan:{PASSWORD}@{host}:{self.tls_port}/room"


@pytest.fixture
def start_redis(own_programs) -> Iterator[Callable[..., TLSRedis]]:
    started: list[TLSRedis] = []

    def start(*arguments: str) -> TLSRedis:
        started.append(TLSRedis(*arguments))
        return started[-1]

    yield start
    for redis in started:
        redis.close()


def settings(history: str, authority: str = "authority") -> dict[str, object]:
    return {"MESSENGER_HISTORY": history, "MESSENGER_HISTORY_CA": CERTIFICATES / f"{authority}.pem"}


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_room_over_tls(launch, start_redis, host):
    """Two servers share it, also large messages, behind memory, and after Redis's end."""
    redis = start_redis()
    one, other = (
        launch.server(**settings(redis.over_tls(host)), MESSENGER_HISTORY_MESSAGES=1).wait_ready() for _ in range(2)
    )
    times = send(one.address, *map(str, range(100)), *("x" * 60_000 for _ in range(20)))
    assert take(other.address, times[0], 119) == times[1:]
    assert f"rediss://***@{host}:{redis.tls_port}/room" in one.log() and PASSWORD not in one.log()
    with connected(other.address) as channel, reading(channel, times[-1]) as reader:
        redis.kill()
        refusal(one.address, grpc.StatusCode.UNAVAILABLE)
        redis.start()
        wait_until(lambda: accepted(one.address), "sends are accepted again")
        assert reader.take(1)[0].text in ("refused", "there again")
    assert "lost" not in one.log() + other.log()


def test_the_authorities_of_the_system(launch, start_redis):
    """They count without the setting. OpenSSL looks for them where `SSL_CERT_FILE` says, as in our images."""
    authorities = {"SSL_CERT_FILE": CERTIFICATES / "authority.pem"}
    server = launch.server(MESSENGER_HISTORY=start_redis().over_tls(), **authorities).wait_ready()
    send(server.address, "1")


def test_redis_freezes_with_tls(launch, start_redis):
    """As without it: sends fail after 5 s."""
    redis = start_redis()
    server = launch.server(**settings(redis.over_tls())).wait_ready()
    redis.freeze()
    refusal(server.address, grpc.StatusCode.UNAVAILABLE)
    assert "Redis does not answer" in server.log()
    redis.thaw()
    wait_until(lambda: accepted(server.address), "sends are accepted again")


def test_a_redis_that_is_not_trusted(launch, start_redis):
    """Its certificate is of another authority, or for another host. By default the system's authorities count."""
    redis = start_redis()
    for setting, reason in [
        (settings(redis.over_tls(), "other-authority"), "certificate"),
        ({"MESSENGER_HISTORY": redis.over_tls()}, "certificate"),
        # A name of 127.0.0.1 that is not in the certificate.
        (settings(redis.over_tls("127.1")), "hostname mismatch"),
        (settings(redis.over_tls("127.0.0.2")), "IP address mismatch"),
    ]:
        line = one_line(launch.program("messenger-server", MESSENGER_SERVER_PORT=0, **setting), UNAVAILABLE)
        assert "TLS: the certificate of Redis is refused: " in line and reason in line
        assert PASSWORD not in line


def test_a_certificate_that_is_replaced_under_a_server(launch, start_redis):
    """By one that is not trusted. The next connection fails, and works again with the old certificate."""
    redis = start_redis()
    server = launch.server(**settings(redis.over_tls())).wait_ready()
    with connected(server.address) as channel, reading(channel) as reader:
        use_certificate(redis, "renewed")
        redis.ask("CLIENT", "KILL", "TYPE", "normal")
        refusal(server.address, grpc.StatusCode.UNAVAILABLE)
        wait_until(lambda: "the certificate of Redis is refused" in server.log(), "the log says why")
        use_certificate(redis, "server")
        wait_until(lambda: accepted(server.address), "sends are accepted again")
        assert reader.take(1)[0].text == "there again"


def use_certificate(redis: TLSRedis, name: str) -> None:
    files = CERTIFICATES / f"{name}.pem", CERTIFICATES / f"{name}.key"
    words = [f"tls-cert-file {files[0]}", f"tls-key-file {files[1]}"]
    assert redis.ask("CONFIG", "SET", *" ".join(words).split()) == "+OK"


def test_a_redis_that_speaks_otherwise(launch, start_redis):
    """Plain text to TLS, TLS to plain text, and a Redis that wants a certificate from the server."""
    redis, mutual = start_redis(), start_redis("yes")
    for setting, reason in [
        ({"MESSENGER_HISTORY": redis.over_tls().replace("rediss:", "redis:")}, ""),
        (settings(f"rediss://ivan:{PASSWORD}@localhost:{redis.port}/room"), "Redis does not answer"),
        (settings(mutual.over_tls()), ""),
    ]:
        line = one_line(launch.program("messenger-server", MESSENGER_SERVER_PORT=0, **setting), UNAVAILABLE)
        assert reason in line and PASSWORD not in line, line


def test_bad_authorities(launch, tmp_path):
    empty = tmp_path / "empty.pem"
    empty.touch()
    for history, file, reason in [
        ("rediss://localhost/room", tmp_path / "missing.pem", "no usable certificates"),
        ("rediss://localhost/room", empty, "no usable certificates"),
        ("redis://localhost/room", CERTIFICATES / "authority.pem", "needs rediss://"),
    ]:
        setting = {"MESSENGER_HISTORY": history, "MESSENGER_HISTORY_CA": file, "MESSENGER_SERVER_PORT": 0}
        line = one_line(launch.program("messenger-server", **setting), BAD_CONFIGURATION)
        assert "MESSENGER_HISTORY_CA" in line and reason in line
