"""A run's results as files, for whoever reads files and asks no tracking store: DVC, a script, a spreadsheet.

    FOLDER/metrics.json   the scores, {"test/mae": 250.1, …}; no times, so that the same run gives the same file
           curves.csv     one row an epoch, one column a metric
           run.json       what `gatesweep run --json` prints, the run's id among it
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gatesweep.errors import UserError
from gatesweep.track.stored import write_whole

if TYPE_CHECKING:
    from gatesweep.runs.training import Listener, RunResult
    from gatesweep.train.callbacks import EpochReport

METRICS, CURVES, RUN = "metrics.json", "curves.csv", "run.json"


class Results:
    """Hears of every epoch, and writes when the run is over. Nothing of an earlier run is left in the folder meanwhile.

    Raises:
        UserError: the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self._rows = folder, list[dict[str, float]]()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name in (METRICS, CURVES, RUN):
                (folder / name).unlink(missing_ok=True)
            (folder / RUN).touch()  # a folder without rights is refused now, not after the training
            (folder / RUN).unlink()
        except OSError as error:
            raise UserError(f"cannot be written: {error.strerror}", place=str(folder),
                            hint="name a folder for the results, e.g. results/traffic") from error

    def heard_by(self, listener: Listener) -> Listener:
        """The listener, and these results beside it."""

        def epoch(report: EpochReport) -> None:
            self._rows.append({"epoch": report.epoch, **_timeless(report.metrics)})
            listener.epoch(report)

        return replace(listener, epoch=epoch)

    def write(self, result: RunResult) -> None:
        """The three files."""
        write_whole(self.folder / METRICS, json.dumps(_timeless(result.metrics), indent=1, sort_keys=True) + "\n")
        write_whole(self.folder / CURVES, self._curves())
        write_whole(self.folder / RUN, json.dumps(result.as_dict(), indent=1) + "\n")

    def _curves(self) -> str:
        columns = ["epoch", *sorted({key for row in self._rows for key in row} - {"epoch"})]
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._rows)
        return text.getvalue()


def _timeless(metrics: dict[str, float]) -> dict[str, float]:
    return {key: value for key, value in metrics.items() if not key.startswith("time/")}
