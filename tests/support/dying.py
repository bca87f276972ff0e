"""Trainables of Ray Tune that die in every way in which nobody of ours is left to say why."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from ray.tune import FailureConfig, RunConfig, TuneConfig, Tuner, grid_search
from ray.tune.schedulers import FIFOScheduler

from gatesweep.errors import NotFinite, StorageAway
from gatesweep.sweep.deaths import every_death_is_told, from_words, words_of
from gatesweep.sweep.failures import Death


class Unpicklable(ValueError):
    """A user's exception that no other process can read."""

    def __reduce__(self) -> Any:
        raise TypeError("this one stays here")


def die(config: dict[str, Any]) -> None:
    """As `config` says."""
    match config["how"]:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "fault":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "exit":
            os._exit(3)
        case "raise":
            raise ValueError("the user's own mistake\nin two lines")
        case "unpicklable":
            raise Unpicklable("no way out")
        case "nan":
            raise NotFinite("the training loss is nan")
        case "away":
            raise StorageAway("no answer", place="s3://bucket", hint="wait")
        case "disk":
            raise OSError(28, "No space left on device", "/scratch/x")
        case "memory":
            raise MemoryError
        case "large":
            hold = [bytes(range(256)) * 4096 for _ in range(100)]
            time.sleep(60)
            del hold


class Listening(FIFOScheduler):
    """Keeps what is read of every death, and the words."""

    deaths: dict[str, tuple[Death, str]] = {}

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        said = words_of(trial)
        self.deaths[trial.config["how"]] = from_words(said), said


def deaths_of(kinds: list[str], folder: Path) -> dict[str, tuple[Death, str]]:
    """Let one trial die in each way. Ray must be up."""
    Listening.deaths.clear()
    with every_death_is_told():
        Tuner(
            die,
            param_space={"how": grid_search(kinds)},
            tune_config=TuneConfig(scheduler=Listening(), reuse_actors=False, max_concurrent_trials=1),
            run_config=RunConfig(name="deaths", storage_path=str(folder), verbose=0,
                                 failure_config=FailureConfig(max_failures=0, fail_fast=False)),
        ).fit()  # fmt: skip
    return dict(Listening.deaths)
