"""Reads metrics as Prometheus does."""

import re

from prometheus_client.parser import text_string_to_metric_families

from support.http import HTTPClient


class Metrics:
    """What one scrape has returned."""

    def __init__(self, text: str):
        self.names = re.findall(r"^# TYPE (\S+) ", text, re.M)
        assert len(self.names) == len(set(self.names))
        self._samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        series = [(sample.name, *sorted(sample.labels.items())) for sample in self._samples]
        assert len(series) == len(set(series)), "each series is there once"
        self.series = set(series)

    def values(self, name: str, **labels: str) -> list[float]:
        """The values of the series that have these labels."""
        return [s.value for s in self._samples if s.name == name and labels.items() <= s.labels.items()]

    def __call__(self, name: str, **labels: str) -> float:
        """Their sum."""
        return sum(self.values(name, **labels))


def scrape(http: HTTPClient, headers: dict[str, str] | None = None) -> Metrics:
    response = http.request("GET", "/metrics", headers=headers)
    assert response.status == 200, response
    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return Metrics(response.body.decode())
