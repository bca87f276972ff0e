"""The offline page: one HTML file and one CSV, that open 10,000 trials in seconds and load nothing from anywhere.

The page forbids its own browser every connection and every script but those written here (a content security policy
with their hashes): whatever a run's name or an error's text holds, it stays text.
"""

from __future__ import annotations

import base64
import hashlib
import os
import tempfile
from importlib.resources import files
from pathlib import Path
from string import Template

from gatesweep.report.axes import Axis, axes
from gatesweep.report.curves import learning_curves
from gatesweep.report.embed import payload
from gatesweep.report.figures import Figure, importance_bars
from gatesweep.report.importance import Importance, importance
from gatesweep.report.parallel import parallel
from gatesweep.report.pareto import pareto
from gatesweep.report.scatter import scatter
from gatesweep.report.schedules import line_table, schedules
from gatesweep.report.sections import (
    best_section,
    chart_section,
    failure_section,
    header,
    lineage_section,
    table_section,
)
from gatesweep.report.table import trials_frame
from gatesweep.report.view import SweepView
from gatesweep.report.words import escape, script_json

PAGE, TABLE = "index.html", "trials.csv"


def write_report(view: SweepView, folder: Path | str) -> Path:
    """Write `trials.csv` and `index.html` into `folder`, which is made if it is not there.

    Each file appears whole or not at all, and an older one stays until the new one is whole.

    Returns:
        The page's path.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _write_whole(folder / TABLE, trials_frame(view).to_csv(index=False, lineterminator="\n"))
    _write_whole(folder / PAGE, render(view))
    return folder / PAGE


def render(view: SweepView) -> str:
    """The page as text."""
    index = {trial.trial_id: row for row, trial in enumerate(view.trials)}
    found = importance(view)
    dimensions = _by_importance(axes(view), found)
    charts = [
        learning_curves(view, index),
        importance_bars(found, dimensions),
        parallel(view, dimensions, index),
        scatter(view, dimensions, index),
        pareto(view, index),
        schedules(view, dimensions, index),
    ]
    scripts = {"plotly": _plotly(), **{name: _asset(f"{name}.js") for name in ("charts", "parallel", "table")}}
    return Template(_asset("page.html")).substitute(
        scripts,
        policy=_policy(scripts),
        title=escape(view.question or view.name),
        style=_asset("page.css"),
        body=_body(view, charts, found),
        data=script_json(payload(view, [chart for chart in charts if chart is not None])),
    )


_MATTERED = (
    "How much each dimension decides whether a trial is among the best, from {:,} completed and pruned trials "
    "(PED-ANOVA). Shares sum to 1. Few trials make rough shares."
)
_LINES = (
    "One line per trial with a value, the stronger the better its rank, the best thick. Drag along an axis to keep the "
    "trials that pass there, here and in the table; a click on it lets all pass again."
)
_FRONT = (
    "Each trial at its best epoch by the first objective. On the front are those than which no other is better in one "
    "objective and as good in the rest; the best configuration above is the front's best by the first objective."
)
_CHANGED = (
    "The values that each trial's best weights were trained with, epoch by epoch. A step is a copy: the trial went on "
    "from another's weights, with values of its own; before it, the line is the other's."
)
_FEW = "There are not two trials with a value and a dimension that differs."
_PLACES = {
    "best": "Best configuration",
    "pareto": "Pareto front",
    "curves": "Learning curves",
    "schedules": "Values on the way",
    "line": "",
    "importance": "What mattered",
    "parallel": "All dimensions at once",
    "scatter": "One by one",
    "all": "All trials",
    "failures": "Failures",
    "lineage": "Lineage",
}


def _body(view: SweepView, charts: list[Figure | None], found: Importance) -> str:
    curves, bars, lines, panels, front, changing = charts
    epochs = f"{view.metric} after each epoch."
    parts = {
        "best": best_section(view),
        "pareto": (
            chart_section("pareto", "Pareto front", _FRONT, front, "No trial has a value of every objective.")
            if len(view.goals) > 1
            else ""
        ),
        "curves": chart_section("curves", "Learning curves", epochs, curves, "No trial reported an epoch."),
        "schedules": (
            chart_section("schedules", "Values on the way", _CHANGED, changing, "No number changed.")
            if any(trial.line for trial in view.trials)
            else ""
        ),
        "line": line_table(view),
        "importance": chart_section(
            "importance", "What mattered", _MATTERED.format(found.trials), bars, found.reason or ""
        ),
        "parallel": chart_section("parallel", "All dimensions at once", _LINES, lines, _FEW),
        "scatter": chart_section("scatter", "One dimension at a time", "", panels, _FEW),
        "all": table_section(view),
        "failures": failure_section(view),
        "lineage": lineage_section(view),
    }
    links = " ".join(f'<a href="#{name}">{_PLACES[name]}</a>' for name, part in parts.items() if part and _PLACES[name])
    return "\n".join((header(view), f"<nav>{links}</nav>", *parts.values()))


def _by_importance(dimensions: list[Axis], found: Importance) -> list[Axis]:
    return sorted(dimensions, key=lambda axis: -found.shares.get(axis.key, 0.0))


def _policy(scripts: dict[str, str]) -> str:
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in scripts.values()
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _asset(name: str) -> str:
    return (files("gatesweep.report") / "assets" / name).read_text(encoding="utf-8")


def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    # a browser hashes what it parsed: with newlines made one and no closing tag inside
    return str(get_plotlyjs()).replace("\r\n", "\n").replace("\r", "\n").replace("</script", "<\\/script")


def _write_whole(path: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
