"""Dataset: verified bytes on this machine; and who is asked for them in this process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from .scratch import Say


@dataclass(frozen=True)
class Dataset:
    """A verified set, or a user's own file or folder."""

    name: str

    path: Path
    """The set's folder, absolute; for a user's own file, the file."""

    md5: str
    """The pin in `data.dvc`, with its `.dir`; a user's own folder has one by the same rule, a file its md5."""

    size_bytes: int

    files: tuple[str, ...]
    """Paths relative to the folder."""

    road: str = "present"
    """How it came here: present, cache, remote or source; node: fetched into the node's cache just now."""

    own: bool = False
    """Whether it is a user's own file or folder, which no catalogue and no remote knows."""

    @property
    def restore_hint(self) -> str:
        """How to get the bytes back that it had."""
        if self.own:
            return "put the file or folder back as it was; what has other content makes another run or sweep"
        return f"gatesweep data pull {self.name} --force"


class Fetcher(Protocol):
    """Whoever can bring data to this machine; `node.NodeCache` is one."""

    def __call__(self, name: str, *, root: Path | None = None, say: Say = ...) -> Dataset:
        """A set, verified now."""

    def own_file(self, path: str | Path) -> Dataset | None:
        """A user's own file or folder that is not on this machine; None where nobody offered it."""


_fetcher: Fetcher | None = None


def use(fetcher: Fetcher | None) -> None:
    """Let `ensure` and `user_data` ask `fetcher` in this process from now on; None gives them their own roads back."""
    global _fetcher
    _fetcher = fetcher


def fetcher() -> Fetcher | None:
    """The one in use."""
    return _fetcher
