"""The state of the source tree that a run came from, asked of git itself; it takes no lock of the repository.

A package that was sent to a cluster has no repository: there the sender's answer lies in `.submission/`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from gatesweep.config.git import ask
from gatesweep.errors import ConfigError

PATCH_BYTES = 2**20
TIMEOUT_S = 10.0
SENT = ".submission"
"""The folder of a package that holds its sender's `lock.json` and `diff.patch`."""
_PLATFORM = Path(__file__).parents[1]
_SOURCES = frozenset({".py", ".pyi", ".cpp", ".cc", ".c", ".cu", ".h", ".hpp", ".yaml", ".yml", ".toml", ".cfg",
                      ".json", ".sh", ".dvc", ".md", ".txt", ".ipynb"})


@dataclass(frozen=True)
class Tree:
    """A source tree at one moment. `commit` is none outside a repository, and `why` says so."""

    commit: str | None = None
    branch: str | None = None
    dirty: bool | None = None
    """Tracked files differ from the commit; none where there is no commit to differ from."""
    remote: str | None = None
    untracked: tuple[str, ...] = ()
    """Source files that git does not know: they may have been imported; of ignored ones, those that were."""
    patch: str | None = None
    """The difference to the commit, for `git apply`, `captured` files included; none in a clean tree."""
    patch_cut: bool = False
    """The difference was longer than a MiB and is not whole."""
    why: str | None = None
    captured: tuple[str, ...] = ()
    """Those of `untracked` that the patch makes again: Python's, which can be imported, where it stays whole."""
    folder: str = ""
    """Where in the tree the process stood."""
    outside: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Modules that the process had imported from outside of the tree and of its environment: path -> SHA-256."""

    @property
    def lost(self) -> str | None:
        """Why the tree cannot be had again from its commit and patch; none where it can."""
        left = [name for name in self.untracked if name.endswith(".py") and name not in self.captured]
        if self.commit is None:
            return self.why or "it ran outside of a git repository"
        if self.patch_cut:
            return f"the difference to commit {self.commit[:12]} was over {PATCH_BYTES:,} bytes and is not whole"
        return f"files that git does not know were too long to be kept: {', '.join(left[:3])}" if left else None


def read_tree(root: Path) -> Tree:
    """The tree around `root`. Three to eight calls of git, some ten milliseconds in all."""
    if (root / SENT / "lock.json").is_file():
        return _sent_tree(root / SENT)
    try:
        status = _git(root, "status", "--porcelain=v2", "--branch", "-z", "--untracked-files=all")
    except FileNotFoundError:
        return Tree(why="git is not installed")
    except (subprocess.SubprocessError, OSError) as error:
        return Tree(why=f"git does not answer: {_said(error)}")
    head, changed, untracked = _parse(status)
    commit = head.get("branch.oid")
    if commit in (None, "(initial)"):
        return Tree(branch=head.get("branch.head"), untracked=untracked, why="the repository has no commit yet")
    top, folder = _places(root)
    untracked += _ignored_and_imported(root, top)
    modules = tuple(name for name in untracked if name.endswith(".py"))
    patch, cut, captured = _patch(root, changed, modules) if changed or modules else (None, False, ())
    branch = head.get("branch.head")
    return Tree(commit, None if branch == "(detached)" else branch, changed, _remote(root), untracked, patch, cut, None,
                captured, folder, _outside(top))


def _sent_tree(folder: Path) -> Tree:
    """The tree as it was where the package was made."""
    try:
        code = json.loads((folder / "lock.json").read_text(encoding="utf-8"))["code"]
        patch = (folder / "diff.patch").read_bytes().decode() if code["patch"] else None
        return tree_from(code, patch)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"the package does not say which code it holds: {error!r}", place=str(folder),
                          hint="submit again") from None


def tree_from(code: Mapping[str, Any], patch: str | None) -> Tree:
    """The tree that a `lock.json` tells of under `code`; locks of before say neither `captured` nor `folder`."""
    return Tree(code["commit"], code["branch"], code["dirty"], code["remote"], tuple(code["untracked"]), patch,
                bool(code["patch_cut"]), code["why_not"], tuple(code.get("captured", ())), code.get("folder", ""),
                code.get("outside", {}))


_WHATEVER_IS_SET = ("--binary", "--no-color", "--no-ext-diff", "--no-textconv", "--no-relative", "--src-prefix=a/",
                    "--dst-prefix=b/")  # fmt: skip
"""A patch that `git apply` takes, whatever the user's settings are."""


def _git(root: Path, *words: str, index: Path | None = None) -> bytes:
    """What git answers; where it refuses, a CalledProcessError."""
    asked = ask(root, *words, index=index, timeout_s=TIMEOUT_S)
    asked.check_returncode()
    return asked.stdout


