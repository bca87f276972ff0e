"""One open sweep: executed, and left in a state that `resume` understands, whatever ends it.

What comes after the last trial (score the best one, write the report) is in `finish`.
"""

from __future__ import annotations

import re
import secrets
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from gatesweep.errors import ConfigError
from gatesweep.sweep.ledger import Ledger
from gatesweep.sweep.spec import SweepSpec
from gatesweep.track.lineage import Lock
from gatesweep.track.log import SweepLog
from gatesweep.track.projector import Projector
from gatesweep.track.store import Store

if TYPE_CHECKING:  # a task imports torch, which is to happen beside Ray's start
    from gatesweep.tasks.base import Task

Say = Callable[[str], None]
T = TypeVar("T")


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
    folder: Path
    ledger: Ledger
    store: Store
    projector: Projector
    lock: Lock
    task: Task
    hooks: Hooks
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
        storage = self.folder / "tune" / secrets.token_hex(4)
        try:
            execute(self.ledger, storage=storage, data_md5=self.data_md5)
        except KeyboardInterrupt:
            self.ledger.stop("interrupted")
            raise
        finally:
            shutil.rmtree(storage.parent, ignore_errors=True)

    def close(self, deadline_s: float = 30.0) -> int:
        """Bring the tracking store up to date and let the log go; returns how many records the store still lacks."""
        unsent = self.projector.close(deadline_s)
        self.ledger.log.close()
        if unsent:
            self.hooks.say(
                f"the tracking store still lacks {unsent} records; `gatesweep resume {self.sweep_id}` sends them"
            )
        return unsent


Opening = Callable[[], Session]
"""Everything is checked; the call makes or opens the sweep."""


def folder_of(sweep_id: str, home: Path) -> Path:
    """Where a sweep's log, checkpoints and report lie.

    Raises:
        ConfigError: no usable id.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", sweep_id):
        raise ConfigError(f"'{sweep_id}' is no usable sweep id", place="--id", hint="small letters, digits and dashes")
    return home / "sweeps" / sweep_id


def opened(
    spec: SweepSpec, sweep_id: str, folder: Path, log: SweepLog, store: Store, lock: Lock, task: Task, hooks: Hooks
) -> Session:
    try:
        ledger = Ledger(log, spec, folder)
        projector = Projector(
            store, sweep_id, spec.name, spec.question, datasets=task.datasets, lock=lock, say=hooks.say,
            trial_config=lambda params, number: spec.trial_config(params, number).as_dict())  # fmt: skip
        projector.reconcile(list(log.records), must_answer=len(log.records) == 1)
    except BaseException:
        log.close()
        raise
    ledger.listeners.append(projector.feed)
    session = Session(spec, sweep_id, folder, ledger, store, projector, lock, task, hooks)
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
