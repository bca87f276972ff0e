"""One training as a sweep of one trial is that training."""

from __future__ import annotations

import json
from pathlib import Path

from gatesweep.launch.single import single
from gatesweep.runs.experiment import load_experiment
from gatesweep.sweep.search import searcher
from gatesweep.sweep.spec import load_spec


def test_the_only_trial_has_the_experiments_own_digest(root: Path) -> None:
    experiment = load_experiment(root / "configs" / "experiments" / "traffic.yaml", ["seed=7", "trainer.threads=2"])
    spec = single(experiment)
    proposal = searcher(spec).propose(0)
    assert proposal is not None
    assert spec.trial_config(proposal[0], 0).digest == experiment.digest
    assert searcher(spec).propose(1) is None
    assert (spec.budget.trials, spec.name) == (1, "traffic")


def test_a_spec_that_was_written_down_and_read_again_is_the_same(root: Path, tmp_path: Path) -> None:
    for spec in (single(load_experiment(root / "configs" / "experiments" / "energy.yaml")),
                 load_spec(root / "configs" / "sweeps" / "traffic.yaml", ["budget.trials=3"])):  # fmt: skip
        (tmp_path / "sweep.yaml").write_text(json.dumps(spec.as_dict()))
        assert load_spec(tmp_path / "sweep.yaml") == spec
