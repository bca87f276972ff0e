"""What travels to a cluster: the project's files, measured first; never `.git`, data sets, caches or secrets.

    the project     git: tracked files, and untracked ones that are not ignored; without git: every file
    .submission/    the sweep, the cluster's file, and the sender's lock.json and diff.patch: there is no git over there
"""

from __future__ import annotations

import os
import subprocess
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

import gatesweep
from gatesweep.config.git import ask
from gatesweep.data import catalogue, hashing
from gatesweep.data.pins import PIN_FILE, read_pins
from gatesweep.errors import UserError
from gatesweep.track.git import SENT

MB = 1_000_000
LEFT_OUT = frozenset({
    ".git", ".gatesweep", ".venv", "venv", "__pycache__", "node_modules", ".ipynb_checkpoints", ".tox", ".hypothesis",
    ".pytest_cache", ".mypy_cache", ".ruff_cache", ".import_linter_cache", ".ssh", ".aws", SENT,
})  # fmt: skip
"""Folders that are never sent, whatever git says."""
PRIVATE = (".env", ".env.*", ".netrc", ".pypirc", "*.pem", "*.key", "*.p12", "id_rsa", "id_ed25519", "config.local",
           "auth_token", "basic_auth.ini", "*.sql", "*.dump")  # fmt: skip
"""Files that commonly hold secrets, dumps of databases among them."""
_OWN = "platform/gatesweep"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same files make the same archive, which Ray then has already
_JOB = b"from gatesweep.cli.job import sweep\n\nsweep()\n"


@dataclass(frozen=True)
class Entry:
    """One file: its name in the package, and where it is."""

    name: str
    source: Path
    size_bytes: int


@dataclass(frozen=True)
class Contents:
    """Every file that is to be sent."""

    root: Path
    entries: tuple[Entry, ...]
    left_out: tuple[str, ...] = ()
    """Files that look like secrets and stay here."""

    @property
    def size_bytes(self) -> int:
        """Before compression."""
        return sum(entry.size_bytes for entry in self.entries)

    def largest(self, count: int = 5) -> list[Entry]:
        """The largest files, the largest first."""
        return sorted(self.entries, key=lambda entry: (-entry.size_bytes, entry.name))[:count]

    def holds(self, path: Path) -> bool:
        """Whether a file of the project, or all of a folder, is among them."""
        sources = {entry.source for entry in self.entries}
        below = hashing.entries(path) if path.is_dir() else []
        return path in sources or (bool(below) and sources.issuperset(below))


def measure(root: Path, *, exclude: Sequence[str] = (), private: Iterable[Path] = (), away: Iterable[Path] = ()
            ) -> Contents:  # fmt: skip
    """The files below `root` that would be sent, and their sizes.

    Args:
        exclude: the user's patterns: `notebooks/` for a folder, `*.pt` for names or paths.
        private: files that secrets are referred to by; they stay here wherever they lie.
        away: further files and folders that stay: the home folder, a cluster's storage.
    """
    root = root.resolve()
    secret = {path.expanduser().resolve() for path in private}
    stay = {*_data_folders(root), *(path.resolve() for path in away)}
    entries, left_out = [], []
    for name in sorted(set(_listed(root))):
        path = root / name
        if _stays(name, path, stay, exclude) or not path.is_file():
            continue
        if path.resolve() in secret or any(fnmatch(path.name, pattern) for pattern in PRIVATE):
            left_out.append(name)
            continue
        entries.append(Entry(name, path, path.stat().st_size))
    return Contents(root, (*entries, *_own_source(root, entries)), tuple(left_out))


def _listed(root: Path) -> Iterator[str]:
    """Names below `root`: git's answer where there is git, else what lies there."""
    try:
        done = ask(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard", timeout_s=600)
        done.check_returncode()
    except (OSError, subprocess.CalledProcessError):  # no git, no repository
        yield from _walked(root, root)
        return
    for name in filter(None, os.fsdecode(done.stdout).split("\0")):
        path = root / name
        if path.is_dir() and not path.is_symlink():  # a submodule, or a repository inside this one
            yield from (f"{name.rstrip('/')}/{below}" for below in _listed(path))
        else:
            yield name


def _walked(folder: Path, root: Path) -> Iterator[str]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in LEFT_OUT)
        yield from ((Path(place) / name).relative_to(root).as_posix() for name in files)


