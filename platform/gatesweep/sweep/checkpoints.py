"""Where a trial's checkpoints go: straight into the sweep's folder, or by way of the node's disk to shared storage.

The log names a checkpoint relative to the sweep's place: trials/<t0007>/a<attempt>-<nonce>/e<epoch>. It is named there
only once it is committed: its COMMIT is the last file that is written, here and there.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gatesweep.storage import Place, place


class Shelf(Protocol):
    """Keeps the checkpoints of one attempt."""

    @property
    def folder(self) -> Path:
        """Where the training writes them."""

    def commit(self, checkpoint: Path) -> str:
        """Make a written checkpoint safe from the death of this node; its name for the log."""

    def fetch(self, name: str) -> Path:
        """A committed checkpoint as a local folder."""

    def drop(self, name: str) -> None:
        """A checkpoint that nothing needs any more."""

    def close(self) -> None:
        """The attempt is over on this node."""


@dataclass(frozen=True)
class Here:
    """The sweep's own folder, on this machine."""

    sweep: Path
    below: str

    @property
    def folder(self) -> Path:
        return self.sweep / self.below

    def commit(self, checkpoint: Path) -> str:
        return checkpoint.relative_to(self.sweep).as_posix()

    def fetch(self, name: str) -> Path:
        return self.sweep / name

    def drop(self, name: str) -> None:
        shutil.rmtree(self.sweep / name, ignore_errors=True)

    def close(self) -> None:
        """Everything is where it belongs."""


@dataclass(frozen=True)
class Shared:
    """Storage that every node reaches; the node's own disk holds the newest checkpoint on its way there."""

    at: Place
    below: str
    scratch: Path

    @property
    def folder(self) -> Path:
        return self.scratch / self.below

    def commit(self, checkpoint: Path) -> str:
        name = f"{self.below}/{checkpoint.name}"
        self.at.upload(checkpoint, name)
        shutil.rmtree(checkpoint, ignore_errors=True)
        return name

    def fetch(self, name: str) -> Path:
        target = self.folder / "resumed" / Path(name).name
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        self.at.download(name, target)
        return target

    def drop(self, name: str) -> None:
        self.at.delete(name)

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def shelf(sweep: str, below: str, scratch: Path | None) -> Shelf:
    """The shelf of one attempt.

    Args:
        sweep: the address of the sweep's place.
        below: the attempt's folder in it.
        scratch: a folder on this node; none where the sweep's place is one of this machine.
    """
    return Here(Path(sweep), below) if scratch is None else Shared(place(sweep), below, scratch)
