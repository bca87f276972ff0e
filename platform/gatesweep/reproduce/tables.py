"""A comparison as tables: pandas DataFrames, plain JSON, and a folder with compare.md, scores.csv and curves.svg."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatesweep.errors import UserError
from gatesweep.report.overlay import overlay_svg
from gatesweep.report.words import clean, number
from gatesweep.reproduce.differences import ABSENT, Row, told
from gatesweep.track.stored import write_whole

if TYPE_CHECKING:
    import pandas as pd

    from gatesweep.reproduce.compare import Comparison
    from gatesweep.reproduce.data_changes import DataChange
    from gatesweep.reproduce.pair_tests import PairTest
    from gatesweep.reproduce.sides import Side

PAGE, SCORES, CURVES = "compare.md", "scores.csv", "curves.svg"
_TEST = ("n", "difference", "low", "high", "sd", "t", "p", "verdict")


def frame(rows: Sequence[Row], sides: Sequence[Side]) -> pd.DataFrame:
    """Keys down, sides across; values as they are, ABSENT (shown as —) where there is none."""
    import pandas as pd

    return pd.DataFrame([list(row.values) for row in rows], index=pd.Index([row.key for row in rows], name="key"),
                        columns=[side.label for side in sides], dtype=object)  # fmt: skip


def data_frame(changes: Sequence[DataChange]) -> pd.DataFrame:
    """One row a set and pair of sides."""
    import pandas as pd

    rows = [{"name": each.name, "a": each.a, "b": each.b, "was": each.was, "now": each.now,
             **{word: None if each.files is None else getattr(each.files, word)
                for word in ("added", "removed", "altered")}, "why": each.why} for each in changes]  # fmt: skip
    return pd.DataFrame(rows, columns=["name", "a", "b", "was", "now", "added", "removed", "altered", "why"])


def score_frame(found: Comparison) -> pd.DataFrame:
    """One row a metric and run."""
    import pandas as pd

    rows = [(metric, side.label, member.run.run_id, member.seed, value)
            for metric, values in found.values.items() for side in found.sides
            for member, value in zip(side.members, values[side.label], strict=True)]  # fmt: skip
    return pd.DataFrame(rows, columns=["metric", "side", "run_id", "seed", "value"])


def test_frame(tests: Sequence[PairTest]) -> pd.DataFrame:
    """One row a pair of sides."""
    import pandas as pd

    rows = []
    for test in tests:
        found = {} if test.found is None else test.found.as_dict()
        rows.append([test.a, test.b, test.metric, *(found.get(key) for key in _TEST), "; ".join(test.why)])
    return pd.DataFrame(rows, columns=["a", "b", "metric", *_TEST, "why_not"])


def plain(rows: Sequence[Row], sides: Sequence[Side]) -> list[dict[str, Any]]:
    """JSON: a value for each side that has one."""
    return [{"key": row.key, "values": {side.label: value for side, value in zip(sides, row.values, strict=True)
                                        if value is not ABSENT}} for row in rows]  # fmt: skip


def score_text(values: Sequence[float]) -> str:
    """`0.4123`, of several runs `0.4123 ± 0.0021`."""
    mean = f"{statistics.fmean(values):.5g}"
    return mean if len(values) < 2 else f"{mean} ± {number(statistics.stdev(values), 2)}"


def check_folder(folder: Path) -> None:
    """Refuse a place where no folder can be made, before anything is read.

    Raises:
        UserError: a file is there, or its parent is not: a mistyped path makes no folders.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError("is a file, and a folder is wanted", place=str(folder), hint="--out my-comparison")
    if not folder.exists() and not folder.absolute().parent.is_dir():
        raise UserError("its folder is not there", place=str(folder), hint=f"mkdir -p {folder.absolute().parent}")


def write(found: Comparison, folder: Path | str) -> Path:
    """Everything is made before the first file is written; returns the folder."""
    folder = Path(folder)
    texts = {SCORES: score_frame(found).to_csv(index=False, lineterminator="\n")}
    if found.curves and found.curve_metric:
        texts[CURVES] = overlay_svg(found.curves, found.curve_metric)
    texts[PAGE] = page(found)
    try:
        for name, text in texts.items():
            write_whole(folder / name, text)
    except OSError as error:
        raise UserError(f"cannot be written: {error.strerror or error}", place=str(folder),
                        hint="--out my-comparison") from error
    if CURVES not in texts:
        (folder / CURVES).unlink(missing_ok=True)  # of an earlier comparison by another metric
    return folder


def page(found: Comparison) -> str:
    """The whole comparison as Markdown."""
    labels = [side.label for side in found.sides]
    parts = [f"# {' and '.join(labels)}", *(f"- {clean(test.sentence)}" for test in found.tests)]
    parts += [f"  (hint: {test.hint})" for test in found.tests if test.hint]
    parts += [f"- note: {clean(note)}" for note in found.notes]
    ways = [(side.label, " ".join(member.run.run_id for member in side.members),
             " ".join(str(member.seed) for member in side.members)) for side in found.sides]  # fmt: skip
    parts += ["", *_markdown(("", "runs", "seeds"), ways)]
    scores = [(metric, *(score_text(values[label]) for label in labels)) for metric, values in found.values.items()]
    if scores:
        parts += ["", "## Scores", "", "Mean ± standard deviation (n - 1) where there are several runs.", "",
                  *_markdown(("metric", *labels), scores)]  # fmt: skip
    if found.curves:
        parts += ["", f"![{found.curve_metric} by epoch]({CURVES})"]
    for title, rows in (("Configuration", found.config), ("Environment", found.environment)):
        cells = [(str(key), *(told(value, 200) for value in row)) for key, row in zip(rows.index, rows.values.tolist(),
                                                                                  strict=True)]  # fmt: skip
        parts += ["", f"## {title}", "", *(_markdown(("key", *labels), cells) if cells else ["No difference."])]
    parts += ["", "## Data", ""]
    lines = [line for change in found.data_changes for line in change.lines()]
    parts += ["```", *map(clean, lines), "```"] if lines else ["No difference."]
    return "\n".join(parts) + "\n"


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    told_rows = [[clean(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in (head, *rows)]
    lines = [f"| {' | '.join(row)} |" for row in told_rows]
    return [lines[0], f"|{'---|' * len(head)}", *lines[1:]]
