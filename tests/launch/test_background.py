"""A `local` cluster: a sweep goes on in the background of this machine, is stopped, killed, and resumed by its id."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from command_line import Terminal, write_project

from gatesweep.launch.submitted import recall

from .test_on_ray import EXPERIMENT, SWEEP

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(420)]


@pytest.fixture
def terminal(tmp_path: Path, own_home: Path) -> Terminal:
    folder = tmp_path / "project"
    folder.mkdir()
    experiment = EXPERIMENT.format(hold=tmp_path / "hold")
    return Terminal(write_project(folder, experiment, SWEEP, local="kind: local\n"), own_home)


def test_a_background_sweep_survives_a_stop_and_a_kill_and_ends_with_every_trial_once(
    terminal: Terminal, own_home: Path, tmp_path: Path
) -> None:
    (tmp_path / "hold").touch()
    terminal("submit", "sweep.yaml", "--cluster", "local.yaml", "--id", "toy")
    terminal.until("toy", lambda told: told["running"] and told["best"])
    terminal("stop", "toy", "--now")
    terminal.until("toy", lambda told: told["state"] == "stopped" and told["job"]["state"] == "stopped")

    terminal("resume", "toy")
    terminal.until("toy", lambda told: told["state"] == "running" and told["running"] and told["best"])
    sent = recall("toy", own_home)
    assert sent is not None
    assert sent.newest is not None
    assert sent.newest.pid is not None
    os.kill(sent.newest.pid, signal.SIGKILL)
    terminal.until("toy", lambda told: told["state"] == "interrupted")
    assert sent.newest.seen > 0

    (tmp_path / "hold").unlink()
    assert json.loads(terminal("resume", "toy", "--json"))["job_id"] == "toy-a3"
    assert terminal("status", "toy", "--watch").splitlines()[-1].startswith("toy: done, 3/3 trials over (3 completed)")
    answer = json.loads(terminal("logs", "toy").splitlines()[-1])
    assert answer["outcomes"] == {"completed": 3, "pruned": 0, "failed": 0, "stopped": 0}
    terminal("stop", "toy", code=2)
    assert "there is nothing to stop: the sweep is done" in terminal.said
