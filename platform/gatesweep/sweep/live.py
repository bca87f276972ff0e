"""What a person sees while a sweep runs: a table on a terminal, a line per ended trial elsewhere. Always on stderr."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from gatesweep.sweep.failures import WORDS
from gatesweep.sweep.ledger import Ledger
from gatesweep.sweep.trial import Trial
from gatesweep.track.records import Record

ROWS = 16
"""Trials shown at once: the running ones, the best, then the newest."""


class Board:
    """Follows a ledger; `with board:` shows it."""

    def __init__(self, ledger: Ledger, console: Console) -> None:
        self.ledger, self.console = ledger, console
        self.started = time.monotonic()
        self._epochs_before = sum(trial.epoch for trial in ledger.trials.values())
        self._live = (
            Live(get_renderable=self.render, console=console, refresh_per_second=2) if console.is_terminal else None
        )
        ledger.listeners.append(self.heard)

    def __enter__(self) -> Board:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live:
            self._live.stop()

    def heard(self, record: Record) -> None:
        """A line per ended trial where no table can be drawn."""
        if self._live or record["event"] not in ("result", "fail", "end", "stop"):
            return
        trial = self.ledger.trials.get(record.get("trial", ""))
        if record["event"] == "stop":
            self.console.print(f"stopped: {record['reason']}")
        elif trial and trial.outcome:
            self.console.print(
                f"{self._count()}  {trial.name} {trial.outcome}: {self._value(trial)}  {_params(trial)}{_why(trial)}",
                highlight=False,
                soft_wrap=True,
            )
        elif trial and record["event"] == "fail":
            self.console.print(
                f"{trial.name} died ({WORDS[record['class']]}) and is tried again: {record['reason'].splitlines()[0]}",
                highlight=False,
            )

    def render(self) -> Group:
        """The table and the line below it."""
        metric, mode = self.ledger.spec.goal.metric, self.ledger.spec.goal.mode
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in ("trial", "cell", "hidden", "lr", "epoch", metric, "best", "state"):
            table.add_column(name, justify="left" if name in ("trial", "cell", "state") else "right")
        best = next(iter(self.ledger.ranked()), None)
        for trial in self._shown(best):
            last = trial.metrics.get(trial.epoch, {}).get(metric)
            state = trial.outcome or ("running" if trial.name in self.ledger.running.values() else "waiting")
            table.add_row(
                trial.name,
                *(self._setting(trial, key) for key in ("model.cell", "model.hidden_size", "optimizer.lr")),
                str(trial.epoch),
                _number(last),
                _number(self.ledger.value(trial)),
                state,
                style="bold green" if trial is best else "dim" if trial.outcome in ("pruned", "failed") else "",
            )
        said = f"best {_number(self.ledger.value(best))} ({best.name}, {metric}, {mode})" if best else "no result yet"
        return Group(table, Text(f"{self._count()} trials over · {said} · {self._left()}"))

    def _shown(self, best: Trial | None) -> list[Trial]:
        trials = list(self.ledger.trials.values())
        live = [t for t in trials if t.outcome is None]
        rest = [t for t in reversed(trials) if t.outcome is not None and t is not best]
        chosen = (([best] if best and best.outcome else []) + live + rest)[:ROWS]
        return sorted(chosen, key=lambda t: t.number)

    def _setting(self, trial: Trial, key: str) -> str:
        value: Any = trial.params.get(key)
        if value is None:
            section, _, name = key.partition(".")
            value = getattr(getattr(self.ledger.spec.experiment, section), name)
        return _number(value) if isinstance(value, float) else str(value)

    def _value(self, trial: Trial) -> str:
        value = self.ledger.value(trial)
        return (
            "no result"
            if value is None
            else f"{self.ledger.spec.goal.metric} {_number(value)} in {trial.epoch} epochs"
        )

    def _count(self) -> str:
        over = sum(1 for trial in self.ledger.trials.values() if trial.outcome)
        return f"{over}/{self.ledger.budget.trials}"

    def _left(self) -> str:
        """Time left, as if the trials to come cost what the ended ones did."""
        ended = [t for t in self.ledger.trials.values() if t.outcome]
        if not ended:
            return "time left: not known yet"
        mean_s = sum(t.busy_ms for t in ended) / 1000 / len(ended)
        to_come = self.ledger.budget.trials - len(ended)
        return f"about {mean_s * to_come / self.ledger.budget.concurrent:.0f} s left"


def _number(value: Any) -> str:
    return "-" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _params(trial: Trial) -> str:
    return " ".join(f"{key.rpartition('.')[2]}={_number(value)}" for key, value in trial.params.items())


def _why(trial: Trial) -> str:
    return f" ({trial.reason.splitlines()[0]})" if trial.reason else ""
