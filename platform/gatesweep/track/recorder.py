"""The recorder of one `gatesweep run`: values go to MLflow from a thread of their own, training never waits.

    epoch(…) -> box -> thread: one batch per round -> MLflow
                       at the end, what it did not take -> <home>/unsent/<run_id>.jsonl -> `resend`

A row leaves the box when the store has acknowledged it, so that nothing acknowledged goes out twice; rows keep their
timestamps, so that a row whose acknowledgement was lost is still one row. The next run that reaches the same store
sends what earlier ones had to keep.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gatesweep.errors import StoreError
from gatesweep.track import addresses as names
from gatesweep.track.dress import as_yaml, flatten, identity, param_texts, shortened
from gatesweep.track.inputs import Pinned
from gatesweep.track.lineage import Lock
from gatesweep.track.patience import Patience
from gatesweep.track.records import STATUS
from gatesweep.track.store import Point, Refused, Store
from gatesweep.track.vendor import public

UNSENT = "unsent"
BOX_ROWS = 50_000


def start_run(store: Store, *, name: str, config: Mapping[str, Any], lock: Lock, datasets: Sequence[Pinned] = (),
              note: str = "", tags: Mapping[str, str] | None = None, parent: str | None = None,
              experiment: str | None = None) -> str:
    """Create a run with everything known before training: parameters, tags, data, config.yaml, lock.json, diff.patch.

    Args:
        name: the run's name, and the experiment's unless `experiment` says another.
        config: the whole configuration; its leaves become parameters under dotted keys.
        parent: the id of the run that this one belongs under.

    Returns:
        The run's id.

    Raises:
        StoreError: the store does not answer.
    """
    resend(store)
    marks = {names.KIND: "run", **identity(lock, datasets), names.CONFIG_DIGEST: lock.config_digest, **(tags or {})}
    marks[names.LOCK_DIGEST] = lock.digest
    optional = {names.NOTE: note, names.PARENT: parent or ""}
    run = store.create_run(store.experiment(experiment or name), name,
                           marks | {key: value for key, value in optional.items() if value}, int(time.time() * 1000))
    params = param_texts(flatten(config))
    cut = shortened(params)
    store.log_batch(run.run_id, params=params, tags={names.SHORTENED: " ".join(cut)} if cut else {})
    store.log_inputs(run.run_id, datasets)
    files = {"config.yaml": as_yaml(config), "lock.json": lock.text()}
    for file, text in (files | ({"diff.patch": lock.diff} if lock.diff else {})).items():
        store.write_text(run.run_id, file, text)
    return run.run_id


class MlflowRecorder:
    """Takes the numbers of one run. Nothing here raises or waits for the tracker, but `close`, which has a deadline."""

    def __init__(self, store: Store, run_id: str, *, say: Callable[[str], None] = lambda line: None,
                 deadline_s: float = 20.0) -> None:
        """
        Args:
            run_id: a run that `start_run` made; a closed one is opened again.
            say: takes one line for the user, from another thread.
            deadline_s: how long `close` tries.
        """
        self.run_id = run_id
        self._store, self._say, self._deadline_s = store, say, deadline_s
        self._box: list[Point] = []
        self._ending: tuple[str, dict[str, str], int] | None = None
        self._opened = False
        self._ends_s: float | None = None
        self._change = threading.Condition()
        self._patience = Patience(say)
        self._thread = threading.Thread(target=self._run, name="gatesweep-recorder", daemon=True)
        self._thread.start()

    def epoch(self, epoch: int, metrics: Mapping[str, float], timestamp_ms: int) -> None:
        """Metrics of one finished epoch. Returns at once."""
        rows = [Point(key, float(value), timestamp_ms, epoch) for key, value in metrics.items()]
        with self._change:
            if len(self._box) < BOX_ROWS:
                self._box += rows
                self._change.notify()
                return
        _keep(self._store, self.run_id, rows)  # a tracker that has been away for very long

    def close(self, outcome: str, reason: str | None = None) -> None:
        """Send what is left and the run's status; after the deadline keep it beside the store, and say so."""
        tags = {names.OUTCOME: outcome, names.REASON: reason or ""}
        with self._change:
            self._ending = STATUS[outcome], {k: v for k, v in tags.items() if v}, int(time.time() * 1000)
            self._ends_s = time.monotonic() + self._deadline_s
            self._change.notify()
        self._thread.join(self._deadline_s + 0.5)
        with self._change:
            rows, ending = list(self._box), self._ending
        if rows or ending:
            _keep(self._store, self.run_id, rows, ending)
            self._say(f"{len(rows)} values did not reach the tracker: kept in {_file(self._store, self.run_id)}")

    def _run(self) -> None:
        while True:
            with self._change:
                pause_s = self._patience.wait_s if self._ends_s is None else min(self._patience.wait_s, 0.2)
                if pause_s or not (self._box or self._ending):
                    self._change.wait(pause_s or None)
                if self._patience.wait_s and self._ends_s is None:
                    continue
            try:
                done = self._send()
                self._patience.succeeded()
            except Refused as error:
                self._say(f"MLflow refuses values of this run: {error.message}")
                return  # what is in the box is kept at the close
            except StoreError as error:
                self._patience.failed(error.message)
                done = self._ends_s is not None and time.monotonic() > self._ends_s
            if done:
                return

    def _send(self) -> bool:
        """One round; whether it was the last."""
        if not self._opened:
            _resend(self._store, _file(self._store, self.run_id))  # of this run's last attempt, its status included
            if self._store.get_run(self.run_id).status != "RUNNING":
                self._store.reopen(self.run_id)
            self._opened = True
        with self._change:
            rows, ending = list(self._box), self._ending
        if rows:
            self._store.log_batch(self.run_id, rows)
            with self._change:
                del self._box[:len(rows)]
        if ending is None:
            return False
        status, tags, ended_ms = ending
        self._store.log_batch(self.run_id, tags=tags)
        self._store.set_terminated(self.run_id, status, ended_ms)
        with self._change:
            self._ending = None
        return True


