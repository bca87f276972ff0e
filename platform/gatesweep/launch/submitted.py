"""What was sent where: `<home>/submitted/<sweep_id>.json`, so that a sweep is followed by its id alone. No secrets."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from gatesweep.errors import ConfigError, LogError, UserError
from gatesweep.launch.config import cluster_from
from gatesweep.launch.sections import ClusterConfig, storage_of

FOLDER = "submitted"


@dataclass(frozen=True)
class Attempt:
    """One driver of a sweep, sent by this machine."""

    number: int
    job_id: str
    sent: str
    """When, with the time zone."""

    seen: int = 0
    """`Progress.records` of the sweep then: until there is another, this driver has not begun."""

    pid: int | None = None
    """The process, where it runs on this machine."""

    born: float | None = None
    """When that process began, in seconds since 1970: ids of processes are used again."""

    log: str | None = None
    """The file with what it says, where it runs on this machine."""


@dataclass(frozen=True)
class Submitted:
    """A sweep that was sent from here."""

    sweep_id: str
    name: str
    cluster: ClusterConfig
    spec: dict[str, Any]
    attempts: tuple[Attempt, ...] = field(default=())

    @property
    def newest(self) -> Attempt | None:
        """The attempt that counts."""
        return self.attempts[-1] if self.attempts else None

    def with_attempt(self, attempt: Attempt) -> Submitted:
        """One more, or the newest one again with more known of it."""
        return replace(self, attempts=(*(a for a in self.attempts if a.number != attempt.number), attempt))

    def without(self, number: int) -> Submitted:
        """An attempt that was never sent after all."""
        return replace(self, attempts=tuple(a for a in self.attempts if a.number != number))

    def as_dict(self) -> dict[str, Any]:
        """The file's content."""
        return {
            "sweep_id": self.sweep_id,
            "name": self.name,
            "cluster": self.cluster.as_dict(),
            "spec": self.spec,
            "attempts": [asdict(attempt) for attempt in self.attempts],
        }


def now() -> str:
    """This moment, to the second, with its time zone."""
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


def job_id_of(sweep_id: str, number: int) -> str:
    """An attempt's id at the cluster: two attempts cannot share one."""
    return f"{sweep_id}-a{number}"


def file_of(sweep_id: str, home: Path) -> Path:
    """Where a submission is remembered."""
    return home / FOLDER / f"{sweep_id}.json"


def remember(submitted: Submitted, home: Path) -> None:
    """Write it down, whole or not at all."""
    file = file_of(submitted.sweep_id, home)
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(f".{os.getpid()}.partial")
    partial.write_text(json.dumps(submitted.as_dict(), indent=1) + "\n", encoding="utf-8")
    os.replace(partial, file)


def forget(sweep_id: str, home: Path) -> None:
    """Remove what is remembered of a sweep, and what its drivers on this machine said."""
    for file in belongings(sweep_id, home):
        file.unlink(missing_ok=True)


def belongings(sweep_id: str, home: Path) -> list[Path]:
    """The files that a submission left here."""
    folder = home / FOLDER
    logs = [path for path in folder.glob(f"{sweep_id}-a*.log") if path.stem[len(sweep_id) + 2 :].isdigit()]
    others = [file_of(sweep_id, home), *(folder / f"{sweep_id}.{kind}.yaml" for kind in ("sweep", "cluster"))]
    return sorted(path for path in (*others, *logs) if path.is_file())


def recall(sweep_id: str, home: Path, now_at: ClusterConfig | None = None) -> Submitted | None:
    """What was sent under this id; none where nothing was, from here.

    Args:
        now_at: where its cluster is now, in place of what is remembered: addresses that were admitted once may be
            refused today.

    Raises:
        LogError: the file is damaged.
        ConfigError: what it says of the cluster is refused; or the sweep lies in another storage than `now_at`.
    """
    file = file_of(sweep_id, home)
    if not file.is_file():
        return None
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        attempts = tuple(Attempt(**attempt) for attempt in raw["attempts"])
        cluster = _remembered(raw["cluster"], str(file)) if now_at is None else _same_storage(now_at, raw["cluster"])
        return Submitted(raw["sweep_id"], raw["name"], cluster, raw["spec"], attempts)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LogError(f"is no record of a submission: {error!r}", place=str(file),
                       hint="remove it, and name the cluster: --cluster configs/clusters/ray.yaml") from None


def _remembered(raw: Mapping[str, Any], place: str) -> ClusterConfig:
    try:
        return cluster_from(raw, place=place)
    except ConfigError as error:
        why = error.hint.partition("\n")[0] if error.hint else "it was admitted once"
        raise ConfigError(f"its cluster is refused today: {error.message}", place=error.place,
                          hint=f"{why}; a cluster's file with the address as it is now goes in its place:"
                               " --cluster configs/clusters/ray.yaml") from None  # fmt: skip


def _same_storage(given: ClusterConfig, was: Mapping[str, Any]) -> ClusterConfig:
    lies_in = storage_of(was.get("storage"))
    if given.where.storage != lies_in:
        raise ConfigError(f"storage: is {given.storage}, and the sweep lies in {lies_in}", place=given.name,
                          hint="a sweep goes on in its own storage; address and the rest may change")
    return given


def ids(home: Path) -> list[str]:
    """Of all that was sent from here, the oldest first."""
    return [file.stem for file in sorted((home / FOLDER).glob("*.json"), key=lambda path: path.stat().st_mtime)]


def everything(home: Path, unreadable: Callable[[str, UserError], None]) -> Iterator[Submitted]:
    """All that was sent from here, the oldest first; what cannot be read is told to `unreadable`."""
    for sweep_id in ids(home):
        try:
            found = recall(sweep_id, home)
        except UserError as error:
            unreadable(sweep_id, error)
            continue
        if found is not None:
            yield found
