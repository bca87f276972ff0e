"""A sweep without Ray: a training that is a pure function of (trial, epoch), an executor that may crash anywhere."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gatesweep.storage import place
from gatesweep.sweep.failures import Death
from gatesweep.sweep.ledger import Ledger
from gatesweep.sweep.spec import SweepSpec, spec_from
from gatesweep.track.log import SweepLog
from gatesweep.track.records import VERSION, Record

SPACE = {
    "model.hidden_size": {"int_uniform": [8, 128]},
    "model.dropout": {"uniform": [0.0, 0.5]},
    "optimizer.name": {"choice": ["adamw", "sgd"]},
    "optimizer.momentum": {"uniform": [0.0, 0.99], "when": {"optimizer.name": "sgd"}},
    "optimizer.lr": {"log_uniform": [1e-4, 1e-1]},
}
EPOCHS = 9


def make_spec(**changes: Any) -> SweepSpec:
    """A sweep over the toy task."""
    raw: dict[str, Any] = {
        "name": "toy", "experiment": {"task": "toy_task:ToyTask", "data": {}, "trainer": {"max_epochs": EPOCHS}},
        "objective": {"metric": "val/mae"}, "space": SPACE, "search": {"name": "tpe", "seed": 3, "startup_trials": 3},
        "scheduler": {"name": "asha", "grace_epochs": 1, "reduction": 3}, "budget": {"trials": 8, "concurrent": 1},
    }  # fmt: skip
    return spec_from({**raw, **changes}, place="test")


def opened(folder: Path, spec: SweepSpec, *, create: bool = True) -> Ledger:
    """A ledger on a fresh or an existing log."""
    log = SweepLog(place(folder), create=create)
    if create:
        log.append(
            {
                "event": "sweep",
                "version": VERSION,
                "sweep_id": "toy",
                "name": "toy",
                "spec": spec.as_dict(),
                "data": {},
                "versions": {},
            }
        )
    return Ledger(log, spec)


def loss(params: dict[str, Any], epoch: int) -> float:
    """What the toy training reports: the same for the same configuration and epoch, whatever happened before."""
    noise = int(hashlib.sha256(f"{sorted(params.items())}{epoch}".encode()).hexdigest()[:6], 16) / 0xFFFFFF
    target = (
        params["model.dropout"] * 0.4
        + 8 / params["model.hidden_size"]
        + (0.2 if params["optimizer.name"] == "sgd" else 0)
    )
    return target + 3 * 0.6**epoch + 0.05 * (noise - 0.5)


class Crash(Exception):
    """The driver is gone: nothing but the log is left."""


def drive(
    folder: Path, spec: SweepSpec, rng: random.Random, crash: float = 0.0, death: float = 0.0,
    objective: Callable[[dict[str, Any], int], float] = loss,
) -> tuple[list[Record], int]:  # fmt: skip
    """Run a sweep to its end, the driver killed with probability `crash` at each border; returns log and kills."""
    ledger, kills = opened(folder, spec), 0
    while True:
        try:
            _until_done(ledger, rng, crash, death, objective)
        except Crash:
            kills += 1
            ledger.log.close()
            ledger = opened(folder, spec, create=False)
        else:
            ledger.log.close()
            return ledger.log.records, kills


def _until_done(
    ledger: Ledger, rng: random.Random, crash: float, death: float,
    objective: Callable[[dict[str, Any], int], float] = loss,
) -> None:  # fmt: skip
    live: dict[str, list[Any]] = {}
    handles = iter(range(10**6))

    def maybe_crash() -> None:
        if rng.random() < crash:
            raise Crash

    while True:
        while not isinstance(given := ledger.next(key := str(next(handles))), str):
            live[key] = [given.trial.params, given.trial.attempt, given.trial.epoch]
        if given == "finished":
            return
        key = rng.choice(sorted(live))
        params, attempt, epoch = live[key]
        if rng.random() < death:
            ledger.released(key, Death("crash", "killed"))
            del live[key]
            continue
        live[key][2] = epoch = epoch + 1
        maybe_crash()
        answer = ledger.result(
            key,
            {
                "attempt": attempt,
                "epoch": epoch,
                "metrics": {"val/mae": objective(params, epoch)},
                "checkpoint": f"{ledger.running[key]}/e{epoch}",
                "final": epoch == EPOCHS,
            },
        )
        maybe_crash()
        if answer == "stop":
            ledger.released(key)
            del live[key]
            maybe_crash()
