"""A container engine of a test's own: buildah and podman with their own storage, networks and volumes.

Needs root, buildah, podman, runc, netavark, aardvark-dns, iptables and debootstrap. Nothing is pulled: the base is made
from Debian's packages and carries the name of the base that docker/Dockerfile asks for.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PLANTED = "planted-secret-5f2c1d"
"""What lies in files beside the sources while images are built."""
BASE = "docker.io/library/debian:bookworm-slim"
# as the real base has it
SLIM = "".join(f"path-exclude /usr/share/{name}/*\n" for name in ("doc", "info", "lintian", "locale", "man"))
LEAN = ("usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/lintian", "var/cache/apt",
        "var/lib/apt/lists", "var/log")  # fmt: skip
CLEANING_S = 60.0
CONTAINERS = """
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=8192:8192"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
lock_type = "file"
tmp_dir = "{folder}/tmp"
static_dir = "{folder}/libpod"
volume_path = "{folder}/volumes"
[network]
network_backend = "netavark"
network_config_dir = "{folder}/networks"
"""
STORAGE = '[storage]\ndriver = "overlay"\ngraphroot = "{folder}/storage"\nrunroot = "{folder}/run"\n'


@dataclass(frozen=True)
class Image:
    """One that was built."""

    tag: str
    revision: str


class Engine:
    """One of its own, below a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        texts = {"CONTAINERS_CONF": CONTAINERS, "CONTAINERS_STORAGE_CONF": STORAGE,
                 "CONTAINERS_REGISTRIES_CONF": "unqualified-search-registries = []\n"}  # fmt: skip
        for name, text in texts.items():
            (folder / name.lower()).write_text(text.format(folder=folder))
        self.environment = {**os.environ, **{name: str(folder / name.lower()) for name in texts}}

    def __call__(self, *words: str, timeout_s: float = 300, check: bool = True) -> str:
        """podman's answer."""
        return self.run(["podman", *words], timeout_s=timeout_s, check=check)

    def run(self, command: Sequence[str], *, timeout_s: float = 300, check: bool = True,
            cwd: Path | None = None, **variables: str) -> str:  # fmt: skip
        """Any program that is to find this engine."""
        done = subprocess.run(command, env={**self.environment, **variables}, cwd=cwd, timeout=timeout_s, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, check=False)  # fmt: skip
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout[-4000:]}\n"
                               f"{done.stderr[-4000:]}")  # fmt: skip
        return done.stdout

    def make_base(self) -> None:
        """The base image, from Debian's packages; nothing where an earlier test made it."""
        if self.has(BASE):
            return
        root = self.folder / "base"
        subprocess.run(["debootstrap", "--variant=minbase", "bookworm", str(root)], check=True, capture_output=True,
                       timeout=600)  # fmt: skip
        for name in LEAN:
            for path in (root / name).iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        (root / "etc/dpkg/dpkg.cfg.d/slim").write_text(SLIM)
        archive = self.folder / "base.tar"
        subprocess.run(["tar", "-C", str(root), "-cf", str(archive), "."], check=True, timeout=300)
        self("import", str(archive), BASE)
        archive.unlink()
        shutil.rmtree(root)

    def has(self, image: str) -> bool:
        return bool(self("images", "-q", image))

    def build(self, context: Path, target: str, tag: str, *, file: str = "Dockerfile", mounts: Iterable[str] = (),
              **arguments: str) -> None:  # fmt: skip
        """One target of a Dockerfile; layers that are there already are taken."""
        words = ["buildah", "bud", "--isolation", "chroot", "--layers", "--format", "docker", "--pull-never",
                 *(word for mount in mounts for word in ("-v", mount)),
                 *(word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")),
                 "-f", file, "--target", target, "-t", tag, "."]  # fmt: skip
        self.run(words, timeout_s=1500, cwd=context)

    def inspect(self, image: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self("image", "inspect", image))[0]
        return found

    def layers(self, image: str) -> list[Path]:
        """Where the files of every layer lie, also of those that a later layer hides."""
        data = self.inspect(image)["GraphDriver"]["Data"]
        return [Path(part) for key in ("UpperDir", "LowerDir") for part in data.get(key, "").split(":") if part]

    def close(self, *, keep: bool) -> None:
        """End and remove what this engine started, by id; its images too, unless they are to be kept."""
        kinds = {"ps -aq": "rm -f -t 0", "volume ls -q": "volume rm -f", "network ls -q": "network rm"}
        for kind, remove in kinds.items():
            if ids := [each for each in self(*kind.split()).split() if each != "podman"]:
                self(*remove.split(), *ids)
        self._end_processes()
        if not keep:
            below = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
            for place in sorted((each for each in below if each.startswith(f"{self.folder}/")), reverse=True):
                subprocess.run(["umount", place], check=True)
            shutil.rmtree(self.folder)

    def _end_processes(self) -> None:
        """podman's own cleaners write into the folder for a while after a container is gone: wait, then end them."""
        ends = time.monotonic() + CLEANING_S
        while left := list(self._processes()):
            if time.monotonic() > ends:
                for each in left:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(each, signal.SIGKILL)
            time.sleep(0.2)

    def _processes(self) -> Iterator[int]:
        """Whatever was started with this engine's settings."""
        mark = f"CONTAINERS_CONF={self.folder}/".encode()
        for file in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if any(each.startswith(mark) for each in file.read_bytes().split(b"\0")):
                    yield int(file.parent.name)


def host_mounts(folder: Path) -> list[str]:
    """This machine's ways to packages, for RUN: pip's index and certificates, apt's settings; mounted, never copied.

    pip's are found by root below /root, by another user through PIP_CONFIG_FILE=/root/.pip/pip.conf.
    """
    settings, mounts = _pip_settings(), []
    home = folder / "root"
    (home / ".pip").mkdir(parents=True)
    for name, value in settings.items():
        words = []
        for word in value.split():
            path = Path(word.removeprefix("file://"))
            if path.is_absolute() and path.exists():
                shared = path.parent if word.startswith("file://") else path  # an index beside its files
                inside = f"local/{len(mounts)}"
                _like(shared, home / inside)
                mounts.append(f"{shared}:/root/{inside}:ro")
                word = word.replace(str(shared), f"/root/{inside}")
            words.append(word)
        settings[name] = " ".join(words)
    lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
    (home / ".pip/pip.conf").write_text(f"[global]\n{lines}")
    apt = folder / "apt.conf.d"
    apt.mkdir()
    told = subprocess.run(["apt-config", "dump"], check=True, capture_output=True, text=True).stdout.splitlines()
    wanted = ("Acquire::http", "Acquire::https", "Acquire::Check")
    (apt / "99host").write_text("".join(f"{line}\n" for line in told if line.startswith(wanted)))
    return [f"{home}:/root:ro", *mounts, f"{apt}:/etc/apt/apt.conf.d"]


def _like(path: Path, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    target.mkdir() if path.is_dir() else target.touch()


def _pip_settings() -> dict[str, str]:
    """What pip is told on this machine of where packages are; variables before files."""
    wanted = ("index-url", "extra-index-url", "find-links", "trusted-host", "cert", "proxy", "timeout")
    command = [sys.executable, "-m", "pip", "config", "list"]
    found: Mapping[str, str] = dict(line.split("=", 1) for line in subprocess.run(
        command, check=True, capture_output=True, text=True).stdout.splitlines() if "=" in line)  # fmt: skip
    told = {name: found.get(f":env:.{name}", found.get(f"global.{name}")) for name in wanted}
    return {name: value.strip("'\"").replace(r"\n", " ") for name, value in told.items() if value}
