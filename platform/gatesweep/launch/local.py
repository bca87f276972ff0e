"""Drivers on this machine, in the background: sessions of their own, which outlive their terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil

from gatesweep.errors import NotFound
from gatesweep.launch.runner import Job, Order
from gatesweep.launch.submitted import FOLDER, Attempt, now

POLL_S = 0.3


class LocalJobs:
    """Follows `Runner`."""

    def __init__(self, home: Path, environment: Mapping[str, str]) -> None:
        self._home, self._environment = home, environment

    def must_answer(self) -> str:
        return "this machine"

    def start(self, order: Order) -> Attempt:
        log = self._home / FOLDER / f"{order.job_id}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "gatesweep.cli.job", *order.words]
        with log.open("ab") as said:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT,
                                       start_new_session=True, env={**os.environ, **self._environment})  # fmt: skip
        born = psutil.Process(process.pid).create_time()
        return Attempt(order.number, order.job_id, now(), pid=process.pid, born=born, log=str(log))

    def job(self, attempt: Attempt) -> Job:
        return Job(attempt.job_id, "running" if _process(attempt) else "ended")

    def attempts(self, sweep_id: str) -> list[Job]:
        return []  # those that are remembered are all there are

    def log(self, attempt: Attempt) -> str:
        file = Path(attempt.log or "")
        if not file.is_file():
            raise NotFound("its driver's log is not there any more", place=attempt.job_id)
        return file.read_text(encoding="utf-8", errors="replace")

    def follow(self, attempt: Attempt) -> Iterator[str]:
        shown = 0
        while True:
            alive = _process(attempt) is not None
            said = self.log(attempt)
            if len(said) > shown:
                yield said[shown:]
                shown = len(said)
            if not alive:
                return
            time.sleep(POLL_S)

    def stop(self, attempt: Attempt) -> None:
        process = _process(attempt)
        if process is not None:
            process.send_signal(signal.SIGTERM)


def _process(attempt: Attempt) -> psutil.Process | None:
    """The attempt's own process; none where it has ended, whoever has its number now."""
    if attempt.pid is None:
        return None
    try:
        process = psutil.Process(attempt.pid)
        ended = abs(process.create_time() - (attempt.born or 0)) > 1 or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return None
    return None if ended else process
