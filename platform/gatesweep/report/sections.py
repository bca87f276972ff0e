"""The page's written parts as HTML: answer, best configuration, failures, lineage.

Every text of the user is escaped here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from gatesweep.report.answer import Comparison, Failure, again, answer, comparisons, failures, percent
from gatesweep.report.axes import declared
from gatesweep.report.figures import Figure
from gatesweep.report.view import SweepView
from gatesweep.report.words import duration, escape, number, shown

_NAMED_TRIALS = 12


def header(view: SweepView) -> str:
    """Question, answer and the few numbers that everybody asks for."""
    notes = "".join(f"<li>{escape(note)}</li>" for note in view.notes)
    return (
        f'<header><div class="tag">sweep {escape(view.sweep_id)} · {escape(view.started)}</div>'
        f"<h1>{escape(view.question or view.name)}</h1>"
        f'<p class="answer">{escape(answer(view))}</p>'
        f'<div class="tiles">{"".join(_tiles(view))}</div>'
        + (f'<ul class="notes">{notes}</ul>' if notes else "")
        + "</header>"
    )


def _tiles(view: SweepView) -> Iterable[str]:
    for row in comparisons(view):
        if row.metric in (view.metric, view.test_metric):
            where = "best " if row.metric == view.metric else "the same trial, "
            yield _tile(number(row.ours), f"{where}{row.metric}")
    judged = [row for row in comparisons(view) if row.gain is not None]
    if judged and view.baseline and judged[-1].gain is not None:
        better = judged[-1].gain > 0
        yield _tile(
            f"{percent(abs(judged[-1].gain))} {'better' if better else 'worse'}",
            f"than {view.baseline['name']} ({judged[-1].metric})",
        )
    counts = ", ".join(f"{count:,} {outcome}" for outcome, count in view.outcomes().items() if count)
    yield _tile(f"{len(view.trials):,} trials", counts or "none")
    yield _tile(duration(view.wall_s), "wall time")


def _tile(value: str, label: str) -> str:
    return f'<div class="tile"><b>{escape(value)}</b><span>{escape(label)}</span></div>'


def best_section(view: SweepView) -> str:
    """The best configuration, its scores beside the baseline's, and the command that trains it again."""
    best, command = view.best_trial, again(view)
    if best is None:
        return section("best", "Best configuration", '<p class="quiet">No trial has a value.</p>')
    rerun = f'<p class="quiet">Train it again:</p><pre>{escape(command)}</pre>' if command else ""
    settings = facts(
        {key: shown(value) for key, value in best.params.items()}
        | {
            "epochs": number(best.epochs),
            "time": duration(best.duration_s),
            **({"seed": str(best.seed)} if best.seed is not None else {}),
        }
    )
    return section(
        "best",
        f"Best configuration: {best.label}",
        f'<div class="pair"><div>{settings}</div><div>{_scores(comparisons(view), view)}</div></div>{rerun}',
    )


def _scores(rows: list[Comparison], view: SweepView) -> str:
    base = f'<th class="n">{escape(view.baseline["name"])}</th><th class="n">gain</th>' if view.baseline else ""
    lines = "".join(
        f'<tr><td>{escape(row.metric)}</td><td class="n">{number(row.ours)}</td>'
        + (f'<td class="n">{number(row.baseline)}</td>{_gain_cell(row)}' if view.baseline else "")
        + "</tr>"
        for row in rows
    )
    head = f'<tr><th>metric</th><th class="n">best trial</th>{base}</tr>'
    return f"<table><thead>{head}</thead><tbody>{lines}</tbody></table>"


def _gain_cell(row: Comparison) -> str:
    if row.gain is None:
        return '<td class="n">—</td>'
    sign = "+" if row.gain > 0 else "−" if row.gain < 0 else ""
    return f'<td class="n {"gain" if row.gain > 0 else "loss"}">{sign}{percent(abs(row.gain))}</td>'


def chart_section(name: str, title: str, explanation: str, figure: Figure | None, otherwise: str) -> str:
    """A chart with its explanation, or in words why there is none."""
    if figure is None:
        return section(name, title, f'<p class="quiet">{escape(otherwise)}</p>')
    caption = f"<figcaption>{escape(explanation)} {escape(figure.caption)}</figcaption>"
    return section(
        name, title, f'{caption}<figure><div id="chart-{name}" style="min-height:{figure.height_px}px"></div></figure>'
    )


