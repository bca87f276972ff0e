"""The projection's thread: what the driver hands over at once reaches MLflow a moment later, and nobody waits for it.

    feed(record) -> queue -> thread: Projection.take, Projection.write -> MLflow

What arrives within `interval_s` goes out in one round: a batch of 8 metrics costs 9 ms of CPU, one of 80 costs 28 ms.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from gatesweep.errors import StoreError
from gatesweep.track.inputs import Pinned
from gatesweep.track.lineage import Lock
from gatesweep.track.patience import Patience
from gatesweep.track.projection import Copy, Ending, Projection, TrialConfig
from gatesweep.track.records import Record
from gatesweep.track.store import Store
from gatesweep.track.view import PARENT

LAST_ATTEMPT_S = 2.0
"""How long the close waits for the one more attempt that a store gets which was silent before."""


class Projector:
    """Keeps the runs of one sweep as its log says. `feed` never blocks; `close` waits at most as long as it is told."""

    def __init__(self, store: Store, sweep_id: str, name: str, question: str, trial_config: TrialConfig, lock: Lock,
                 datasets: Sequence[Pinned] = (), say: Callable[[str], None] = lambda line: None, *,
                 interval_s: float = 1.0) -> None:
        """
        Args:
            name: of the MLflow experiment.
            trial_config: a trial's whole configuration, from its parameters and its number.
            say: takes one line for the user, from another thread.
            interval_s: the least time between two rounds of writing.
        """
        self._projection = Projection(store, sweep_id, name, question, trial_config, lock, datasets, say)
        self._interval_s = interval_s
        self._inbox: queue.SimpleQueue[Record | Copy | Ending | None] = queue.SimpleQueue()
        self._patience = Patience(say)
        self._deadline_s: float | None = None
        self._thread = threading.Thread(target=self._run, name="gatesweep-projector", daemon=True)

    def reconcile(self, records: Iterable[Record], *, must_answer: bool = True) -> None:
        """Take in the log so far, bind the sweep's own run, and start; its trials are set right in the background.

        Args:
            must_answer: without it a silent tracker is waited for in the background: the right way for a resume.

        Raises:
            StoreError: the tracker does not answer, and must.
        """
        for record in records:
            self._projection.take(record)
        try:
            self._projection.bind_parent()
        except StoreError as error:
            if must_answer:
                raise
            self._patience.failed(error.message)
        self._thread.start()

    def feed(self, record: Record) -> None:
        """One more record of the log. Returns at once."""
        self._inbox.put(record)

    def log_artifacts(self, trial: str | None, path: Path, artifact_path: str | None = None) -> None:
        """Copy a file or a folder's content to a trial's run, or the sweep's own. Returns at once.

        `path` must stay until `close`. This is not in the log: after a death of the driver, call it again.
        """
        self._inbox.put(Copy(trial or PARENT, path, artifact_path))

    def finish(self, outcome: str, summary: str = "") -> None:
        """Close the sweep's own run, after everything fed so far: `completed`, `stopped` or `failed`."""
        self._inbox.put(Ending(outcome, summary))

    def close(self, deadline_s: float = 30.0, *, away_s: float = 0.0) -> int:
        """Write what is left, for at most so many seconds.

        Args:
            away_s: how long a store that was silent before is asked again and again; 0 asks it once more.

        Returns:
            How many values, files and states the store has not got: a `resume` of the sweep sends them.
        """
        tries_s, waits_s = (away_s, max(away_s, LAST_ATTEMPT_S)) if self._patience.away else (deadline_s, deadline_s)
        self._deadline_s = time.monotonic() + tries_s
        self._inbox.put(None)
        if self._thread.is_alive():
            self._thread.join(waits_s + 0.5)
        return self.unsent

    @property
    def unsent(self) -> int:
        """Values, files and states on their way."""
        return self._projection.unsent + self._inbox.qsize()

    @property
    def experiment_id(self) -> str | None:
        return self._projection.experiment_id

    @property
    def parent_run_id(self) -> str | None:
        """The sweep's own run; none while the tracker has not answered."""
        return self._projection.run_id(PARENT)

    def run_id(self, trial: str) -> str | None:
        """A trial's run; none while it is not bound yet."""
        return self._projection.run_id(trial)

    # ---- the thread

    def _run(self) -> None:
        last_s, open_ = 0.0, True
        while open_ or (self.unsent and time.monotonic() < (self._deadline_s or 0.0)):
            open_ = self._take(last_s + self._interval_s) and open_
            if self._patience.wait_s > 0 and self._deadline_s is None:
                continue
            last_s = time.monotonic()
            self._write()

    def _write(self) -> None:
        try:
            self._projection.write()
        except StoreError as error:
            self._patience.failed(error.message)
        except Exception as error:  # our own fault must not silently end the projection of a day's work
            self._patience.failed(f"{type(error).__name__}: {error}")
        else:
            self._patience.succeeded()

    def _take(self, due_s: float) -> bool:
        """Everything that arrives until the next round is due; waits if there is nothing to do. False at the end."""
        ends_s = max(due_s, time.monotonic() + self._patience.wait_s)
        if self._deadline_s is not None:
            ends_s = time.monotonic() + min(self._patience.wait_s, 0.2)
        idle = self._projection.recognised and not self._projection.unsent and self._deadline_s is None
        while True:
            left_s = None if idle else max(0.0, ends_s - time.monotonic())
            try:
                item = self._inbox.get(block=left_s != 0.0, timeout=left_s)
            except queue.Empty:
                return True
            idle = False
            if item is None:
                return False
            self._projection.take(item)
