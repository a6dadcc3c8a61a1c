"""What a process uses, as the kernel counts it."""

import os
from dataclasses import dataclass
from pathlib import Path

_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """The processor time used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS


def file_descriptors(pid: int) -> int:
    """How many files and sockets are open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def resident_bytes(pid: int) -> int:
    """The memory in use."""
    return _status(pid, "VmRSS") * 1024


def threads(pid: int) -> int:
    return _status(pid, "Threads")


def _status(pid: int, key: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1])
    raise AssertionError(f"no {key} of process {pid}")


@dataclass(frozen=True)
class Usage:
    """All of it at one moment."""

    file_descriptors: int
    threads: int
    resident_bytes: int

    @staticmethod
    def of(pid: int) -> "Usage":
        return Usage(file_descriptors(pid), threads(pid), resident_bytes(pid))
