"""The state of the source tree that a run came from, asked of git itself; it takes no lock of the repository.

A package that was sent to a cluster has no repository: there the sender's answer lies in `.submission/`.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from gatesweep.errors import ConfigError

PATCH_BYTES = 2**20
TIMEOUT_S = 10.0
SENT = ".submission"
"""The folder of a package that holds its sender's `lock.json` and `diff.patch`."""
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
    """Source files that git does not know: they may have been imported."""
    patch: str | None = None
    """The difference to the commit, for `git apply`; none in a clean tree."""
    patch_cut: bool = False
    """The difference was longer than a MiB and is not whole."""
    why: str | None = None


def read_tree(root: Path) -> Tree:
    """The tree around `root`. Two to four calls of git, some ten milliseconds in all."""
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
    patch, cut = _patch(root) if changed else (None, False)
    branch = head.get("branch.head")
    return Tree(commit, None if branch == "(detached)" else branch, changed, _remote(root), untracked, patch, cut)


def _sent_tree(folder: Path) -> Tree:
    """The tree as it was where the package was made."""
    try:
        code = json.loads((folder / "lock.json").read_text(encoding="utf-8"))["code"]
        patch = (folder / "diff.patch").read_bytes().decode() if code["patch"] else None
        return Tree(code["commit"], code["branch"], code["dirty"], code["remote"], tuple(code["untracked"]), patch,
                    bool(code["patch_cut"]), code["why_not"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"the package does not say which code it holds: {error!r}", place=str(folder),
                          hint="submit again") from None


def _git(root: Path, *words: str) -> bytes:
    """One call of git, without optional locks, pagers, prompts or translations."""
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    return subprocess.run(["git", "-C", str(root), *words], env=environment, capture_output=True, check=True,
                          timeout=TIMEOUT_S, stdin=subprocess.DEVNULL).stdout


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


def _patch(root: Path) -> tuple[str, bool]:
    raw = _git(root, "diff", "HEAD", "--binary", "--no-color", "--no-ext-diff", "--no-textconv")
    if len(raw) <= PATCH_BYTES:
        return raw.decode(errors="replace"), False
    return raw[:raw.rfind(b"\n", 0, PATCH_BYTES) + 1].decode(errors="replace"), True


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
