"""The commands around one run: `run`, `resume RUN`, `evaluate`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gatesweep.cli.answer import print_json, say

MEASURES: dict[str, Literal["min", "max"]] = {
    "piece_loss": "min", "mae": "min", "accuracy": "max", "ppl": "min", "bpc": "min", "bleu": "max",
}  # fmt: skip
"""By which a task's model is compared with its baseline in words."""

if TYPE_CHECKING:
    from gatesweep.runs.training import Listener, RunResult
    from gatesweep.train.callbacks import EpochReport


def train(file: Path, overrides: list[str], epochs: int | None, out: Path | None, *, as_json: bool) -> None:
    """Train, score, print."""
    from gatesweep.runs.experiment import load_experiment

    config = load_experiment(file, overrides)
    _check_epochs(epochs, config.trainer.max_epochs)
    from gatesweep import api

    with _progress(config.trainer.monitor, config.trainer.max_epochs) as bar:
        listener = bar.listener()
        if epochs is not None:
            from gatesweep.train.callbacks import StopAfter

            listener.callbacks += (StopAfter(epochs),)
        result = api.run(config, listener=listener, out=out)
    _print(result, as_json)


def _check_epochs(epochs: int | None, schedule: int) -> None:
    if epochs is not None and epochs > schedule:
        from gatesweep.errors import ConfigError

        raise ConfigError(f"the schedule has {schedule} epochs, and {epochs} are asked for", place="--epochs",
                          hint=f"a longer schedule is --set trainer.max_epochs={epochs}")


def resume_run(run_id: str, overrides: list[str], *, as_json: bool) -> None:
    """Go on with an interrupted run."""
    from gatesweep import api
    from gatesweep.errors import ConfigError

    if overrides:
        raise ConfigError("a run goes on as it began", place="--set", hint="start another run with gatesweep run")
    config = api.interrupted(run_id)
    with _progress(config.trainer.monitor, config.trainer.max_epochs) as bar:
        result = api.resume_run(run_id, listener=bar.listener())
    _print(result, as_json)


def score(name: str, split: str, data: Path | None, predictions: Path | None, *, as_json: bool) -> None:
    """Evaluate, print."""
    from gatesweep import api

    result = api.evaluate(name, split=split, data=data, predictions=predictions, say=say)
    if as_json:
        print_json(result.as_dict())
        return
    _table(result.metrics, result.baseline, (split,))
    if result.predictions:
        print(f"predictions  {result.predictions}")


def walk_forward(file: Path, overrides: list[str], folds: int, test: float, val: float, *, as_json: bool) -> None:
    """Train and score every fold, print."""
    from gatesweep.runs.experiment import load_experiment

    config = load_experiment(file, overrides)
    from gatesweep import api

    with _progress(config.trainer.monitor, config.trainer.max_epochs) as bar:
        result = api.backtest(config, folds=folds, test=test, val=val, listener=bar.listener())
    if as_json:
        print_json(result.as_dict())
        return
    print(result.table().to_string(index=False, float_format=lambda number: f"{number:.5g}"))
    _table(result.mean, result.baseline, ("test",))


def sample(
    name: str, prompt: str, tokens: int, temperature: float, top_p: float, seed: int, out: Path | None, *, as_json: bool
) -> None:  # fmt: skip
    """Write on from a prompt, print."""
    from gatesweep import api

    result = api.sample(name, prompt=prompt, tokens=tokens, temperature=temperature, top_p=top_p, seed=seed, out=out,
                        say=say)
    if as_json:
        print_json(result.as_dict())
        return
    if result.unknown:
        say(f"note: the model does not know {', '.join(result.unknown)}, and has read <unk> there")
    print(result.prompt + result.text)
    if result.file:
        say(f"written to {result.file}")


def _print(result: RunResult, as_json: bool) -> None:
    if as_json:
        print_json(result.as_dict())
        return
    from gatesweep.track.addresses import run_address

    _table(result.metrics, result.baseline, ("val", "test"))
    print(f"run         {result.run_id}  ({result.epochs} epochs, {result.wall_s:.0f} s)")
    print(f"checkpoint  {result.checkpoint}")
    print(f"page        gatesweep ui, then {run_address(result.experiment_id, result.run_id)}")


def _table(metrics: dict[str, float], baseline: dict[str, Any], splits: tuple[str, ...]) -> None:
    """The model beside every baseline, and in words whether it is worth having."""
    from rich.console import Console
    from rich.table import Table

    candidates = baseline.get("candidates") or {baseline["name"]: baseline["metrics"]}
    table = Table(box=None, pad_edge=False)
    for name in ("metric", "model", *candidates):
        table.add_column(
            f"{name} (baseline)" if name == baseline["name"] else name, justify="left" if name == "metric" else "right"
        )
    for key, value in sorted(metrics.items()):
        if key.partition("/")[0] in splits:
            others = [candidates[name].get(key) for name in candidates]
            table.add_row(key, f"{value:.5g}", *("-" if other is None else f"{other:.5g}" for other in others))
    console = Console()
    console.print(table)
    verdict = _verdict(metrics, baseline, splits)
    if verdict:
        console.print(verdict, highlight=False)


def _verdict(metrics: dict[str, float], baseline: dict[str, Any], splits: tuple[str, ...]) -> str:
    """One sentence on the task's own measure, on the last split that has it; nothing where the baseline has none."""
    from gatesweep.report.answer import gain, percent

    for split in reversed(splits):
        for measure, mode in MEASURES.items():
            key = f"{split}/{measure}"
            ours, theirs = metrics.get(key), baseline["metrics"].get(key)
            share = None if ours is None or theirs is None else gain(ours, theirs, mode)
            if share is not None:
                word = f"{percent(abs(share))} {'better' if share > 0 else 'worse'} than" if share else "no better than"
                return f"{key}: {word} the baseline {baseline['name']}"
    return ""


class _progress:
    """A bar over the epochs on a terminal, a line per epoch elsewhere."""

    def __init__(self, monitor: str, epochs: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self.monitor, self.console, self.started = monitor, Console(stderr=True), time.monotonic()
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("epochs"),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.task = self.bar.add_task("training", total=epochs)

    def __enter__(self) -> _progress:
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.stop()

    def listener(self) -> Listener:
        """What the run calls."""
        from gatesweep.runs.training import Listener

        return Listener(say=self._say, started=lambda run_id: self._say(f"run {run_id}"), epoch=self._epoch)

    def _say(self, line: str) -> None:
        self.console.print(line, highlight=False, soft_wrap=True, markup=False)

    def _epoch(self, report: EpochReport) -> None:
        value = report.metrics[self.monitor]
        self.bar.update(self.task, completed=report.epoch, description=f"{self.monitor} {value:.5g}")
        if not self.console.is_terminal:
            self._say(f"epoch {report.epoch}: {self.monitor} {value:.5g}, {report.metrics['time/epoch_s']:.1f} s")
