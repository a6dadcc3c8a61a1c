"""What a process uses, as the kernel counts it."""

import os
import re
from pathlib import Path

_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """The processor time so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS


def thread_seconds(pid: int) -> float:
    """The processor time of the threads that run now, to the nanosecond. `cpu_seconds` counts ticks of 10 ms."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def file_descriptors(pid: int) -> int:
    """The number of open files and sockets."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def connections(port: int) -> int:
    """The number of connections to this port that its listener has accepted and neither side has closed."""
    count = 0
    for table in "/proc/net/tcp", "/proc/net/tcp6":
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            local, state, inode = fields[1], fields[3], fields[9]
            # Established; one that waits to be accepted has no inode.
            if int(local.rpartition(":")[2], 16) == port and state == "01" and inode != "0":
                count += 1
    return count


def resident_bytes(pid: int) -> int:
    """The memory in use."""
    return _status(pid, "VmRSS") * 1024


def bytes_beside_heaps(pid: int) -> int:
    """The memory in use without the allocator's heaps: code, stacks, large blocks, mapped files."""
    kilobytes, is_heap = 0, False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if mapping := re.match(r"([0-9a-f]+)-\S+ (\S+) \S+ \S+ \S+ *(.*)", line):
            begin, access, name = int(mapping[1], 16), mapping[2], mapping[3]
            # The heaps of threads begin at multiples of 64 MiB.
            is_heap = name == "[heap]" or (not name and access == "rw-p" and begin % (64 << 20) == 0)
        elif line.startswith("Rss:") and not is_heap:
            kilobytes += int(line.split()[1])
    return kilobytes * 1024


def threads(pid: int) -> int:
    return _status(pid, "Threads")


def writes_log(pid: int) -> bool:
    """Whether the thread that writes the log runs or waits for a disk."""
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            if (task / "comm").read_text() == "log\n":
                return (task / "stat").read_text().rpartition(")")[2].split()[0] in "RD"
    except (FileNotFoundError, ProcessLookupError):
        pass
    return False


def _status(pid: int, key: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1])
    raise AssertionError(f"no {key} of process {pid}")
