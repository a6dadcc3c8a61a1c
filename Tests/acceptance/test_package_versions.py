"""Package.resolved is not committed, because its commits may be missing elsewhere. Versions have bounds instead."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ["", "Benchmarks/hummingbird-bare/", "Benchmarks/peers/grpc-swift/"]

pytestmark = [
    pytest.mark.repository,
    pytest.mark.skipif(not (ROOT / "dev").exists() or not shutil.which("git"), reason="needs the sources and git"),
]


def git(*arguments: str, at: Path) -> subprocess.CompletedProcess:
    return subprocess.run(["git", *arguments], cwd=at, capture_output=True, text=True, timeout=30)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository with our scripts and our .gitignore."""
    for name in ("dev", ".gitignore"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    git("init", "--quiet", at=tmp_path)
    return tmp_path


@pytest.mark.parametrize("package", PACKAGES)
def test_git_ignores_what_a_build_resolves(clone: Path, package: str) -> None:
    assert git("check-ignore", f"{package}Package.resolved", at=clone).returncode == 0


@pytest.mark.parametrize("package", PACKAGES)
def test_the_lint_refuses_a_tracked_package_resolved(clone: Path, package: str) -> None:
    path = clone / package / "Package.resolved"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}")
    git("add", "--force", str(path), at=clone)
    lint = subprocess.run(["./dev", "lint"], cwd=clone, capture_output=True, text=True, timeout=30)
    assert lint.returncode == 1
    assert f"git tracks {package}Package.resolved" in lint.stderr


@pytest.mark.parametrize("package", PACKAGES)
def test_dependencies_allow_only_patch_releases(package: str) -> None:
    dependencies = [line for line in (ROOT / package / "Package.swift").read_text().splitlines() if "url:" in line]
    assert dependencies and all(".upToNextMinor(from:" in line for line in dependencies)