def _said(error: BaseException) -> str:
    text = getattr(error, "stderr", None)
    lines = text.decode(errors="replace").strip().splitlines() if isinstance(text, bytes) else []
    return lines[0] if lines else str(error)


def _parse(status: bytes) -> tuple[dict[str, str], bool, tuple[str, ...]]:
    """Branch headers, whether tracked files differ, and untracked source files, of `status --porcelain=v2 -z`."""
    head: dict[str, str] = {}
    changed, untracked, skip = False, [], False
    for entry in status.decode(errors="replace").split("\0"):
        if skip:  # the second path of a rename
            skip = False
        elif entry.startswith("# "):
            key, _, value = entry[2:].partition(" ")
            head[key] = value
        elif entry.startswith("? "):
            if Path(entry[2:]).suffix in _SOURCES:
                untracked.append(entry[2:])
        elif entry[:2] in ("1 ", "2 ", "u "):
            changed, skip = True, entry.startswith("2 ")
    return head, changed, tuple(untracked)


def _places(root: Path) -> tuple[Path, str]:
    """The top of the tree, and `root` relative to it."""
    asked = _git(root, "rev-parse", "--show-toplevel", "--show-prefix").decode(errors="replace")
    top, _, prefix = asked.partition("\n")
    return Path(top), prefix.strip().rstrip("/")


def _imported() -> set[Path]:
    """The source files of this process's modules, but for an environment's packages, Python's own, and the platform."""
    kept = tuple(f"{each}{os.sep}" for each in (sys.prefix, sys.base_prefix, sysconfig.get_path("stdlib"), _PLATFORM))
    files = {str(getattr(each, "__file__", None) or "") for each in list(sys.modules.values())}
    return {Path(file) for file in files if file.endswith(".py") and file.startswith(os.sep)
            and not file.startswith(kept) and "site-packages" not in file and "dist-packages" not in file}  # fmt: skip


def _ignored_and_imported(root: Path, top: Path) -> tuple[str, ...]:
    """Modules of this process that lie in the tree and that git is told to ignore."""
    inside = [path.relative_to(top).as_posix() for path in _imported() if path.is_relative_to(top)]
    if not inside:
        return ()
    asked = ask(top, "check-ignore", "-z", "--stdin", given="\0".join(sorted(inside)).encode(), timeout_s=TIMEOUT_S)
    return tuple(filter(None, asked.stdout.decode(errors="replace").split("\0")))


def _outside(top: Path) -> Mapping[str, str]:
    """Modules of this process that lie in no tree and no environment: path -> SHA-256."""
    found = {}
    for path in sorted(each for each in _imported() if not each.is_relative_to(top)):
        with contextlib.suppress(OSError):  # gone since it was imported
            found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def _patch(root: Path, changed: bool, modules: tuple[str, ...]) -> tuple[str | None, bool, tuple[str, ...]]:
    """The difference to the commit, whether it was cut, and which of the `modules` it holds: all, or none."""
    raw = _difference(root, modules)
    if len(raw) > PATCH_BYTES and modules:
        raw, modules = (_difference(root) if changed else b""), ()
    if len(raw) <= PATCH_BYTES:
        return raw.decode(errors="replace") or None, False, modules
    return raw[:raw.rfind(b"\n", 0, PATCH_BYTES) + 1].decode(errors="replace"), True, ()


def _difference(root: Path, modules: tuple[str, ...] = ()) -> bytes:
    """`modules` are files that git does not know: for this question alone, an index of its own says that it does."""
    words = ("diff", "HEAD", *_WHATEVER_IS_SET)
    if not modules:
        return _textual(root, words)
    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder) / "index"
        shutil.copyfile(root / _git(root, "rev-parse", "--git-path", "index").decode().strip(), index)
        paths = (f":(top,literal){name}" for name in modules)
        _git(root, "add", "--force", "--intent-to-add", "--", *paths, index=index)
        return _textual(root, words, index)


def _textual(root: Path, words: tuple[str, ...], index: Path | None = None) -> bytes:
    """As UTF-8, which an artifact is: where a changed file is not, all of them as binary patches."""
    raw = _git(root, *words, index=index)
    try:
        raw.decode()
    except UnicodeDecodeError:
        with tempfile.NamedTemporaryFile("w") as attributes:
            attributes.write("* binary\n")
            attributes.flush()
            return _git(root, "-c", f"core.attributesFile={attributes.name}", *words, index=index)
    return raw


def _remote(root: Path) -> str | None:
    try:
        address = _git(root, "config", "--get", "remote.origin.url").decode().strip()
    except subprocess.CalledProcessError:  # no such remote
        return None
    return without_credentials(address)


def without_credentials(address: str) -> str:
    """A remote's address without user, password, and query: `https://user:token@host/repo` -> `https://host/repo`."""
    parts = urlsplit(address)
    if not parts.scheme or not parts.netloc:
        return address  # a path, or git@host:repo, which carries no secret
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
