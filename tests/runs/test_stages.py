"""A training whose values change on the way: one run, as if its stages had been trained by those who led to it."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest

from gatesweep.config.changes import with_changes
from gatesweep.errors import ConfigError
from gatesweep.runs.build import prepare
from gatesweep.runs.experiment import experiment_from, load_experiment, stages_of
from gatesweep.runs.stages import fit_stages
from gatesweep.track.dress import as_yaml
from gatesweep.train.callbacks import StopAfter
from gatesweep.train.fit import fit

BASE: dict[str, Any] = {
    "task": "toy_task:ToyTask", "data": {"examples": 40}, "model": {"hidden_size": 8, "dropout": 0.3},
    "trainer": {"max_epochs": 6, "batch_size": 16, "monitor": "val/mae"}, "seed": 5,
}  # fmt: skip
CHANGES = [
    {"after_epoch": 2, "values": {"optimizer.lr": 0.02, "seed": 7}},
    {"after_epoch": 3, "values": {"model.dropout": 0.1, "trainer.batch_size": 8}},
]


def _config(changes=CHANGES, **more):
    return experiment_from({**BASE, **more, "changes": changes}, place="exp.yaml")


def _trained(config, folder: Path, seen=(), callbacks=()):
    reports = []
    task, recipe = prepare(config)
    fitted, _ = fit_stages(config, task, recipe, folder=folder, on_epoch=reports.append, seen=tuple(seen),
                           resume=seen[-1].checkpoint if seen else None, callbacks=callbacks, say=print)  # fmt: skip
    return reports, fitted


def _by_hand(config, folder: Path):
    """Each stage as a trial of a sweep would train it, in an attempt of its own that is cut short."""
    stages, reports, was = stages_of(config), [], None

    class Enough(Exception):
        pass

    for number, stage in enumerate(stages):
        end = stages[number + 1].after_epoch if stage is not stages[-1] else None

        def heard(report, end=end):
            reports.append(report)
            if report.epoch == end:
                raise Enough

        task, recipe = prepare(stage.config)
        with contextlib.suppress(Enough):
            fit(task, recipe, folder=folder / str(number), on_epoch=heard, was=was, seen=tuple(reports),
                resume=reports[-1].checkpoint if reports else None)  # fmt: skip
        was = stage.config.optimizer
    return reports


def _numbers(reports):
    kept = [{k: v for k, v in r.metrics.items() if not k.startswith("time/")} for r in reports]
    return kept, [(r.epoch, r.final, r.weights) for r in reports]


def test_stages_in_one_run_are_those_of_a_sweeps_trials_bit_for_bit(tmp_path: Path):
    reports, fitted = _trained(_config(), tmp_path / "run")
    assert _numbers(reports) == _numbers(_by_hand(_config(), tmp_path / "hand"))
    assert [report.final for report in reports] == [False] * 5 + [True]
    assert fitted.epochs == 6
    best = min(reports, key=lambda report: report.metrics["val/mae"])
    assert (fitted.best_epoch, fitted.best_checkpoint) == (best.epoch, best.checkpoint)
    plain, _ = _trained(_config([]), tmp_path / "plain")
    assert [r.weights for r in plain][:2] == [r.weights for r in reports][:2]
    assert plain[2].weights != reports[2].weights


@pytest.mark.parametrize("cut", [1, 2, 3, 5])
def test_a_death_in_any_stage_leaves_the_same_bits(tmp_path: Path, cut: int):
    whole, _ = _trained(_config(), tmp_path / "whole")
    rest, fitted = _trained(_config(), tmp_path / "rest", whole[:cut])
    assert _numbers(whole[:cut] + rest) == _numbers(whole)
    assert fitted.epochs == 6


@pytest.mark.parametrize("epochs", [1, 2, 3, 4])
def test_a_few_epochs_are_the_first_ones_of_all(tmp_path: Path, epochs: int):
    whole, _ = _trained(_config(), tmp_path / "whole")
    few, fitted = _trained(_config(), tmp_path / "few", callbacks=(StopAfter(epochs),))
    assert [r.weights for r in few] == [r.weights for r in whole[:epochs]]
    assert few[-1].final
    assert fitted.epochs == epochs


def test_a_file_says_the_changes_and_its_values_have_their_types(tmp_path: Path):
    file = tmp_path / "best.yaml"
    file.write_text(as_yaml(_config().as_dict()))
    config = load_experiment(file)
    assert [change.values for change in config.changes] == [change["values"] for change in CHANGES]
    assert config.digest == _config().digest


def test_an_experiment_without_changes_is_what_it_was_before_there_were_any():
    config = experiment_from(BASE, place="exp.yaml")
    assert "changes" not in config.as_dict()
    assert experiment_from({**BASE, "changes": []}, place="exp.yaml").digest == config.digest != _config().digest


def test_other_seeds_of_a_found_schedule_keep_their_seed_through_it():
    config = _config([CHANGES[0], {"after_epoch": 3, "values": {"seed": 9}}]).with_one_seed()
    assert [change.values for change in config.changes] == [{"optimizer.lr": 0.02}]
    assert {stage.config.seed for stage in stages_of(config)} == {5}


def test_a_line_of_configurations_is_one_with_changes():
    stages = stages_of(_config())
    made = with_changes([(stage.after_epoch, stage.config.as_dict()) for stage in stages])
    assert json.loads(json.dumps(made)) == _config().as_dict()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([{"after_epoch": 6, "values": {"seed": 1}}], "6 is not after 0 and before trainer.max_epochs 6"),
        ([CHANGES[1], CHANGES[0]], "2 is not after 3"),
        ([{"after_epoch": 2, "values": {"optimizer.lrr": 1}}], "unknown key 'optimizer.lrr'"),
        ([{"after_epoch": 2, "values": {"trainer.max_epochs": 9}}], "unknown key 'trainer.max_epochs'"),
        ([{"after_epoch": 2, "values": {"optimizer.lr": -1}}], "optimizer.lr: .* not -1"),
        ([{"after_epoch": 2, "values": {}}], "changes"),
    ],
)
def test_changes_that_cannot_be_are_refused(changes, said):
    with pytest.raises(ConfigError, match=said) as refused:
        _config(changes)
    assert "exp.yaml" in str(refused.value)
