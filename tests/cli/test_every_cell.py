"""`gatesweep run FILE --set model.cell=NAME` trains every cell; without a compiler too, and says so once."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import COMMAND, call

from gatesweep.cells.names import ALIASES, MATRIX_CELLS, NAMES
from gatesweep.config.places import home

EXPERIMENT = """
task: forecasting
data: {path: load.csv, time: when, target: load, horizon: 6, lookback: 12, stride: 12}
model: {cell: vanilla, hidden_size: 8}
optimizer: {lr: 3e-2}
trainer: {max_epochs: 2, batch_size: 16, monitor: val/mae}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An experiment on a noisy daily wave, one store for all cells, and the kernels that were compiled before."""
    made = tmp_path_factory.mktemp("cells")
    hours = np.arange(40 * 24)
    load = 100 + 30 * np.sin(2 * np.pi * hours / 24) + np.random.default_rng(0).normal(0, 2, len(hours))
    stamps = pd.date_range("2024-01-01", periods=len(hours), freq="h")
    pd.DataFrame({"when": stamps, "load": load.round(3)}).to_csv(made / "load.csv", index=False)
    (made / "exp.yaml").write_text(EXPERIMENT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GATESWEEP_KERNELS", str(home() / "cache" / "kernels"))
        patch.setenv("GATESWEEP_HOME", str(made / "home"))
        patch.chdir(made)
        yield made


def _improves(said: str) -> bool:
    first, second = (float(value) for value in re.findall(r"^epoch \d: val/mae ([\d.]+)", said, re.MULTILINE))
    return second < first


def _call(capsys, monkeypatch, *arguments: str) -> tuple[str, str]:
    """stdout and stderr of a command that ends well."""
    code, out, err = call(capsys, monkeypatch, *arguments)
    assert code == 0, err
    return out, err


@pytest.mark.parametrize("cell", [*NAMES, *MATRIX_CELLS, *ALIASES])
def test_every_cell_learns_by_its_name_alone(folder: Path, capsys, monkeypatch, cell: str) -> None:
    out, err = _call(capsys, monkeypatch, "run", "exp.yaml", "--json", "--set", f"model.cell={cell}")
    assert math.isfinite(json.loads(out)["metrics"]["test/mae"])
    assert _improves(err)


def test_runs_are_listed_on_request_beside_the_sweeps(folder: Path, capsys, monkeypatch) -> None:
    made = json.loads(_call(capsys, monkeypatch, "run", "exp.yaml", "--json")[0])
    listed = json.loads(_call(capsys, monkeypatch, "list", "--runs", "--json")[0])
    last = listed["runs"][-1]
    assert listed["sweeps"] == []
    assert (last["run_id"], last["name"], last["state"]) == (made["run_id"], "exp", "finished")
    assert last["metric"] == "val/mae"
    assert float(last["last"]) == pytest.approx(made["metrics"]["val/mae"], rel=1e-3)
    assert made["run_id"] in _call(capsys, monkeypatch, "list", "--runs")[0]
    assert "runs" not in json.loads(_call(capsys, monkeypatch, "list", "--json")[0])


def test_without_a_compiler_a_run_trains_on_torch_operations_and_says_so_once(folder: Path, tmp_path: Path) -> None:
    assert not (folder / "home" / "cache" / "kernels").exists()
    empty = {"PATH": str(tmp_path), "GATESWEEP_KERNELS": str(tmp_path)}
    surroundings = {name: value for name, value in os.environ.items() if name != "CC"} | empty
    settings = ["model.cell=peephole", "model.layers=2", "model.bidirectional=true", "model.recurrent_dropout=0.1"]
    done = subprocess.run(
        [*COMMAND, "run", "exp.yaml", "--json",
         *(word for setting in settings for word in ("--set", setting))],
        capture_output=True, text=True, env=surroundings, cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert math.isfinite(json.loads(done.stdout)["metrics"]["test/mae"])
    assert done.stderr.count("cells run on torch operations alone") == 1
    assert "none of cc, gcc, clang is on the PATH" in done.stderr
    assert _improves(done.stderr)
    assert not [*tmp_path.rglob("*.so"), *folder.rglob("*.so")]
