"""A Prometheus that scrapes programs during a soak, and answers queries afterwards."""

import json
import subprocess
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from support.processes import ROOT, free_port
from support.waiting import wait_until

#: Where scripts/soak puts them.
PROGRAMS = ROOT / ".build/prometheus/usr/bin"

#: Seconds between two scrapes.
INTERVAL = 5


def check(port: int) -> None:
    """Fails if Prometheus's own checker finds fault with the metrics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        subprocess.run([PROGRAMS / "promtool", "check", "metrics"], input=answer.read(), check=True)


class Prometheus:
    def __init__(self, targets: dict[str, int]):
        """`targets` are the names of the programs (the label `instance`), and the ports of their metrics."""
        for port in targets.values():
            check(port)
        self._folder = tempfile.TemporaryDirectory(prefix="messenger-prometheus-")
        folder, port = Path(self._folder.name), free_port()
        programs = [
            {"targets": [f"127.0.0.1:{port}"], "labels": {"instance": instance}} for instance, port in targets.items()
        ]
        configuration = {
            "global": {"scrape_interval": f"{INTERVAL}s", "scrape_timeout": f"{INTERVAL}s"},
            "scrape_configs": [{"job_name": "messenger", "static_configs": programs}],
        }
        (folder / "prometheus.yml").write_text(json.dumps(configuration))
        self._log = folder / "log"
        self._address = f"http://127.0.0.1:{port}"
        command = [
            str(PROGRAMS / "prometheus"),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=warn",
        ]
        with self._log.open("w") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(self._is_ready, "Prometheus is ready")

    def _is_ready(self) -> bool:
        assert self._process.poll() is None, f"Prometheus ended\n{self._log.read_text()}"
        try:
            return urllib.request.urlopen(f"{self._address}/-/ready", timeout=5).status == 200
        except OSError:
            return False

    def ask(
        self, expression: str, begin: float, end: float, step: int
    ) -> Iterator[tuple[dict[str, str], list[tuple[float, float]]]]:
        """The labels of each series, and its values: seconds since 1970, value."""
        query = urllib.parse.urlencode({"query": expression, "start": begin, "end": end, "step": step})
        with urllib.request.urlopen(f"{self._address}/api/v1/query_range?{query}", timeout=30) as response:
            for series in json.load(response)["data"]["result"]:
                yield series["metric"], [(when, float(value)) for when, value in series["values"]]

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(30)
        self._folder.cleanup()