def _data_folders(root: Path) -> set[Path]:
    pinned = [pin.path for pin in read_pins(root).values()] if (root / PIN_FILE).is_file() else []
    return {root / ".dvc" / "cache", root / ".dvc" / "tmp", *pinned, *(root / "data" / n for n in catalogue.names())}


def _stays(name: str, path: Path, stay: set[Path], exclude: Sequence[str]) -> bool:
    parts = PurePosixPath(name).parts
    if LEFT_OUT & set(parts) or name.endswith(".pyc") or any(part.endswith(".egg-info") for part in parts):
        return True
    return bool(stay & {path, *path.parents}) or any(_matches(name, pattern) for pattern in exclude)


def _matches(name: str, pattern: str) -> bool:
    """As in a .gitignore, without its exceptions: `folder/`, `*.ext`, `a/b*.csv`."""
    path = PurePosixPath(name)
    if pattern.endswith("/"):
        folders = [str(parent) for parent in path.parents]
        return any(fnmatch(each, pattern.strip("/")) or fnmatch(each, f"*/{pattern.strip('/')}") for each in folders)
    return fnmatch(name, pattern.lstrip("/")) or ("/" not in pattern and fnmatch(path.name, pattern))


def _own_source(root: Path, entries: Sequence[Entry]) -> list[Entry]:
    """gatesweep itself, where the project is another one: driver and workers run the code that was submitted."""
    if any(entry.name == f"{_OWN}/__init__.py" for entry in entries):
        return []
    source = Path(gatesweep.__file__).parent
    names = (name for name in _walked(source, source) if not name.endswith(".pyc"))
    return [Entry(f"{_OWN}/{name}", source / name, (source / name).stat().st_size) for name in sorted(names)]


def refuse_large(contents: Contents, limit_mb: int) -> None:
    """Refuse what the cluster would not take, before it is sent.

    Raises:
        UserError: with the largest files, and what to do.
    """
    if contents.size_bytes <= limit_mb * MB:
        return
    files = "\n".join(f"  {line}" for line in sizes(contents))
    raise UserError(
        f"the package would hold {contents.size_bytes / MB:.1f} MB, and the limit is {limit_mb} MB; its largest"
        f" files:\n{files}", place=str(contents.root),
        hint="add them to .gitignore, or to `package: {exclude: [" + contents.largest(1)[0].name + "]}` of the"
             " cluster's file; data belongs into DVC (`dvc add`), and workers fetch it from there")  # fmt: skip


def sizes(contents: Contents, count: int = 5) -> list[str]:
    """A line for each of the largest files."""
    return [f"{entry.size_bytes / MB:8.2f} MB  {entry.name}" for entry in contents.largest(count)]


def pack(contents: Contents, extra: Mapping[str, bytes], target: Path, secrets: Mapping[str, bytes]) -> Path:
    """Write the archive that Ray unpacks as the job's working folder.

    Args:
        extra: further files by name, such as `.submission/lock.json`.
        secrets: values that must stand in none of the files, by the name under which they are referred to.

    Raises:
        UserError: one of them does.
    """
    files = {entry.name: entry.source for entry in contents.entries}
    made = {**extra} if "jobs/sweep.py" in files else {"jobs/sweep.py": _JOB, **extra}
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted({*files, *made}):
            content = made[name] if name in made else files[name].read_bytes()
            _refuse_secret(name, content, secrets)
            info = zipfile.ZipInfo(name, _EPOCH)
            info.external_attr = (0o755 if name in files and os.access(files[name], os.X_OK) else 0o644) << 16
            archive.writestr(info, content, zipfile.ZIP_DEFLATED)
    return target


def _refuse_secret(name: str, content: bytes, secrets: Mapping[str, bytes]) -> None:
    for secret, value in secrets.items():
        if len(value) >= 8 and value in content:
            raise UserError(f"holds the secret that `{secret}` refers to", place=name,
                            hint="take it out of the file, and out of git's history; the package was not sent")
