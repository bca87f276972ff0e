"""One open sweep: executed, and left in a state that `resume` understands, whatever ends it.

What comes after the last trial (score the best one, write the report) is in `finish`.
"""

from __future__ import annotations

import contextlib
import queue
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from gatesweep.errors import ConfigError
from gatesweep.storage import Place, place
from gatesweep.sweep.control import Listener, Request
from gatesweep.sweep.ledger import Ledger
from gatesweep.sweep.spec import SweepSpec
from gatesweep.sweep.where import Where
from gatesweep.sweep.worker import Surroundings
from gatesweep.track.lineage import Lock
from gatesweep.track.log import SweepLog
from gatesweep.track.projector import Projector
from gatesweep.track.store import Store

if TYPE_CHECKING:  # a task imports torch, which is to happen beside Ray's start
    from gatesweep.tasks.base import Task

Say = Callable[[str], None]
T = TypeVar("T")

PATIENT_S = 120.0
"""How long a driver on a cluster, for which nobody waits, waits at the end for a store that was silent before."""

UNSENT = "unsent"
"""A mark in the sweep's place: the tracking store has not got everything that the log says."""


@dataclass
class Hooks:
    """What a caller wants to hear."""

    say: Say = lambda line: None
    opened: Callable[[Session], None] = lambda session: None


@dataclass
class Session:
    """An open sweep."""

    spec: SweepSpec
    sweep_id: str
    place: Place
    """Where its log, checkpoints and report lie."""
    folder: Path
    """The same as a folder of this machine; a working copy where the place is none."""
    ledger: Ledger
    store: Store
    projector: Projector
    lock: Lock
    task: Task
    hooks: Hooks
    where: Where = field(default_factory=Where)
    started: float = field(default_factory=time.perf_counter)

    @property
    def data_md5(self) -> dict[str, str]:
        """Digest by set."""
        return {dataset.name: dataset.md5 for dataset in self.task.datasets}

    def execute(self) -> None:
        """Run attempts until none is left. An interruption is written to the log before it is raised on.

        Raises:
            KeyboardInterrupt: the user or a signal ended it; resumable.
        """
        from gatesweep.sweep.executor import execute

        if self.ledger.finished:
            return
        storage = Path(tempfile.mkdtemp(prefix="gatesweep-tune-"))
        requests: queue.SimpleQueue[Request] = queue.SimpleQueue()
        try:
            with Listener(self.place, requests.put), self._data_for_workers() as objects:
                around = Surroundings(
                    self.place.address, self.where.shared, self.where.data_remote, objects, self._pinned(),
                    self.where.node_folder, self.where.secrets, self.where.environment)  # fmt: skip
                execute(self.ledger, storage=storage / "tune", data_md5=self.data_md5, around=around,
                        requests=requests)  # fmt: skip
        except KeyboardInterrupt:
            self.ledger.stop("interrupted")
            raise
        finally:
            shutil.rmtree(storage, ignore_errors=True)

    @contextlib.contextmanager
    def _data_for_workers(self) -> Iterator[Mapping[str, Any]]:
        """What workers on other hosts get from the driver: all, or users' own files alone where there is a remote."""
        if not self.where.shared:
            yield {}
            return
        from gatesweep.sweep.objects import offer, withdraw

        objects = offer(each for each in self.task.datasets if each.own or not self.where.data_remote)
        try:
            yield objects
        finally:
            withdraw(objects)

    def _pinned(self) -> Mapping[str, Any]:
        """What the driver has verified, where workers are to have just that."""
        if not self.where.shared:
            return {}
        from gatesweep.sweep.node_data import pinned_by

        return pinned_by(self.task.datasets)

    def checkpoint(self, name: str) -> Path:
        """A committed checkpoint as a folder of this machine; it may not be there any more."""
        path = self.folder / name
        if self.place.local is None and not path.exists() and self.place.exists(f"{name}/COMMIT"):
            path.mkdir(parents=True)
            self.place.download(name, path)
        return path

    def share(self, name: str) -> None:
        """Copy a folder of the working copy to the place, where these are not one."""
        if self.place.local is None:
            self.place.upload(self.folder / name, name)

    def close(self, deadline_s: float = 30.0, away_s: float = 0.0) -> int:
        """Bring the tracking store up to date and let the log go; returns how many records the store still lacks."""
        unsent = self.projector.close(deadline_s, away_s=away_s)
        if unsent:
            self.hooks.say(
                f"the tracking store still lacks {unsent} records; `gatesweep resume {self.sweep_id}` sends them, "
                "and so does the next sweep that reaches it"
            )
            self.place.write(UNSENT, b"")
        elif self.place.exists(UNSENT):
            self.place.delete(UNSENT)
        self.ledger.log.close()
        return unsent


Opening = Callable[[], Session]
"""Everything is checked; the call makes or opens the sweep."""


def place_of(sweep_id: str, home: Path, where: Where = Where()) -> Place:
    """Where a sweep's log, checkpoints and report lie.

    Raises:
        ConfigError: no usable id.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", sweep_id):
        raise ConfigError(f"'{sweep_id}' is no usable sweep id", place="--id", hint="small letters, digits and dashes")
    return place(f"{(where.storage or str(home)).rstrip('/')}/sweeps/{sweep_id}")


def working_copy(at: Place, sweep_id: str, home: Path) -> Path:
    """The sweep's place as a folder of this machine; below the home folder where the place is none."""
    return at.local or home / "sweeps" / sweep_id


def opened(
    spec: SweepSpec,
    sweep_id: str,
    at: Place,
    folder: Path,
    log: SweepLog,
    store: Store,
    lock: Lock,
    task: Task,
    hooks: Hooks,
    where: Where,
) -> Session:
    """The sweep of an open log, its tracking store set right in the background."""
    try:
        ledger = Ledger(log, spec, task)
        projector = Projector(
            store, sweep_id, spec.name, spec.question, datasets=task.datasets, lock=lock, say=hooks.say,
            trial_config=lambda params, number: spec.trial_config(params, number).as_dict())  # fmt: skip
        projector.reconcile(list(log.records), must_answer=sum(r["event"] != "lease" for r in log.records) == 1)
    except BaseException:
        log.close()
        raise
    ledger.listeners.append(projector.feed)
    session = Session(spec, sweep_id, at, folder, ledger, store, projector, lock, task, hooks, where)
    hooks.opened(session)
    return session


def beside(work: Callable[[], T]) -> Callable[[], T]:
    """Run `work` in a thread from now on. The call waits for what it returns, or raises what it raised."""
    outcome: list[T] = []
    failure: list[Exception] = []

    def body() -> None:
        try:
            outcome.append(work())
        except Exception as error:
            failure.append(error)

    thread = threading.Thread(target=body, name="sweep-beside", daemon=True)
    thread.start()

    def wait() -> T:
        thread.join()
        if failure:
            raise failure[0]
        return outcome[0]

    return wait