def resend(store: Store) -> int:
    """Send what earlier recorders had to keep for this store; a file goes once its content is acknowledged.

    Returns:
        How many values were sent.

    Raises:
        StoreError: the store does not answer, or a file is damaged; the files stay.
    """
    return sum(_resend(store, path) for path in sorted((store.home / UNSENT).glob("*.jsonl")))


def _resend(store: Store, path: Path) -> int:
    if not path.is_file():
        return 0
    try:
        entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        if any(entry["store"] != public(store.uri) for entry in entries):
            return 0
        points = [Point(e["key"], e["value"], e["ts"], e["step"]) for e in entries if "key" in e]
    except (OSError, ValueError, KeyError) as error:
        raise StoreError(f"kept values cannot be read: {type(error).__name__}: {error}", place=str(path),
                         hint="move the file aside") from None
    try:
        store.log_batch(path.stem, points)
        for entry in entries:
            if "status" in entry:
                store.log_batch(path.stem, tags=entry["tags"])
                store.set_terminated(path.stem, entry["status"], entry["ts"])
    except Refused:  # the run was deleted meanwhile: its values have no place any more
        points = []
    path.unlink(missing_ok=True)
    return len(points)


def _file(store: Store, run_id: str) -> Path:
    return store.home / UNSENT / f"{run_id}.jsonl"


def _keep(store: Store, run_id: str, rows: Sequence[Point],
          ending: tuple[str, dict[str, str], int] | None = None) -> None:
    entries: list[dict[str, Any]] = [{"store": public(store.uri), "key": p.key, "value": p.value, "ts": p.timestamp_ms,
                                      "step": p.step} for p in rows]
    if ending is not None:
        entries.append({"store": public(store.uri), "status": ending[0], "tags": ending[1], "ts": ending[2]})
    file = _file(store, run_id)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as stream:
        stream.writelines(json.dumps(entry) + "\n" for entry in entries)
