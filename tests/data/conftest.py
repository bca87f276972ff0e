"""A small world: a wheel with two sets, a catalogue that points to it, a repository that pins them."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from gatesweep.data import catalogue, pins

HOURS = "".join(f"2024-01-{1 + i // 24:02d} {i % 24:02d}:00:00,{100 + i}\n" for i in range(72))
MEMBERS = {"tiny_data/hours.csv": "time,load\n" + HOURS,
           "tiny_data/days.csv": "day,price\n2024-01-01,1.5\n2024-01-02,2.5\n"}
WHEEL = "gatesweep_tiny_data-1.0-py3-none-any.whl"


@dataclass(frozen=True)
class World:
    """Where the small world's things lie."""

    root: Path
    home: Path
    links: Path
    catalogue: Path

    def run(self, *command: str, check: bool = True) -> str:
        """stdout of a command in the repository."""
        done = subprocess.run(command, cwd=self.root, capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def dvc(self, *arguments: str, check: bool = True) -> str:
        """The dvc that a user would call."""
        return self.run(sys.executable, "-m", "dvc", *arguments, check=check)

    def python(self, code: str) -> subprocess.Popen[str]:
        """A process of its own that sees this world's catalogue."""
        start = ("from pathlib import Path\nfrom gatesweep.data import catalogue\n"
                 f"catalogue.PATH = Path({str(self.catalogue)!r})\n")
        return subprocess.Popen([sys.executable, "-c", start + code], cwd=self.root, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def _write_wheel(place: Path, members: dict[str, str]) -> None:
    info = "gatesweep_tiny_data-1.0.dist-info"
    listed = {**members, f"{info}/METADATA": "Metadata-Version: 2.1\nName: gatesweep-tiny-data\nVersion: 1.0\n",
              f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
              "tiny_data/__init__.py": "raise RuntimeError('a data package must never be imported')\n"}
    record = "".join(f"{name},,\n" for name in (*listed, f"{info}/RECORD"))
    with zipfile.ZipFile(place, "w") as archive:
        for name, text in {**listed, f"{info}/RECORD": record}.items():
            archive.writestr(name, text)


def _declared(wheel: Path) -> dict[str, object]:
    def entry(file: str, time: str, target: str) -> dict[str, object]:
        text = MEMBERS[f"tiny_data/{file}"].encode()
        member = {"member": f"tiny_data/{file}", "md5": hashlib.md5(text).hexdigest(), "size_bytes": len(text)}
        return {"title": file, "source": "tiny", "licence": "CC0", "origin": "a test", "rows": text.count(b"\n") - 1,
                "files": {file: member}, "series": {"main": {"file": file, "time": [time], "target": target}}}

    source = {"package": "gatesweep-tiny-data", "version": "1.0", "wheel": WHEEL, "licence": "MIT",
              "sha256": hashlib.sha256(wheel.read_bytes()).hexdigest(), "size_bytes": wheel.stat().st_size}
    return {"sources": {"tiny": source}, "sets": {"hours": entry("hours.csv", "time", "load"),
                                                 "days": entry("days.csv", "day", "price")}}


@pytest.fixture
def write_wheel() -> Callable[[Path, dict[str, str]], None]:
    """Writes a wheel of the tiny package with other members."""
    return _write_wheel


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A git and DVC repository with two pinned sets, and a folder of wheels instead of an index."""
    links, root = tmp_path / "links", tmp_path / "repo"
    links.mkdir()
    (root / ".dvc").mkdir(parents=True)
    _write_wheel(links / WHEEL, MEMBERS)
    declared = tmp_path / "catalogue.yaml"
    declared.write_text(yaml.safe_dump(_declared(links / WHEEL), sort_keys=False))
    monkeypatch.setattr(catalogue, "PATH", declared)
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(links), "GATESWEEP_HOME": str(tmp_path / "home"),
                        "DVC_NO_ANALYTICS": "1", "DVC_GLOBAL_CONFIG_DIR": str(tmp_path / "dvc-config"),
                        "DVC_SITE_CACHE_DIR": str(tmp_path / "dvc-site")}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("GATESWEEP_ROOT", raising=False)
    (root / ".dvc" / "config").write_text("[core]\n    analytics = false\n")
    (root / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
    (root / ".gitignore").write_text("/data/\n")
    outs = [{"md5": pins.digest_of(entry.md5s), "size": entry.size_bytes, "nfiles": 1, "hash": "md5",
             "path": f"data/{name}"} for name, entry in catalogue.load().sets.items()]
    (root / "data.dvc").write_text(yaml.safe_dump({"outs": outs}, sort_keys=False))
    made = World(root, tmp_path / "home", links, declared)
    made.run("git", "init", "-q")
    made.run("git", "add", "-A")
    made.run("git", "-c", "user.name=T", "-c", "user.email=t@example.org", "commit", "-q", "-m", "pins")
    monkeypatch.chdir(root)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(catalogue.__file__).parents[2]), *sys.path[1:]]))
    return made


@pytest.fixture
def cached_wheel(world: World) -> World:
    """The world with its wheel already in the home's cache, so that pip need not run."""
    cache = world.home / "cache" / "sources"
    cache.mkdir(parents=True)
    (cache / WHEEL).write_bytes((world.links / WHEEL).read_bytes())
    return world
