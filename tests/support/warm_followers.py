"""A process that follows one training after another: what a team's tests need, without an import of torch for each.

It is started once, reads orders as pickles and answers each with how it ended, as `gatesweep.runs.follower` does once.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from gatesweep.errors import Parted
from gatesweep.runs.experiment import ExperimentConfig, experiment_from
from gatesweep.runs.gang import Ended, led
from gatesweep.train.team import Before, Seat, Team


class WarmFollowers:
    """As many processes as a team needs beside the first worker."""

    def __init__(self) -> None:
        self.processes: list[subprocess.Popen[bytes]] = []

    def need(self, count: int) -> list[subprocess.Popen[bytes]]:
        while len(self.processes) < count:
            self.processes.append(subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE,
                                                   stdout=subprocess.PIPE))  # fmt: skip
        return self.processes[:count]

    @contextlib.contextmanager
    def team(self, config: ExperimentConfig, *, data_md5: Mapping[str, str], before: Before = Before(),
             host: str = "127.0.0.1") -> Iterator[Team | None]:  # fmt: skip
        """As `gang.local`."""
        if config.trainer.workers == 1:
            yield None
            return
        processes = self.need(config.trainer.workers - 1)

        def start(seats: list[Seat]) -> list[_Follower]:
            return [_Follower(process, (config.as_dict(), dict(data_md5), seat))
                    for process, seat in zip(processes, seats, strict=True)]  # fmt: skip

        with led(config.trainer.workers, host, start, before=before) as team:
            yield team

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


class _Follower:
    def __init__(self, process: subprocess.Popen[bytes], order: Any) -> None:
        self._end: Ended | None = None
        assert process.stdin is not None
        pickle.dump(order, process.stdin)
        process.stdin.flush()
        self._process = process
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        self._end = Ended(pickle.load(self._process.stdout))

    def ended(self) -> Ended | None:
        return self._end

    def kill(self) -> None:
        raise AssertionError("a follower did not end by itself")


def _serve() -> None:
    from gatesweep.runs.follower import follow

    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with contextlib.suppress(EOFError):
        while True:
            raw, data_md5, seat = pickle.load(sys.stdin.buffer)
            end: Exception | None = None
            try:
                follow(experiment_from(raw, place=f"worker {seat.rank}"), seat, data_md5=data_md5)
            except Parted as error:
                end = error
            except Exception as error:
                end = RuntimeError(f"{type(error).__name__}: {error}")
            pickle.dump(end, answers)
            answers.flush()


if __name__ == "__main__":
    _serve()
