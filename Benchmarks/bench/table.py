"""From the metrics of all rounds to one table."""

import statistics

# By scenario, metric and server: the values of all rounds.
Results = dict[str, dict[str, dict[str, list[float]]]]


def number(value: float) -> str:
    """Three significant digits, with a separator for the large ones."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.{1 if abs(value) >= 10 else 2}f}"


def markdown(results: Results, servers: list[str], failures: dict[tuple[str, str], str]) -> str:
    """One row for each metric, one column for each server; medians. The latencies of a scenario share a row."""
    lines = [f"| | {' | '.join(servers)} |", f"|---|{'---|' * len(servers)}"]
    for scenario, metrics in results.items():
        for title, row in rows(metrics):
            cells = []
            for server in servers:
                values = [metrics[metric].get(server) for metric in row]
                if all(values):
                    cells.append(" / ".join(number(statistics.median(value)) for value in values))
                else:
                    cells.append("failed" if (scenario, server) in failures else "–")
            lines.append(f"| {scenario}: {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def rows(metrics: dict[str, dict[str, list[float]]]) -> list[tuple[str, list[str]]]:
    """The rows' titles, and the metrics that each shows."""
    latencies = [metric for metric in metrics if metric.split()[0] in ("p50", "p99", "max")]
    result = [(metric, [metric]) for metric in metrics if metric not in latencies]
    if latencies:
        title = " / ".join(metric.split()[0] for metric in latencies)
        result.append((f"{title}, {latencies[0].split()[1]}", latencies))
    return result


def summary(results: Results) -> dict:
    """What the JSON file has of each metric."""
    return {
        scenario: {
            metric: {
                server: {"median": statistics.median(values), "values": values} for server, values in by_server.items()
            }
            for metric, by_server in metrics.items()
        }
        for scenario, metrics in results.items()
    }
