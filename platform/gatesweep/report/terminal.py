"""The sweep's end on a terminal: the top five and a few lines of summary, as rich renderables."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from gatesweep.report.answer import Comparison, answer, comparisons, failures, percent
from gatesweep.report.axes import axes
from gatesweep.report.view import SweepView, TrialView
from gatesweep.report.words import clean, duration, number, shortened, shown

_MOST_DIMENSIONS = 7


def top_table(view: SweepView, n: int = 5) -> Table:
    """The `n` best trials; the columns are the dimensions that vary and that one of them has.

    A user's text is never read as rich markup.
    """
    top = view.ranking()[:n]
    axes_shown = [axis for axis in axes(view) if axis.varies and any(axis.key in trial.params for trial in top)]
    axes_shown = axes_shown[:_MOST_DIMENSIONS]
    columns = {"trial": [trial.label for trial in top], view.metric: [number(trial.value) for trial in top]}
    columns |= {shortened(axis.label, 18): [_value(trial, axis.key) for trial in top] for axis in axes_shown}
    columns |= {"epochs": [str(trial.epochs) for trial in top], "time": [duration(trial.duration_s) for trial in top]}
    if any(trial.outcome != "completed" for trial in top):
        columns["outcome"] = [trial.outcome for trial in top]
    words = {"trial", "outcome", *(shortened(axis.label, 18) for axis in axes_shown if axis.levels)}
    table = Table(
        title=_text(f"Top {len(top)} of {len(view.trials):,} trials"), title_justify="left", title_style="bold"
    )
    table.box, table.pad_edge, table.padding = SIMPLE_HEAD, False, (0, 1, 0, 0)
    for name, cells in columns.items():
        widest = max(map(len, cells), default=1)  # a narrow terminal breaks heads, not values
        table.add_column(_text(name), justify="left" if name in words else "right", overflow="fold", min_width=widest)
    for trial, row in zip(top, zip(*columns.values(), strict=True), strict=True):
        table.add_row(*map(_text, row), style="bold" if trial.trial_id == view.best else "")
    return table


def front_table(view: SweepView) -> Table:
    """The Pareto front: its trials with every objective."""
    front = view.front_trials
    title = f"Pareto front: {len(front)} of {len(view.trials):,} trials"
    table = Table(title=_text(title), title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("trial")
    for metric, mode in view.goals:
        table.add_column(_text(f"{metric} ({mode})"), justify="right", overflow="fold")
    for trial in front:
        cells = [trial.label, *(number(trial.metrics[metric]) for metric, _ in view.goals)]
        table.add_row(*map(_text, cells), style="bold" if trial.trial_id == view.best else "")
    return table


def _value(trial: TrialView, key: str) -> str:
    if key not in trial.params:
        return "–"
    value = trial.params[key]
    return number(value, 3) if isinstance(value, float) else shortened(shown(value), 20)


def summary(view: SweepView) -> RenderableType:
    """The answer, the best trial's scores beside the baseline's, outcomes, and why trials failed."""
    lines: list[RenderableType] = [_text(answer(view))]
    rows = comparisons(view)
    if rows:
        lines.append(_scores(rows, view))
    counts = ", ".join(f"{count:,} {outcome}" for outcome, count in view.outcomes().items() if count)
    lines.append(_text(f"{len(view.trials):,} trials in {duration(view.wall_s)}: {counts or 'none'}"))
    lines += [
        _text(f"  failed {len(failure.trials):,} ×: {shortened(failure.summary, 120)}")
        for failure in failures(view)[:3]
    ]
    lines += [_text(f"note: {note}") for note in view.notes]
    return Group(*lines)


def _scores(rows: list[Comparison], view: SweepView) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("metric")
    table.add_column("best trial", justify="right")
    if view.baseline:
        table.add_column(_text(view.baseline["name"]), justify="right")
        table.add_column("gain", justify="right")
    for row in rows:
        gain = (
            ""
            if row.gain is None
            else f"{'+' if row.gain > 0 else '-' if row.gain < 0 else ''}{percent(abs(row.gain))}"
        )
        base = [number(row.baseline), gain] if view.baseline else []
        table.add_row(*(_text(cell) for cell in (row.metric, number(row.ours), *base)))
    return table


def _text(words: str) -> Text:
    return Text(clean(words))
