"""One attempt at one trial, on a worker: build the task, train, report every epoch with its committed checkpoint.

    training thread:  epoch -> checkpoint on this node's disk -> box       trains on while the rest happens
    Tune's thread:    box -> checkpoint to shared storage, COMMIT last -> report -> the driver's log

So whoever hears of an epoch can resume from it, and an upload costs no training time; at most one epoch is on its way.
On one machine there is nothing to upload, and the training waits for the driver's answer instead.

Runs in processes that are kept warm between trials: seeds, threads and everything else that lasts are set anew.
"""

from __future__ import annotations

import json
import os
import queue
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gatesweep.storage import place
from gatesweep.sweep.checkpoints import Shelf, shelf
from gatesweep.sweep.failures import from_exception
from gatesweep.sweep.output import Output

Report = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Surroundings:
    """What every attempt of a sweep shares; travels beside the assignment, never within it."""

    sweep: str
    """The address of the sweep's place."""
    shared: bool = False
    """Workers are on other hosts than the driver."""
    data_remote: str | None = None
    objects: Mapping[str, Any] = field(default_factory=dict)
    """md5 -> the bytes in Ray's object store, where there is no remote."""
    pinned: Mapping[str, Any] = field(default_factory=dict)
    """What the driver has verified: a set's or file's name -> its digest."""
    node_folder: str | None = None
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


def train_trial(config: dict[str, Any], around: Surroundings) -> None:
    """What Ray Tune runs. `config` is the ledger's assignment as plain JSON; it holds nothing else.

    Deaths of our own making are reported, with their class; only a process that is killed reaches the driver as an
    error of Ray's.
    """
    from ray import tune

    from gatesweep.sweep import warm

    warm.ready()
    _Attempt(config, around, tune.report).run()


@dataclass(frozen=True)
class _Trained:
    """One epoch, its checkpoint on this node's disk."""

    epoch: int
    metrics: dict[str, float]
    checkpoint: Path
    final: bool
    weights: str


