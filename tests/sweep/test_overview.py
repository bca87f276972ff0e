"""`gatesweep list` from the logs of a home folder: the same words as `gatesweep status`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from fakes import make_spec, opened

from gatesweep.launch.followed import find
from gatesweep.sweep.overview import sweeps
from gatesweep.track.lease import NAME

DIES = """
import os, sys
from pathlib import Path
from fakes import make_spec, opened
opened(Path(sys.argv[1]), make_spec()).next("a")
os._exit(9)
"""


def _states(home: Path) -> dict[str, str]:
    return {row["sweep_id"]: row["state"] for row in sweeps(home)}


def _by_status(home: Path, *names: str) -> dict[str, str]:
    told = {name: find(name, home) for name in names}
    return {name: each.state(each.progress(), each.job()) for name, each in told.items()}


def _folder(home: Path, name: str) -> Path:
    folder = home / "sweeps" / name
    folder.mkdir(parents=True)
    return folder


def test_an_open_sweep_is_running_while_its_log_is_held_and_interrupted_once_its_holder_is_gone(tmp_path: Path) -> None:
    live = opened(_folder(tmp_path, "live"), make_spec())
    live.next("a")
    subprocess.run([sys.executable, "-c", DIES, str(_folder(tmp_path, "killed"))], check=False)
    released = opened(_folder(tmp_path, "released"), make_spec())
    released.next("a")
    released.log.close()
    assert _states(tmp_path) == {"live": "running", "killed": "interrupted", "released": "interrupted"}
    assert _states(tmp_path) == _by_status(tmp_path, "live", "killed", "released")
    live.log.close()


def test_a_sweep_that_ended_is_called_by_its_end_and_a_retry_opens_it_again(tmp_path: Path) -> None:
    for name, last in (("done", {"event": "done", "outcomes": {}}), ("stopped", {"event": "stop", "reason": "x"})):
        ledger = opened(_folder(tmp_path, name), make_spec())
        ledger.next("a")
        ledger.note(last)
        ledger.log.close()
    assert _states(tmp_path) == {"done": "done", "stopped": "stopped"} == _by_status(tmp_path, "done", "stopped")
    again = opened(tmp_path / "sweeps" / "done", make_spec(), create=False)
    again.end("t0000", "by hand")
    again.retry(["t0000"])
    assert _states(tmp_path)["done"] == "running"
    again.log.close()


def test_a_lease_whose_segment_is_gone_is_a_damaged_log_and_ends_nothing(tmp_path: Path) -> None:
    ledger = opened(_folder(tmp_path, "torn"), make_spec())
    ledger.next("a")
    ledger.log.close()
    lease = tmp_path / "sweeps" / "torn" / NAME
    lease.write_text(json.dumps({**json.loads(lease.read_text()), "fence": 7}))
    assert _states(tmp_path) == {"torn": "damaged log"}