_TABLE = """<div id="trials">
<div class="tools">
<input data-part="search" type="search" placeholder="search, e.g. adamw" aria-label="search the trials">
<select data-part="outcome" aria-label="outcome"><option value="">every outcome</option>{options}</select>
<span class="count" data-part="count" aria-live="polite"></span>
<button data-part="back" type="button">previous</button>
<button data-part="on" type="button">next</button>
</div>
<div class="wide"><table class="trials">
<thead><tr data-part="head"></tr></thead><tbody data-part="body"></tbody>
</table></div>
</div>
<noscript><p>Charts and table need JavaScript; trials.csv beside this page holds every trial.</p></noscript>
<p class="quiet">Metrics are those of each trial's best epoch. trials.csv beside this page has every digit.</p>"""


def table_section(view: SweepView) -> str:
    """The frame of the table; `assets/table.js` fills it."""
    counts = {name: count for name, count in view.outcomes().items() if count}
    options = "".join(f'<option value="{name}">{name} ({count:,})</option>' for name, count in counts.items())
    return section("all", "All trials", _TABLE.format(options=options))


def failure_section(view: SweepView) -> str:
    """Failed trials by reason, and every attempt that died by its class; nothing where there are neither."""
    parts = "".join(map(_failure, failures(view))) + _deaths(view)
    return section("failures", "Failures by reason", parts) if parts else ""


def _deaths(view: SweepView) -> str:
    """How many attempts died of what, where, and what followed."""
    if not view.deaths:
        return ""
    counted = Counter((death.kind, death.host, death.then) for death in view.deaths)
    rows = "".join(
        f'<tr><td>{escape(kind)}</td><td>{escape(host or "—")}</td><td>{escape(then)}</td>'
        f'<td class="n">{count:,}</td></tr>'
        for (kind, host, then), count in counted.most_common()
    )
    head = '<tr><th>attempts died of</th><th>host</th><th>then</th><th class="n">times</th></tr>'
    return f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>"


def _failure(failure: Failure) -> str:
    names = ", ".join(trial.label for trial in failure.trials[:_NAMED_TRIALS])
    more = f" and {len(failure.trials) - _NAMED_TRIALS:,} more" if len(failure.trials) > _NAMED_TRIALS else ""
    whole = f"<pre>{escape(failure.text)}</pre>" if failure.text.strip() != failure.summary else ""
    head = f"<b>{len(failure.trials):,} ×</b> {escape(failure.summary[:300])}"
    named = f'<p class="quiet">{escape(names + more)}</p>'
    return f"<details><summary>{head}</summary>{named}{whole}</details>"


def lineage_section(view: SweepView) -> str:
    """What it takes to get the same numbers: code, data, versions, settings of the search."""
    commit = (
        "not in a repository"
        if view.commit is None
        else (f"{view.commit}, with uncommitted changes (diff.patch)" if view.dirty else view.commit)
    )
    rows = {
        "sweep": view.sweep_id,
        "objective": ", ".join(f"{metric} ({mode})" for metric, mode in view.goals or [(view.metric, view.mode)]),
        "search": shown(view.search),
        "scheduler": shown(view.scheduler),
        "budget": shown(view.budget),
        "started": view.started,
        "wall time": duration(view.wall_s),
        "commit": commit,
        **{f"data: {name}": f"md5 {digest}" for name, digest in view.data.items()},
        **({"baseline": view.baseline["name"]} if view.baseline else {}),
    }
    environment = {name: shown(value) for name, value in view.environment.items()}
    space = {key: shown(declared(spec)) for key, spec in view.space.items()}
    both = f'<div class="pair"><div>{facts(rows)}</div><div>{facts(environment)}</div></div>'
    return section("lineage", "Lineage", f"{both}<h3>Search space</h3>{facts(space)}")


def facts(rows: Mapping[str, str]) -> str:
    """Names and values, one per line."""
    lines = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>' for name, value in rows.items()
    )
    return f'<table class="facts">{lines}</table>'


def section(name: str, title: str, content: str) -> str:
    """`name` and `content` are HTML already, `title` is text."""
    return f'<section id="{name}"><h2>{escape(title)}</h2>{content}</section>'