class _Attempt:
    """The two threads and what goes between them."""

    def __init__(self, config: dict[str, Any], around: Surroundings, report: Report) -> None:
        self.config, self.around, self._tell = config, around, report
        self.node, self.host = _where_this_is()
        self.stop = threading.Event()
        self._box: queue.Queue[_Trained | BaseException | None] = queue.Queue()
        self._room = threading.Semaphore(1 if around.shared else 0)
        """Epochs that the training may be ahead of what the driver knows."""
        self.output: Output | None = None

    def run(self) -> None:
        try:
            self._enter()
            self.shelf = self._open_shelf()
        except Exception as error:
            self._report_death(error)
            return
        config = self.config
        with Output(place(self.around.sweep), f"logs/{config['trial']}/{Path(config['folder']).name}.log") as output:
            self.output = output
            output.line(f"{config['trial']}, attempt {config['attempt']}, on {self.host}, process {os.getpid()}")
            thread = threading.Thread(target=self._train_and_say_how_it_ended, name="gatesweep-training", daemon=True)
            thread.start()
            try:
                self._report_all()
            finally:
                self.stop.set()
                self._room.release()
                thread.join()  # before another trial begins in this process; Tune throws away one that takes long
                self.shelf.close()

    # ---- Tune's thread

    def _enter(self) -> None:
        """What the node gives: variables, secrets, data."""
        if not self.around.shared:
            return
        from gatesweep.config.secrets import resolve
        from gatesweep.sweep.node_data import install

        around = self.around
        os.environ.update(around.environment)
        resolve(around.secrets)
        install(around.data_remote, around.objects, self._node_folder(), pinned=around.pinned)

    def _node_folder(self) -> Path:
        from gatesweep.sweep.node_data import node_folder

        given = self.around.node_folder
        return Path(given) if given else node_folder()

    def _open_shelf(self) -> Shelf:
        scratch = None
        if self.around.shared:
            scratch = self._node_folder() / "scratch" / Path(self.around.sweep).name
        return shelf(self.around.sweep, self.config["folder"], scratch)

    def _report_all(self) -> None:
        while (item := self._box.get()) is not None:
            try:
                if isinstance(item, BaseException):
                    raise item
                checkpoint = self.shelf.commit(item.checkpoint)
            except BaseException as error:
                self._report_death(error)
                return
            self._report_epoch(item, checkpoint)
            self._room.release()

    def _report_epoch(self, done: _Trained, checkpoint: str) -> None:
        told = "  ".join(f"{name} {value:.6g}" for name, value in done.metrics.items())
        if self.output is not None:
            self.output.line(f"epoch {done.epoch}: {told}")
            if self.around.shared:
                self.output.put()
        self._tell(
            {
                "attempt": self.config["attempt"],
                "epoch": done.epoch,
                # one text, for Tune would take nested metrics apart at their slashes
                "metrics": json.dumps(done.metrics),
                "checkpoint": checkpoint,
                "final": done.final,
                "weights": done.weights,
                "node": self.node,
                "host": self.host,
            }
        )
        from gatesweep.train.callbacks import EpochReport

        # only now: the log refers to the new checkpoint
        for stale in self._retention.offer(EpochReport(done.epoch, done.metrics, Path(checkpoint), done.final)):
            if stale.as_posix() not in self.config["lent"]:
                self.shelf.drop(stale.as_posix())

    def _report_death(self, error: BaseException) -> None:
        death = from_exception(error, self.node, self.host)
        if self.output is not None:
            self.output.line(f"died ({death.kind}): {death.reason}")
        self._tell({"attempt": self.config["attempt"], "died": json.dumps(death.as_dict()), "node": self.node,
                    "host": self.host})  # fmt: skip

    # ---- the training's thread

    def _train_and_say_how_it_ended(self) -> None:
        try:
            self._train()
        except _Told:
            self._box.put(None)
        except BaseException as error:
            self._box.put(error)
        else:
            self._box.put(None)

    def _train(self) -> None:
        from gatesweep.runs.build import prepare
        from gatesweep.runs.experiment import experiment_from
        from gatesweep.runs.retention import Retention
        from gatesweep.train.callbacks import EpochReport
        from gatesweep.train.fit import fit

        config = self.config
        experiment = experiment_from(json.loads(config["experiment"]), place=config["trial"])
        task, recipe = prepare(experiment, data_md5=config["data_md5"], say=self._say)
        self._retention = Retention(experiment.trainer, experiment.keep)
        seen = tuple(
            EpochReport(epoch, metrics, Path(name), False) for epoch, metrics, name in json.loads(config["seen"])
        )
        for epoch in seen:
            self._retention.offer(epoch)
        for name in config["returned"]:
            self.shelf.drop(name)
        resume = self.shelf.fetch(config["resume"]) if config["resume"] else None
        trained_as = json.loads(config["trained_as"])
        was = experiment_from(trained_as, place=config["trial"]).optimizer if trained_as else None
        fit(task, recipe, folder=self.shelf.folder, on_epoch=self._hand_over, resume=resume, was=was, seen=seen,
            callbacks=(_stopper(self.stop),))  # fmt: skip

    def _say(self, line: str) -> None:
        if self.output is not None:
            self.output.line(line)

    def _hand_over(self, report: Any) -> None:
        self._box.put(_Trained(report.epoch, report.metrics, report.checkpoint, report.final, report.weights))
        self._room.acquire()
        if self.stop.is_set():
            raise _Told


class _Told(BaseException):
    """The attempt is over for reasons outside of the training; no `except Exception` in between may keep it."""


def _stopper(stop: threading.Event) -> Any:
    """A Lightning callback that ends the training at the next batch once it is told to."""
    from gatesweep.train.callbacks import BatchEnd

    def check() -> None:
        if stop.is_set():
            raise _Told

    return BatchEnd(check)


def _where_this_is() -> tuple[str, str]:
    """Ray's id of this node and a name of it for people."""
    import ray

    context, address = ray.get_runtime_context(), ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
    return str(context.get_node_id()), f"{socket.gethostname()} {address}"
