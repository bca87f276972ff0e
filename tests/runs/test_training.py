"""One run: recorded whole, killed and gone on with, scored again."""

import hashlib
import json
import math
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from gatesweep.errors import ConfigError, DataError, NotFound, TrialFailed
from gatesweep.runs.evaluation import evaluate, restore
from gatesweep.runs.experiment import experiment_from
from gatesweep.runs.lookup import config_of, find
from gatesweep.runs.training import Listener, configuration, resume, run

TOY = {
    "name": "toy",
    "task": "toy_task:ToyTask",
    "data": {"examples": 64},
    "model": {"hidden_size": 8, "dropout": 0.2},
    "trainer": {"max_epochs": 5, "batch_size": 16, "monitor": "val/mae"},
    "seed": 3,
}


def _config(**changes):
    return experiment_from({**TOY, **changes}, place="test")


def test_a_run_is_recorded_whole(store):
    config = _config()
    result = run(config, store)
    found = store.get_run(result.run_id)
    assert found.status == "FINISHED"
    assert found.tags["gatesweep.outcome"] == "completed"
    history = store.history(result.run_id, "val/mae")
    assert [point.step for point in history] == [1, 2, 3, 4, 5]
    assert result.metrics["val/mae"] == min(point.value for point in history)
    assert found.metrics["test/mae"] == result.metrics["test/mae"]
    assert result.baseline["name"] == "zero"
    assert found.metrics["baseline/test/mae"] == result.baseline["metrics"]["test/mae"]
    assert config_of(found, store) == config
    lock = json.loads(store.artifact(result.run_id, "lock.json").read_text())
    assert lock["config_digest"] == found.tags["gatesweep.config_digest"] == config.digest
    assert lock["seeds"] == {"seed": 3}
    last = json.loads(store.artifact(result.run_id, "checkpoints/kept.json").read_text())
    assert last == {"best": Path(result.checkpoint).name,
                    "sha256": hashlib.sha256((Path(result.checkpoint) / "state.ckpt").read_bytes()).hexdigest()}
    assert store.artifact(result.run_id, "figures/forecast.png").stat().st_size > 1000
    kept = [path.name for path in Path(result.checkpoint).parent.iterdir() if path.is_dir()]
    assert kept == [Path(result.checkpoint).name]  # keep.checkpoints: best
    assert not (store.home / "runs" / result.run_id).exists()


@pytest.mark.parametrize(("keep", "count"), [("last", 1), ("all", 5)])
def test_checkpoints_stay_as_keep_says(store, keep: str, count: int):
    result = run(_config(keep={"checkpoints": keep}), store)
    kept = sorted(path.name for path in Path(result.checkpoint).parent.iterdir() if path.is_dir())
    assert len(kept) == count
    assert kept[-1] == "e0005"


def test_the_same_configuration_gives_the_same_numbers(store):
    first, second = (run(_config(), store) for _ in range(2))
    one, two = first.metrics, second.metrics
    assert {k: v for k, v in one.items() if k[:5] != "time/"} == {k: v for k, v in two.items() if k[:5] != "time/"}
    weights = [store.get_run(each.run_id).tags["gatesweep.weights"]
               for each in (first, second, run(_config(seed=4), store))]  # fmt: skip
    assert weights[0] == weights[1] != weights[2]
    assert re.fullmatch("[0-9a-f]{64}", weights[0])


