"""docs/results.md out of benchmarks/results/tasks/*.json: score, spread over seeds, time, hardware, commit.

    python benchmarks/tasks/results_page.py
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path

from rows import RESULTS, ROOT, Row

PAGE = ROOT / "docs" / "results.md"
HEAD = """# Results

What the committed experiments reach, measured by `benchmarks/tasks/*.py`; each row is kept in
`benchmarks/results/tasks/` with its configuration's digest. "published" is the number of others for the same setting,
"baseline" models without recurrence on the same examples: the one to be beaten, and the first score of the others.
Minutes are of the whole training, scoring included: by the clock, which on a machine with other work shows more than
the training, and of CPU. What has no row here has not been measured.
"""
TITLES = {"forecasting": "Forecasting", "forecasting_transfer": "Transfer between series",
          "language_modeling": "Language modelling", "sequence_classification": "Sentiment",
          "translation": "Translation", "speech_recognition": "Speech", "music": "Polyphonic music",
          "synthetic": "Synthetic long memory", "families": "Families", "transfer": "Transfer"}  # fmt: skip


def page() -> str:
    """The whole page."""
    files = sorted(RESULTS.glob("*.json"))
    parts = [HEAD, *(section(file.stem, json.loads(file.read_text())) for file in files)]
    return "\n".join(parts)


def section(task: str, rows: Sequence[Row]) -> str:
    """A task's table: a line for each name, over its seeds."""
    lines = [f"## {TITLES.get(task, task.replace('_', ' ').capitalize())}", "",
             "| what | score | baseline | published | seeds | minutes | CPU minutes | threads | commit |",
             "|---|---|---|---|---|---|---|---|---|"]  # fmt: skip
    for name in dict.fromkeys(row["name"] for row in rows):
        lines.append(line([row for row in rows if row["name"] == name]))
    machines = sorted({row["machine"] for row in rows})
    return "\n".join([*lines, "", f"On {'; '.join(machines)}.", ""])


def line(same: Sequence[Row]) -> str:
    """The seeds of one name."""
    first = same[0]
    told = f"**{first['name']}**" + (f"<br>{first['about']}" if first.get("about") else "")
    keys = first.get("show") or [key for key in first["metrics"] if key.startswith(("val/", "test/"))]
    scores = "<br>".join(f"{key} {spread([row['metrics'][key] for row in same])}" for key in keys)
    baseline = first.get("baseline") or {}
    beside = "<br>".join(f"{key} {value:.4g}" for key, value in baseline.get("metrics", {}).items() if key in keys)
    minutes, cpu = (statistics.mean(row[clock] for row in same) / 60 for clock in ("wall_s", "cpu_s"))
    commits = ", ".join(dict.fromkeys(row["commit"] for row in same))
    others = [f"{name}: {values[keys[0]]:.4g}" for name, values in baseline.get("candidates", {}).items()
              if name != baseline["name"] and keys[0] in values]  # fmt: skip
    beaten = "<br>".join(filter(None, [baseline.get("name", ""), beside, *others]))
    cells = [told, scores, beaten, first.get("published", ""), len(same), f"{minutes:.1f}", f"{cpu:.1f}",
             first.get("threads", ""), commits]  # fmt: skip
    return f"| {' | '.join(map(str, cells))} |"


def spread(values: Sequence[float]) -> str:
    """The mean, and the standard deviation where there are several."""
    mean = statistics.mean(values)
    return f"{mean:.4g}" if len(values) == 1 else f"{mean:.4g} ± {statistics.stdev(values):.2g}"


if __name__ == "__main__":
    PAGE.write_text(page())
    print(Path(PAGE).relative_to(ROOT))
