"""What is measured. A scenario runs against one server, and gives one or more metrics."""

from collections.abc import Callable
from dataclasses import dataclass

from .servers import Server, free_port, running
from .tools import first_answer, h2load, load

Metrics = dict[str, float]

PATIENCE = 30
PER_CALLS = 100_000
PER_DELIVERIES = 1_000_000


@dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    # The measurement: of a server, with that many times the usual load.
    measure: Callable[[Server, float], Metrics]
    # Of servers of which kind.
    kind: str = "grpc"


def check(server: Server) -> None:
    """What a server must do before it is timed: everything to everyone once, in order, whoever stalls."""
    with running(server) as target:
        load("unary", target, connections=3, streams=10, messages=2_000)
        load("fanout", target, readers=100, connections=7, messages=500, patience=PATIENCE)
        load("burst", target, readers=100, connections=7, messages=900, patience=PATIENCE)
        load("fanout", target, readers=20, connections=2, stalled=5, messages=500, patience=PATIENCE)
        load("fanout", target, readers=20, connections=2, stalled=5, stalled_sockets=1, messages=500, patience=PATIENCE)


def scaled(count: int, share: float, multiple: int = 1) -> int:
    return max(multiple, round(count * share / multiple) * multiple)


def unary(connections: int, streams: int, calls: int) -> Scenario:
    def measure(server: Server, share: float) -> Metrics:
        with running(server) as target:
            h2load(target, connections, streams, scaled(calls, share / 10, connections))
            result = h2load(target, connections, streams, scaled(calls, share, connections))
        return {
            f"CPU s per {PER_CALLS // 1000}k calls": result["server_cpu_seconds"] / result["calls"] * PER_CALLS,
            "calls/s": result["calls_per_second"],
        }

    return Scenario(f"unary-{connections}x{streams}", f"unary, {connections}×{streams}", measure)


def unary_latency() -> Scenario:
    def measure(server: Server, share: float) -> Metrics:
        with running(server) as target:
            result = load("unary", target, messages=scaled(20_000, share), warm_up=scaled(2_000, share))
        return {"p50 µs": result["p50_us"], "p99 µs": result["p99_us"]}

    return Scenario("unary-latency", "unary, one call at a time", measure)


def delivery_metrics(result: dict[str, float]) -> Metrics:
    return {
        "CPU s per 1M deliveries": result["server_cpu_seconds"] / result["deliveries"] * PER_DELIVERIES,
        "deliveries/s": result["deliveries"] / result["seconds"],
        "p50 ms": result["p50_us"] / 1000,
        "p99 ms": result["p99_us"] / 1000,
        "max ms": result["max_us"] / 1000,
    }


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def fanout(readers: int, connections: int, messages: int) -> Scenario:
    def measure(server: Server, share: float) -> Metrics:
        count = scaled(messages, share)
        options = {"readers": readers, "connections": connections, "messages": count, "warm_up": max(count // 10, 16)}
        with running(server) as target:
            return delivery_metrics(load("fanout", target, **options, patience=PATIENCE))

    title = f"fan-out, {counted(readers, 'reader')}, {counted(connections, 'connection')}"
    return Scenario(f"fanout-{readers}-{connections}", title, measure)


def burst() -> Scenario:
    size, readers = 300, 1_000

    def measure(server: Server, share: float) -> Metrics:
        count = scaled(5 * size, share, size)
        options = {"readers": readers, "connections": 10, "messages": count, "burst": size, "senders": 4}
        options["warm_up"] = scaled(100, share)
        with running(server) as target:
            return delivery_metrics(load("burst", target, **options, patience=PATIENCE))

    return Scenario("burst", f"bursts of {size} messages to {readers:,} readers", measure)


def paced(rate: int, seconds: int) -> Scenario:
    readers = 1_000

    def measure(server: Server, share: float) -> Metrics:
        options = {"readers": readers, "connections": 10, "rate": rate, "messages": scaled(rate * seconds, share)}
        options["warm_up"] = scaled(100, share)
        with running(server) as target:
            result = load("paced", target, **options, patience=PATIENCE)
        metrics = delivery_metrics(result)
        del metrics["deliveries/s"]
        # More than one: it could not keep up, and its latencies are those of a queue that only grows.
        metrics["time over plan"] = result["seconds"] / result["planned_seconds"]
        return metrics

    return Scenario(f"paced-{rate}", f"paced, {rate} messages/s to {readers:,} readers", measure)


def stalled(kind: str, sockets: bool) -> Scenario:
    text, kept = 1_000, 4 << 20

    def measure(server: Server, share: float) -> Metrics:
        messages = scaled(20_000, share)
        options = {"readers": 20, "messages": messages, "text_bytes": text, "patience": PATIENCE}
        # Ours keeps messages for readers that come back. This much of them, which the first load fills.
        with running(server, MESSENGER_HISTORY_BYTES=f"{kept}B") as target:
            load("fanout", target, **options | {"messages": max(messages, 2 * kept // text)})
            result = load("fanout", target, **options, stalled=1, stalled_sockets=int(sockets))
        grown = result["rss_after_kib"] - result["rss_before_kib"]
        return {"bytes kept per message": grown * 1024 / messages}

    return Scenario(f"stalled-{kind.split()[-1]}", f"one reader of 21 stalls, {kind}; messages of {text:,} bytes", measure)


def idle(connections: int) -> Scenario:
    readers = 1_000

    def measure(server: Server, share: float) -> Metrics:
        with running(server) as target:
            result = load("idle", target, readers=readers, connections=connections, seconds=5, patience=PATIENCE)
        return {
            "KiB per idle reader": (result["rss_after_kib"] - result["rss_before_kib"]) / readers,
            "idle CPU, ms per s": result["idle_cpu_seconds"] / result["idle_seconds"] * 1000,
        }

    return Scenario(f"idle-{connections}", f"{readers:,} idle readers, {connections:,} connections", measure)


def start() -> Scenario:
    def measure(server: Server, share: float) -> Metrics:
        return {"ms": min(first_answer(server, free_port()) for _ in range(3))}

    return Scenario("start", "exec to first answer", measure)


ALL = [
    unary(1, 1, 20_000),
    unary(10, 10, 200_000),
    unary(50, 20, 200_000),
    unary_latency(),
    fanout(1, 1, 50_000),
    fanout(100, 1, 10_000),
    fanout(1_000, 10, 1_000),
    fanout(5_000, 50, 300),
    fanout(1_000, 1_000, 1_000),
    burst(),
    paced(10, 10),
    paced(500, 4),
    stalled("granting no window", sockets=False),
    stalled("not reading its socket", sockets=True),
    idle(10),
    idle(1_000),
    start(),
]
