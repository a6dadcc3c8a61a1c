"""Draws what Prometheus has scraped during a soak: the soak's own figures, and Grafana's dashboard."""

import json
import math
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator, PercentFormatter

from support.processes import ROOT
from support.soak.prometheus import INTERVAL, Prometheus

Points = list[tuple[float, float]]

DASHBOARD = ROOT / "docs/grafana-dashboard.json"
COLUMNS = 3


def quantiles(histogram: str) -> list[tuple[str, str]]:
    rate = f"sum by (le) (rate({histogram}[$__rate_interval]))"
    return [(f"histogram_quantile({quantile}, {rate})", legend) for quantile, legend in ((0.5, "p50"), (0.99, "p99"))]


#: Titles, Grafana's names of the units, expressions with their legends.
SOAK = [
    ("Memory", "bytes", [("process_resident_memory_bytes", "{{instance}}")]),
    ("File descriptors", "short", [("process_open_fds", "{{instance}}")]),
    ("Processors in use", "short", [("rate(process_cpu_seconds_total[$__rate_interval])", "{{instance}}")]),
    (
        "Messages accepted",
        "ops",
        [('rate(grpc_server_handled_total{grpc_method="SendMessage",grpc_code="OK"}[$__rate_interval])', "server")],
    ),
    ("Readers", "short", [("messenger_readers", "streams"), ("messenger_readers_stalled", "stalled")]),
    ("Reconnects in a minute", "short", [("increase(messenger_stream_ends_total[1m])", "client")]),
    ("SendMessage on the server", "s", quantiles('grpc_server_handling_seconds_bucket{grpc_method="SendMessage"}')),
    ("POST /sendMessage on the client", "s", quantiles('http_request_duration_seconds_bucket{route="/sendMessage"}')),
]

UNITS = {
    "bytes": EngFormatter("B"),
    "s": EngFormatter("s"),
    "ops": EngFormatter("/s"),
    "reqps": EngFormatter("/s"),
    "percentunit": PercentFormatter(1),
}

matplotlib.rcParams |= {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 9,
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 7,
    "grid.alpha": 0.3,
    "legend.fontsize": 6,
    "lines.linewidth": 0.8,
    "svg.fonttype": "none",
    # The same figures give the same file.
    "svg.hashsalt": "messenger",
}


def save(figure: Figure, file: Path) -> None:
    """Writes a picture without the digits and spaces that nobody sees."""
    figure.supxlabel("minutes", fontsize=7)
    figure.savefig(file, metadata={"Date": None})
    file.write_text(re.sub(r"\n +", "\n", re.sub(r"(\.\d\d)\d+", r"\1", file.read_text())))


@dataclass
class Pictures:
    """When it was, in seconds since 1970, who watched it, and what happened in it."""

    prometheus: Prometheus
    began: float
    ended: float
    faults: list[tuple[float, str]]
    #: Seconds since the start, and threads, for each program.
    threads: dict[str, Points]

    def draw(self, folder: Path) -> list[str]:
        """Writes both pictures, and returns the expressions of the dashboard that have no value."""
        folder.mkdir(parents=True, exist_ok=True)
        rows = math.ceil((len(SOAK) + 1) / COLUMNS)
        figure = Figure((12, 2.2 * rows + 2.4), layout="constrained")
        grid = figure.add_gridspec(rows + 1, COLUMNS, height_ratios=[2.2] * rows + [2.4])
        for index, (title, unit, targets) in enumerate(SOAK):
            self._panel(figure.add_subplot(grid[divmod(index, COLUMNS)]), title, unit, targets)
        self._lines(figure.add_subplot(grid[divmod(len(SOAK), COLUMNS)]), "Threads", "short", self.threads)
        self._marks(figure.add_subplot(grid[rows, :]))
        save(figure, folder / "soak.svg")

        panels = json.loads(DASHBOARD.read_text())["panels"]
        width, height = panels[0]["gridPos"]["w"], panels[0]["gridPos"]["h"]
        rows = 1 + max(panel["gridPos"]["y"] for panel in panels) // height
        figure, empty = Figure((12, 2.2 * rows), layout="constrained"), []
        grid = figure.add_gridspec(rows, COLUMNS)
        for panel in panels:
            place = panel["gridPos"]
            axes = figure.add_subplot(grid[place["y"] // height, place["x"] // width])
            targets = [(target["expr"], target["legendFormat"]) for target in panel["targets"]]
            empty += self._panel(axes, panel["title"], panel["fieldConfig"]["defaults"]["unit"], targets)
        save(figure, folder / "dashboard.svg")
        return empty

    def _panel(self, axes: Axes, title: str, unit: str, targets: list[tuple[str, str]]) -> list[str]:
        """Draws a panel, and returns those of its expressions that have no value."""
        lines, empty = {}, []
        for expression, legend in targets:
            answer = self._ask(expression, legend)
            lines |= answer
            empty += [] if answer else [expression]
        self._lines(axes, title, unit, lines)
        return empty

    def _ask(self, expression: str, legend: str) -> dict[str, Points]:
        # As Grafana chooses them, for a panel of some 200 points.
        step = max(INTERVAL, math.ceil((self.ended - self.began) / 200))
        expression = expression.replace("$__rate_interval", f"{max(step + INTERVAL, 4 * INTERVAL)}s")
        answer = self.prometheus.ask(expression, self.began, self.ended, step)
        return {
            re.sub(r"{{(\w+)}}", r"{\1}", legend).format_map(defaultdict(str, labels)): [
                (when - self.began, value) for when, value in points if math.isfinite(value)
            ]
            for labels, points in answer
        }

    def _lines(self, axes: Axes, title: str, unit: str, lines: dict[str, Points]) -> None:
        axes.set_title(title, loc="left", fontweight="bold")
        self._time(axes)
        for legend, points in sorted(lines.items()):
            axes.plot([when / 60 for when, _ in points], [value for _, value in points], label=legend)
        if lines:
            axes.legend(loc="best", ncols=1 + len(lines) // 6, framealpha=0.6)
        else:
            axes.text(0.5, 0.5, "no data", transform=axes.transAxes, ha="center", alpha=0.6)
        axes.set_ylim(bottom=0, top=None if any(value for points in lines.values() for _, value in points) else 1)
        if unit in UNITS:
            axes.yaxis.set_major_formatter(UNITS[unit])
        else:
            axes.yaxis.set_major_locator(MaxNLocator("auto", integer=True))

    def _marks(self, axes: Axes) -> None:
        axes.set_title("Faults", loc="left", fontweight="bold")
        self._time(axes)
        kinds = sorted({name for _, name in self.faults}, reverse=True)
        for row, kind in enumerate(kinds):
            # One line with gaps: a file with a mark for each fault would be large.
            times = [place for when, name in self.faults if name == kind for place in (when / 60, when / 60, math.nan)]
            axes.plot(times, [row - 0.3, row + 0.3, math.nan] * (len(times) // 3))
        axes.set_yticks(range(len(kinds)), kinds)

    def _time(self, axes: Axes) -> None:
        axes.set_xlim(0, (self.ended - self.began) / 60)
