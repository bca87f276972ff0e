"""An interrupted or finished sweep, opened again from its log: checked first, then folded, perhaps extended.

Two steps, as in `start`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from gatesweep.config.loader import override
from gatesweep.errors import ConfigError, DataError, LogError, NotFound
from gatesweep.runs.disk import check_disk
from gatesweep.sweep.ledger import Ledger
from gatesweep.sweep.session import Hooks, Opening, Say, Session, folder_of, opened
from gatesweep.sweep.spec import Budget, SweepSpec, spec_from
from gatesweep.track.lineage import collect
from gatesweep.track.log import ReadOnlyLog, SweepLog, read
from gatesweep.track.records import Record
from gatesweep.track.store import Store

if TYPE_CHECKING:
    from gatesweep.tasks.base import Task


def reopen(
    sweep_id: str, assignments: Sequence[str], open_store: Callable[[], Store], hooks: Hooks, home: Path
) -> Opening:
    """Check an interrupted or finished sweep. What is returned rebuilds its state, its budget perhaps extended.

    Raises:
        NotFound: no such sweep.
        LogError: its log is damaged, in use, or decided otherwise than this version would.
        DataError: its data is not what it was.
    """
    from gatesweep.runs.build import prepare  # torch and Lightning: imported while Ray starts

    folder, records, spec = _logged(sweep_id, home)
    budget = _extended(records, spec, assignments)
    check_disk(home)
    task, _ = prepare(spec.trial_config({}, 0), say=hooks.say)
    _same_surroundings(records[0], task, hooks.say)
    store = open_store()
    lock = collect(records[0]["spec"], task.datasets, {"search": spec.search.seed, "experiment": spec.experiment.seed})

    def make() -> Session:
        session = opened(spec, sweep_id, folder, SweepLog(folder / "log.jsonl"), store, lock, task, hooks)
        if budget != session.ledger.budget:
            session.ledger.extend(budget)
        if not session.ledger.finished:
            session.ledger.resume()
        return session

    return make


def glance(sweep_id: str, assignments: Sequence[str], home: Path) -> tuple[SweepSpec, bool]:
    """A sweep's spec with its newest budget, and whether nothing is left to do."""
    _, records, spec = _logged(sweep_id, home)
    budget = _extended(records, spec, assignments)
    last = next((r["event"] for r in reversed(records) if r["event"] in ("done", "resume", "extend", "new")), "")
    return spec.model_copy(update={"budget": budget}), last == "done" and not assignments


def peek(sweep_id: str, home: Path) -> tuple[Ledger, Path]:
    """A sweep's state as its log stands, read only, and its folder. A driver may be writing meanwhile."""
    folder, records, spec = _logged(sweep_id, home)
    return Ledger(ReadOnlyLog(folder / "log.jsonl", records), spec, folder), folder


def _logged(sweep_id: str, home: Path) -> tuple[Path, list[Record], SweepSpec]:
    folder = folder_of(sweep_id, home)
    if not (folder / "log.jsonl").is_file():
        raise NotFound(f"no sweep '{sweep_id}'", place=str(folder.parent), hint="gatesweep list shows the sweeps")
    records, _ = read(folder / "log.jsonl")
    if not records:
        raise LogError(
            "the sweep died before its first record; nothing is lost",
            place=str(folder),
            hint="remove this folder and start the sweep again",
        )
    return folder, records, spec_from(records[0]["spec"], place=str(folder / "log.jsonl"))


def _same_surroundings(first: Record, task: Task, say: Say) -> None:
    """The data must be what it was; other versions are said, and the replay of the log tells whether they matter."""
    for dataset in task.datasets:
        was = first["data"].get(dataset.name)
        if was != dataset.md5:
            raise DataError(
                f"'{dataset.name}' is {dataset.md5} now and was {was} when the sweep began",
                place=str(dataset.path),
                hint=f"gatesweep data pull {dataset.name} --force",
            )
    changed = [
        f"{package} {was} -> {version(package)}"
        for package, was in first["versions"].items()
        if version(package) != was
    ]
    if changed:
        say(f"note: other versions than at the start: {', '.join(changed)}")


def _extended(records: list[Record], spec: SweepSpec, assignments: Sequence[str]) -> Budget:
    """The budget as the log left it, with `--set budget.…` put in."""
    current = next(
        (r["budget"] for r in reversed(records) if r["event"] == "extend"), spec.budget.model_dump(mode="json")
    )
    for assignment in assignments:
        if not assignment.startswith("budget."):
            raise ConfigError(
                f"a sweep's {assignment.partition('=')[0]} cannot change on the way",
                place="--set",
                hint="resume takes budget.trials and budget.concurrent; start a new sweep for the rest",
            )
    try:
        budget = Budget(**override({"budget": current}, assignments)["budget"])
    except ValueError as error:
        raise ConfigError(f"no usable budget: {error}", place="--set") from None
    asked = sum(record["event"] == "new" for record in records)
    if budget.trials < asked:
        raise ConfigError(
            f"budget.trials: {budget.trials} is fewer than the {asked} trials that there are", place="--set"
        )
    return budget
