"""`status` as a table, once or again and again; and the sweeps of clusters for `list`."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatesweep.cli.answer import print_json, say
from gatesweep.errors import ConfigError, GatesweepError, UserError
from gatesweep.track.records import goal_of

if TYPE_CHECKING:
    from rich.console import RenderableType

    from gatesweep.launch.followed import Followed
    from gatesweep.launch.progress import Progress

WATCH_S = 2.0
LIST_S = 10.0
UNSENT = "the tracking server has not got everything that the log says"
UNREADABLE = "unreadable"
ENDED = ("done", "stopped", "interrupted", "failed")


def show_status(sweep_id: str, cluster: Path | None, *, watch: bool, as_json: bool) -> None:
    """How a sweep is."""
    from gatesweep import api
    from gatesweep.launch.followed import find
    from gatesweep.launch.status import status

    if watch and as_json:
        raise ConfigError("one JSON object is one look, and --watch looks again and again", place="--json",
                          hint=f"leave one out; a script asks `gatesweep status {sweep_id} --json` again and again")
    followed = find(sweep_id, api.here(), cluster)
    if as_json:
        print_json(status(followed, say))
        return
    from rich.console import Console

    console = Console()
    if not watch:
        console.print(picture(status(followed, say)))
        return
    _watch(console, lambda: status(followed, lambda line: None))


def _watch(console: Any, ask: Any) -> None:
    """A picture that is drawn again until the sweep ends; a line a change where there is no terminal."""
    from rich.live import Live

    if not console.is_terminal:
        last = None
        while True:
            told = ask()
            line = headline(told)
            if line != last:
                print(line, flush=True)
            if told["state"] in ENDED:
                return
            last = line
            time.sleep(WATCH_S)
    with Live(console=console, auto_refresh=False) as live:
        while True:
            told = ask()
            live.update(picture(told), refresh=True)
            if told["state"] in ENDED:
                return
            time.sleep(WATCH_S)


def headline(told: dict[str, Any]) -> str:
    """One line: state, trials, best."""
    trials, best = told["trials"], told["best"] or {}
    parts = [f"{count} {kind}" for kind, count in trials.items() if count and kind not in ("asked", "over")]
    asked = "?" if trials["asked"] is None else trials["asked"]
    text = f"{told['sweep_id']}: {told['state']}, {trials['over']}/{asked} trials over"
    text += f" ({', '.join(parts)})" if parts else ""
    if best:
        value = f"{best['metric']} {best['value']:.5g}, " if "value" in best else ""
        text += f"; best {value}{best['trial_id'].rpartition('/')[2]}"
    return text


def picture(told: dict[str, Any]) -> RenderableType:
    """The whole answer for a reader."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    facts = Table(box=None, pad_edge=False, show_header=False)
    for name, value in _facts(told):
        facts.add_row(name, value)
    parts: list[RenderableType] = [Text(headline(told)), facts]
    if told["running"]:
        table = Table("running", "attempt", "epoch", "node", "best", box=None, pad_edge=False)
        for row in told["running"]:
            best = "-" if row["best"] is None else f"{row['best']:.5g}"
            table.add_row(row["trial"], str(row["attempt"]), str(row["epoch"]), row["node"] or "-", best)
        parts.append(table)
    return Group(*parts)


def _facts(told: dict[str, Any]) -> list[tuple[str, str]]:
    job = told.get("job") or {}
    best = told["best"] or {}
    test = ", ".join(f"{name} {value:.5g}" for name, value in (best.get("test") or {}).items())
    failures = ", ".join(f"{count} x {kind}" for kind, count in told["failures"].items())
    rows = [
        ("reason", told.get("reason") or ""),
        ("test", test),
        ("failures", failures),
        ("cluster", told["cluster"] or ""),
        ("driver", f"{told['job_id'] or ''} {job['state']} {job['message']}".strip() if job else ""),
        ("unsent", UNSENT if told.get("unsent") else ""),
        ("place", told["place"]),
        ("next", _next(told)),
    ]
    return [(name, value) for name, value in rows if value]


def _next(told: dict[str, Any]) -> str:
    sweep_id = told["sweep_id"]
    if told.get("unsent"):
        return f"gatesweep resume {sweep_id} sends it"
    return {
        "done": f"gatesweep report {sweep_id}" if not told["cluster"] else "",
        "stopped": f"gatesweep resume {sweep_id}",
        "interrupted": f"gatesweep resume {sweep_id}",
        "failed": f"gatesweep logs {sweep_id} says why; gatesweep resume {sweep_id} tries again, with --cluster FILE if"
                  " the cluster's file was wrong",
    }.get(told["state"], "")


def cluster_rows(home: Path, known: set[str]) -> list[dict[str, Any]]:
    """A row a sweep that was submitted and lies elsewhere; one whose storage is silent for seconds says so."""
    from gatesweep.launch.submitted import everything

    rows: list[dict[str, Any]] = []

    def unreadable(sweep_id: str, error: UserError) -> None:
        if sweep_id not in known:
            rows.append({"sweep_id": sweep_id, "state": UNREADABLE, "over": 0, "trials": 0, "metric": "", "best": None,
                         "cluster": "", "reason": f"{error.place}: {error.message}"})  # fmt: skip

    for each in everything(home, unreadable):
        if each.sweep_id not in known:
            rows.append({"sweep_id": each.sweep_id, "state": "no answer", "over": 0,
                         "trials": each.spec["budget"]["trials"], "metric": (goal_of(each.spec) or [""])[0],
                         "best": None, "cluster": each.cluster.name})  # fmt: skip
    # one after the other: reading a cluster's storage takes its variables, which are the process's
    thread = threading.Thread(target=_fill_all, args=(rows, home), daemon=True)
    thread.start()
    thread.join(LIST_S)
    return [dict(row) for row in rows]


def _fill_all(rows: list[dict[str, Any]], home: Path) -> None:
    for row in rows:
        if row["state"] != UNREADABLE:
            _fill(row, home)


def _fill(row: dict[str, Any], home: Path) -> None:
    from gatesweep.launch.followed import find

    try:
        followed = find(row["sweep_id"], home)
        progress = followed.progress()
        state = progress.ended or _open_state(followed, progress)
    except GatesweepError:
        row["state"] = "unreadable from here"
        return
    best = progress.best()
    row.update(
        state=state,
        over=progress.counts(live=True)["over"],
        trials=progress.asked or row["trials"],
        best=best["value"] if best else None,
    )


def _open_state(followed: Followed, progress: Progress) -> str:
    """As `status` says it, as far as the storage tells: a cluster is not asked, and a holder may be on a dead host."""
    if not progress.asked:
        job = followed.job() if followed.cluster and followed.cluster.kind == "local" else None
        return "sent" if job is None or job.alive else job.state
    holder = followed.holder()
    return "open" if holder is None or holder.alive else "interrupted"
