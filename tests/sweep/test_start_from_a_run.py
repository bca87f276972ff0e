"""A sweep whose trials start from a run: the driver finds its checkpoint once, and the log names the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from labelled_texts import made_texts, written

from gatesweep.runs.experiment import experiment_from
from gatesweep.runs.training import run
from gatesweep.sweep.session import Hooks
from gatesweep.sweep.spec import spec_from
from gatesweep.sweep.start import start
from gatesweep.track.log import read
from gatesweep.track.store import open_store
from gatesweep.train.checkpoint import STATE


def experiment(path: Path, **more: Any) -> dict[str, Any]:
    return {"name": "made", "task": "sequence_classification", "data": {"path": str(path), "min_count": 1},
            "model": {"hidden_size": 4, "embedding_size": 4}, **more,
            "trainer": {"max_epochs": 2, "batch_size": 32, "monitor": "val/loss"}}  # fmt: skip


@pytest.mark.usefixtures("own_home")
def test_trials_get_the_file_of_the_runs_checkpoint_and_its_digest_is_pinned(tmp_path: Path) -> None:
    store, home = open_store(tmp_path / "home"), tmp_path / "home"
    source = run(experiment_from(experiment(written(made_texts(80), tmp_path / "one.csv")), place="test"), store)
    init = {"run": source.run_id, "vocabulary": "theirs"}
    spec = spec_from({
        "name": "made", "experiment": experiment(written(made_texts(80, seed=1), tmp_path / "two.csv"), init_from=init),
        "objective": {"metric": "val/loss", "mode": "min"}, "space": {"optimizer.lr": {"choice": [0.01, 0.02]}},
        "search": {"name": "random", "seed": 1}, "budget": {"trials": 2},
    }, place="test")  # fmt: skip
    session = start(spec, "made-20260101-abcdef", lambda: store, Hooks(), home)()
    first, file = read(session.place)[0], str(Path(source.checkpoint).resolve() / STATE)
    session.close()
    told = first["spec"]["experiment"]
    assert (told["init_from"]["run"], told["init_from"]["checkpoint"]) == (source.run_id, file)
    assert told["data"]["words"] == file
    assert set(first["data"]) == {"two.csv", "words", "init_from"}
    assert first["data"]["words"] == first["data"]["init_from"]
    assert [str(dataset.path) for dataset in session.task.datasets if dataset.own][-1] == file
