"""What the numbers were taken on."""

import os
import platform
import subprocess
import time
from pathlib import Path


def describe(ours: list[str]) -> dict[str, str]:
    def output(*command: str) -> str:
        try:
            return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
        except FileNotFoundError:
            return ""

    cpuinfo = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":", 1)[1].strip() for line in cpuinfo if line.startswith("model name")), "unknown")
    packages = ("libgrpc-dev", "libgrpc++-dev", "golang-go", "golang-google-grpc-dev")
    versions = {name: output("dpkg-query", "-W", "-f", "${Version}", name) for name in packages}
    return {
        "date": time.strftime("%Y-%m-%d %H:%M %Z"),
        "processor": f"{os.cpu_count()} × {model}",
        "kernel": platform.release(),
        "load average at the start": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "commit": output("git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"),
        "swift": next(iter(output("swift", "--version").splitlines()), ""),
        **{name: version for name, version in versions.items() if version},
        "command": " ".join(ours),
    }
