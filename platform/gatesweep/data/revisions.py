"""`data.dvc` as git has it: at a revision, or at every commit that changed it. Nothing is checked out."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..config.git import ask
from ..config.places import PIN_FILE
from ..errors import DataError
from .pins import Pin, pins_in, read_pins

COMMITS = 500
"""How far back the history of the pins is read."""


@dataclass(frozen=True)
class Revision:
    """The pins at one moment."""

    name: str | None
    """As it was asked for; None: the working tree."""

    commit: str | None
    pins: dict[str, Pin]

    def __str__(self) -> str:
        if self.name is None:
            return "the working tree"
        commit = str(self.commit)[:10]
        return commit if str(self.commit).startswith(self.name) else f"{self.name} ({commit})"


def revision(root: Path, name: str | None) -> Revision:
    """What `data.dvc` says at a revision, a tag or a branch; none of them: in the working tree. Before there was a
    `data.dvc`, nothing was pinned.

    Raises:
        DataError: no such revision, or no repository of git.
    """
    if name is None:
        return Revision(None, None, read_pins(root))
    commit = commit_of(root, name)
    return Revision(name, commit, _pins_at(root, commit))


def committed(root: Path, name: str) -> str | None:
    """The md5 that the last commit pins for a set; None where it pins none, or there is no git to tell."""
    try:
        told = git(root, "show", f"HEAD:./{PIN_FILE}")
        pin = pins_in(told, root, f"{PIN_FILE} at HEAD").get(name) if told is not None else None
    except DataError:
        return None
    return pin.md5 if pin else None


def commit_of(root: Path, name: str) -> str:
    """The full id of a commit.

    Raises:
        DataError: no such revision, or no repository of git.
    """
    found = git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    if found is None:
        if git(root, "rev-parse", "--git-dir") is None:
            raise DataError("no repository of git, so there are no revisions", place=str(root), hint="git init")
        raise DataError(f"no revision {name!r} here", place=str(root),
                        hint=f"git log --oneline -- {PIN_FILE} lists those that changed the pins; of a shallow clone "
                             "git fetch --unshallow brings the others")
    return found.strip()


def history(root: Path) -> Iterator[Revision]:
    """Every commit of any branch or tag that changed `data.dvc`, newest first; none outside a repository."""
    told = git(root, "log", "--all", f"--max-count={COMMITS}", "--format=%H", "--", PIN_FILE)
    for commit in (told or "").split():
        try:
            yield Revision(commit, commit, _pins_at(root, commit))
        except DataError:  # a commit in the middle of a merge may hold anything
            continue


def _pins_at(root: Path, commit: str) -> dict[str, Pin]:
    text = git(root, "show", f"{commit}:./{PIN_FILE}")
    return {} if text is None else pins_in(text, root, f"{PIN_FILE} at {commit[:10]}")


def git(root: Path, *words: str) -> str | None:
    """What git answers; None where it refuses.

    Raises:
        DataError: there is no git, or it does not end.
    """
    try:
        done = ask(root, *words)
    except (OSError, subprocess.SubprocessError) as error:
        raise DataError(f"git does not answer: {error}", place=str(root), hint="is git installed?") from error
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None