def test_a_killed_run_goes_on_and_equals_an_uninterrupted_one(store, tmp_path: Path):
    whole = run(_config(data={"examples": 64, "pause_s": 0.05}), store)
    script = tmp_path / "killed.py"
    script.write_text(
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from gatesweep.runs.experiment import experiment_from\nfrom gatesweep.runs.training import Listener, run\n"
        "from gatesweep.track.store import open_store\nimport json\n"
        "def die(report):\n    if report.epoch == 2: os.kill(os.getpid(), signal.SIGKILL)\n"
        "run(experiment_from(json.loads(sys.argv[2]), place='x'), open_store(Path(sys.argv[1])),\n"
        "    Listener(started=lambda run_id: print(run_id, flush=True), epoch=die))\n"
    )
    raw = json.dumps({**TOY, "data": {"examples": 64, "pause_s": 0.05}})
    killed = subprocess.run([sys.executable, script, store.home, raw], capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    run_id = killed.stdout.strip()
    assert store.get_run(run_id).status == "RUNNING"
    heard: list[int] = []
    again = resume(
        run_id, configuration(run_id, store.home), store, Listener(epoch=lambda report: heard.append(report.epoch))
    )
    assert heard == [3, 4, 5]
    assert again.run_id == run_id
    assert _timeless(again.metrics) == _timeless(whole.metrics)
    assert store.get_run(run_id).status == "FINISHED"
    for key in ("val/mae", "train/loss"):
        points = [[(p.step, p.value) for p in store.history(name, key)] for name in (run_id, whole.run_id)]
        assert points[0] == points[1]
        assert [step for step, _ in points[0]] == [1, 2, 3, 4, 5]


def _timeless(metrics: dict[str, float]) -> dict[str, float]:
    return {key: value for key, value in metrics.items() if not key.startswith("time/")}


def test_an_interrupted_run_is_killed_in_the_store_and_resumable(store):
    def interrupt(report):
        if report.epoch == 2:
            raise KeyboardInterrupt

    ids: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        run(_config(), store, Listener(started=ids.append, epoch=interrupt))
    assert store.get_run(ids[0]).status == "KILLED"
    assert resume(ids[0], configuration(ids[0], store.home), store).epochs == 5
    assert store.get_run(ids[0]).status == "FINISHED"


def test_a_nan_loss_fails_the_run_with_its_reason(store):
    ids: list[str] = []
    config = _config(data={"examples": 64, "trouble": "nan"}, optimizer={"lr": 0.9})
    with pytest.raises(TrialFailed):
        run(config, store, Listener(started=ids.append))
    found = store.get_run(ids[0])
    assert found.status == "FAILED"
    assert "loss is nan in epoch 1" in " ".join(found.tags.values())


@pytest.mark.parametrize(
    "name", ["0" * 32, "toy-20260101-abcdef/t0001", "best:toy-20260101-abcdef", "best:a'b", "nonsense"]
)
def test_what_is_not_there_is_said(store, name: str):
    with pytest.raises(NotFound):
        find(name, store)


def test_only_what_was_interrupted_can_be_gone_on_with(store):
    finished = run(_config(), store).run_id
    for name in (finished, "0" * 32, "../../etc"):
        with pytest.raises(NotFound):
            configuration(name, store.home)


def test_a_forecast_is_scored_again_on_any_split_and_on_data_that_it_never_saw(
    store, forecasting, hourly: Path, tmp_path: Path
):
    result = run(experiment_from(forecasting, place="test"), store)
    again = evaluate(result.run_id, store, split="test", predictions=tmp_path / "p.csv")
    assert again.metrics["test/mae"] == pytest.approx(result.metrics["test/mae"], rel=1e-6)
    assert again.baseline["metrics"]["test/mae"] == pytest.approx(result.baseline["metrics"]["test/mae"])
    written = pd.read_csv(tmp_path / "p.csv")
    assert len(written) > 100
    assert evaluate(result.run_id, store, split="val").metrics["val/mae"] == pytest.approx(
        result.metrics["val/mae"], rel=1e-6
    )

    other = pd.read_csv(hourly).tail(300)
    other["load"] *= 10
    other.to_csv(tmp_path / "other.csv", index=False)
    scored = evaluate(result.run_id, store, split="all", data=tmp_path / "other.csv").metrics["all/mae"]
    assert math.isfinite(scored)
    assert scored > 5 * result.metrics["test/mae"]  # the run's own scaler was kept: ten times the load is far off

    name, task = restore(result.run_id, store)
    assert name == result.run_id
    assert not task.module.training


@pytest.mark.parametrize(("split", "data", "error"), [("tset", None, ConfigError), ("test", "none.csv", DataError)])
def test_a_wrong_split_or_file_is_refused(store, split, data, error):
    with pytest.raises(error):
        evaluate("whatever", store, split=split, data=Path(data) if data else None)


def test_altered_data_is_refused_before_a_run_exists(store, forecasting, hourly: Path, tmp_path: Path):
    bad = tmp_path / "bad.csv"
    bad.write_text(hourly.read_text().replace("2024-01-03 05:00:00", "no date", 1))
    before = len(store.search({}, store.experiment("load")))
    with pytest.raises(DataError):
        run(experiment_from({**forecasting, "data": {**forecasting["data"], "path": str(bad)}}, place="test"), store)
    assert len(store.search({}, store.experiment("load"))) == before


def test_a_full_disk_is_noticed_before_anything_starts(store, monkeypatch):
    import shutil

    from gatesweep.errors import ResourceError

    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**12, 10**12, 1 << 20))
    with pytest.raises(ResourceError, match="only 1 MiB"):
        run(_config(), store)
    assert os.path.isdir(store.home)
