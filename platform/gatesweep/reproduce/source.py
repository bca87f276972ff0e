"""The source tree of a run again: a clone of the repository at the run's commit, with its difference applied.

    clone --shared, without a working tree -> checkout of the commit -> git apply diff.patch

Neither the working tree nor the repository of whoever asks is touched: the clone borrows the objects and has everything
else of its own. DVC in the clone reads and fills the same cache, and asks the same remote; where the repository may
only be read, as in a container, it has a cache of its own and the remote that the commit names.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from gatesweep.config.git import ask
from gatesweep.data.store import is_tracked, lend
from gatesweep.errors import ConfigError, NotFound, UserError
from gatesweep.track.git import Tree

TIMEOUT_S = 300.0


class Sources:
    """The trees of several runs, each made once; gone at the end.

    Args:
        root: a folder of the repository.
        here: that folder as it is, in the place of every recorded tree.
    """

    def __init__(self, root: Path, *, here: bool = False) -> None:
        self.root, self.here = root, here
        self._made: dict[Tree, tuple[Path, Path]] = {}
        self._scratch = tempfile.TemporaryDirectory(prefix="gatesweep-source-")
        self.scratch = Path(self._scratch.name)

    def __enter__(self) -> Sources:
        return self

    def __exit__(self, *error: object) -> None:
        self._scratch.cleanup()

    @property
    def top(self) -> Path | None:
        """Of the repository; none outside of one."""
        asked = _asked(self.root, "rev-parse", "--show-toplevel")
        return None if asked.returncode else Path(asked.stdout.decode().strip())

    def of(self, tree: Tree, *, run: str) -> tuple[Path, Path]:
        """The top of the tree, and the folder in it where the run stood.

        Raises:
            UserError: the tree cannot be had again, and why.
        """
        if self.here:
            folder = self.top / tree.folder if self.top else self.root
            return self.root, folder if folder.is_dir() else self.root
        if tree not in self._made:
            top = self.scratch / f"source-{len(self._made)}"
            self._made[tree] = top, check_out(tree, self.root, top, run=run)
        return self._made[tree]


def check_out(tree: Tree, here: Path, target: Path, *, run: str) -> Path:
    """Make the tree in `target`, an empty or absent folder.

    Args:
        here: a folder of the repository that has the commit.
        run: whose tree it is, for messages.

    Returns:
        The folder in it where the run stood.

    Raises:
        UserError: the tree cannot be had again, and why.
    """
    if tree.lost is not None:
        raise UserError(f"cannot be made again: {tree.lost}", place=run,
                        hint="--here trains with the code of this folder as it is now")  # fmt: skip
    commit = str(tree.commit)
    top = _top(here, run)
    if _asked(top, "cat-file", "-e", f"{commit}^{{commit}}").returncode:
        known = f"git fetch {tree.remote} brings it, if it is still there" if tree.remote else "no remote was recorded"
        raise NotFound(f"needs commit {commit}, which this repository does not have", place=run, hint=known)
    _git(top, "clone", "--quiet", "--shared", "--no-checkout", str(top), str(target))
    _git(target, "checkout", "--quiet", "--detach", commit)
    if tree.patch:
        applied = _asked(target, "apply", "--whitespace=nowarn", "-", given=tree.patch.encode())
        if applied.returncode:
            raise ConfigError(f"does not apply to commit {commit[:12]}: {_first_line(applied)}",
                              place=f"{run}: diff.patch", hint="was the artifact altered?")  # fmt: skip
    if is_tracked(top) and (target / ".dvc").is_dir() and os.access(top / ".dvc", os.W_OK):
        lend(top, target)
    folder = (target / tree.folder).resolve()
    if not folder.is_relative_to(target.resolve()):
        raise ConfigError(f"stood outside of its tree: {tree.folder}", place=f"{run}: lock.json")
    folder.mkdir(parents=True, exist_ok=True)  # git keeps no empty folders
    return folder


def _top(here: Path, run: str) -> Path:
    asked = _asked(here, "rev-parse", "--show-toplevel")
    if asked.returncode:
        raise UserError(f"is made again from its commit, and {here} lies in no git repository", place=run,
                        hint="run this in a clone of the project, or use --here")  # fmt: skip
    return Path(asked.stdout.decode().strip())


def _git(folder: Path, *words: str) -> None:
    asked = _asked(folder, *words)
    if asked.returncode:
        raise UserError(f"git {words[0]}: {_first_line(asked)}", place=str(folder))


def _asked(folder: Path, *words: str, given: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    try:
        return ask(folder, *words, given=given, timeout_s=TIMEOUT_S)
    except FileNotFoundError as error:
        raise UserError("git is not installed", hint="apt-get install git") from error


def _first_line(asked: subprocess.CompletedProcess[bytes]) -> str:
    said = asked.stderr.decode(errors="replace").strip().splitlines()
    return said[0] if said else f"exit code {asked.returncode}"
