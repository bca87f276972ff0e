"""A worker that follows: the same training as worker 0's, with its own share of every batch, and nothing to tell.

As a process of its own (`python -m gatesweep.runs.follower`) it reads its order from its input, which stays open for as
long as worker 0's process lives, and writes how it ended (`follower_words`).
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from typing import BinaryIO

from gatesweep.errors import GatesweepError, Parted
from gatesweep.runs import follower_words
from gatesweep.runs.build import prepare
from gatesweep.runs.experiment import ExperimentConfig, experiment_from
from gatesweep.train.fit import accompany, device_of
from gatesweep.train.team import Dismissed, Seat, Team, come_to


def follow(config: ExperimentConfig, seat: Seat, *, data_md5: Mapping[str, str],
           say: Callable[[str], None] = lambda line: None) -> None:  # fmt: skip
    """Train along until worker 0 ends it.

    Raises:
        Parted: another worker is gone.
    """
    task, recipe = prepare(config, data_md5=data_md5, say=say)
    store = come_to(seat)
    team = Team(seat, store, device_of(recipe.trainer))
    try:
        with contextlib.suppress(Dismissed):
            accompany(task, recipe, team)
    finally:
        team.leave()


def _main() -> None:
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a task prints is no answer
    raw, data_md5, seat = follower_words.read_order(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with, args=(sys.stdin.buffer,), daemon=True).start()
    end: Exception | None = None
    try:
        follow(experiment_from(raw, place=f"worker {seat.rank}"), seat, data_md5=data_md5)
    except (GatesweepError, Parted) as error:
        end = error
    except Exception as error:  # its class may not be known where this is read
        end = RuntimeError(f"worker {seat.rank}: {type(error).__name__}: {error}\n{traceback.format_exc()}")
    answer.write(follower_words.end(end))
    answer.flush()
    os._exit(0)  # without waiting for the thread that reads


def _end_with(lifeline: BinaryIO) -> None:
    lifeline.read()
    os._exit(1)


if __name__ == "__main__":
    _main()
