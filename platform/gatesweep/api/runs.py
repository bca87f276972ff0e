"""One run each: train, go on, score, sample, forecast, backtest, load."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatesweep.api.places import here, open_store

if TYPE_CHECKING:
    import pandas as pd

    from gatesweep.runs.backtest import Backtest
    from gatesweep.runs.evaluation import Evaluation
    from gatesweep.runs.experiment import ExperimentConfig
    from gatesweep.runs.sampling import Sample
    from gatesweep.runs.training import Listener, RunResult
    from gatesweep.tasks.base import TaskModule


def run(
    config: Any,
    *,
    overrides: Sequence[str] = (),
    listener: Listener | None = None,
    out: str | Path | None = None,
) -> RunResult:
    """Train one model.

    Args:
        config: an experiment's file, or its sections as a mapping.
        overrides: `key=value` as `--set` takes them.
        out: a folder that gets `metrics.json`, `curves.csv` and `run.json` besides (see `gatesweep.runs.results`).

    Raises:
        UserError: before anything was started.
    """
    from gatesweep.runs.training import Listener
    from gatesweep.runs.training import run as train

    experiment = _experiment(config, overrides)
    if out is None:
        return train(experiment, open_store(), listener)
    from gatesweep.runs.results import Results

    store, results = open_store(), Results(Path(out))
    result = train(experiment, store, results.heard_by(listener or Listener()))
    results.write(result)
    return result


def _experiment(config: Any, overrides: Sequence[str]) -> ExperimentConfig:
    from gatesweep.config.loader import override
    from gatesweep.runs.experiment import ExperimentConfig, experiment_from, load_experiment, refuse_the_worst

    if isinstance(config, ExperimentConfig):
        return experiment_from(override(config.as_dict(), overrides), place="run") if overrides else config
    if isinstance(config, Mapping):
        return refuse_the_worst(experiment_from(override(dict(config), overrides), place="run"), "run")
    return load_experiment(Path(config), overrides)


def interrupted(run_id: str) -> ExperimentConfig:
    """The configuration of a run that can be gone on with.

    Raises:
        NotFound: nothing of it is left here.
    """
    from gatesweep.runs.training import configuration

    return configuration(run_id, here())


def resume_run(run_id: str, *, listener: Listener | None = None) -> RunResult:
    """Go on with an interrupted run; its numbers equal those of one that was never interrupted."""
    from gatesweep.runs.training import resume as go_on

    return go_on(run_id, interrupted(run_id), open_store(), listener)


def evaluate(
    name: str,
    *,
    split: str = "test",
    data: str | Path | None = None,
    predictions: str | Path | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Evaluation:
    """Score a run's checkpoint on a split, or on a file that it never saw."""
    from gatesweep.runs.evaluation import evaluate as score

    return score(
        name,
        open_store(),
        split=split,
        data=Path(data) if data else None,
        predictions=Path(predictions) if predictions else None,
        say=say,
    )


def sample(
    name: str,
    *,
    prompt: str = "",
    tokens: int = 50,
    temperature: float = 1.0,
    top_p: float = 1.0,
    seed: int = 0,
    out: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Sample:
    """What a run's model writes after `prompt`, text or music: see `gatesweep.runs.sampling.sample`."""
    from gatesweep.runs.sampling import check
    from gatesweep.runs.sampling import sample as write

    check(tokens, temperature, top_p, seed, out)
    return write(
        name, open_store(), prompt=prompt, tokens=tokens, temperature=temperature, top_p=top_p, seed=seed, out=out,
        say=say,
    )  # fmt: skip


def forecast(
    df: pd.DataFrame,
    *,
    horizon: int | None = None,
    target: str | Sequence[str] = (),
    covariates: Sequence[str] = (),
    known: Sequence[str] = (),
    future: pd.DataFrame | None = None,
    config: Mapping[str, Any] | None = None,
    run: str | None = None,
    listener: Listener | None = None,
) -> pd.DataFrame:
    """The steps after the last row of `df`: a model is trained on it, or a trained one reads it.

        gatesweep.forecast(df, horizon=24, config={"model": {"output": "quantiles"}})

    Args:
        df: one row a step, under an index (or one column) of stamps; columns are numbers.
        horizon: how many steps.
        target: the column or columns to forecast; by default all that are not named below.
        covariates: columns whose past the model reads; `known`: columns that are known ahead.
        future: the known columns' values over the horizon, under its stamps.
        config: sections of an experiment (`data`, `model`, `optimizer`, `trainer`, `seed`, …) that differ from the
            defaults.
        run: a run that was trained on such a frame; nothing is trained then, and its settings hold.

    Returns:
        Columns origin, step, time, (series,) forecast, and a column for each level where the output has some; `attrs`
        holds `run_id`, and of a training `metrics` and `baseline`, which say whether to believe it.

    Raises:
        UserError: before anything was started.
    """
    from gatesweep.runs.forecasting import forecast as go_on

    targets = (target,) if isinstance(target, str) else tuple(target)
    return go_on(
        df, open_store(), horizon=horizon, targets=targets, covariates=covariates, known=known, future=future,
        config=config, run_name=run, listener=listener,
    )  # fmt: skip


def backtest(
    config: Any,
    *,
    folds: int = 4,
    test: float = 0.1,
    val: float = 0.1,
    overrides: Sequence[str] = (),
    listener: Listener | None = None,
) -> Backtest:
    """Rolling-origin evaluation of an experiment: see `gatesweep.runs.backtest.backtest`."""
    from gatesweep.runs.backtest import backtest as roll

    return roll(_experiment(config, overrides), open_store(), folds=folds, test=test, val=val, listener=listener)


def load(name: str) -> TaskModule:
    """The trained Lightning module of a run id, a trial id or `best:<sweep_id>`."""
    from gatesweep.runs.evaluation import load as restore

    return restore(name, open_store())
