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
from gatesweep.storage import Place
from gatesweep.sweep.checks import POPULATIONS
from gatesweep.sweep.ledger import Ledger
from gatesweep.sweep.options import Budget
from gatesweep.sweep.session import Hooks, Opening, Say, Session, opened, place_of, working_copy
from gatesweep.sweep.spec import SweepSpec, spec_from
from gatesweep.sweep.where import Where
from gatesweep.track.lineage import collect
from gatesweep.track.log import ReadOnlyLog, SweepLog, read
from gatesweep.track.records import Record
from gatesweep.track.store import Store

if TYPE_CHECKING:
    from gatesweep.tasks.base import Task

FIRST = "log.jsonl"
"""The log's first segment."""


def reopen(
    sweep_id: str,
    assignments: Sequence[str],
    open_store: Callable[[], Store],
    hooks: Hooks,
    home: Path,
    where: Where = Where(),
    retry: bool = False,
) -> Opening:
    """Check an interrupted or finished sweep. What is returned rebuilds its state, its budget perhaps extended.

    Args:
        retry: trials that failed are tried again, with their retries anew.

    Raises:
        NotFound: no such sweep.
        LogError: its log is damaged, in use, or decided otherwise than this version would.
        DataError: its data is not what it was.
    """
    from gatesweep.runs.build import prepare  # torch and Lightning: imported while Ray starts

    at, records, spec = _logged(sweep_id, home, where)
    budget = _extended(records, spec, assignments)
    check_disk(at.local or home)
    task, _ = prepare(spec.trial_config({}, 0), say=hooks.say)
    _same_surroundings(records[0], task, hooks.say)
    store = open_store()
    lock = collect(records[0]["spec"], task.datasets, {"search": spec.search.seed, "experiment": spec.experiment.seed})

    def make() -> Session:
        folder = working_copy(at, sweep_id, home)
        folder.mkdir(parents=True, exist_ok=True)
        session = opened(spec, sweep_id, at, folder, SweepLog(at), store, lock, task, hooks, where)
        if budget != session.ledger.budget:
            session.ledger.extend(budget)
        if retry:
            again = session.ledger.retry()
            hooks.say(f"tried again: {', '.join(again)}" if again else "no trial failed: nothing to try again")
        if not session.ledger.finished:
            session.ledger.resume()
        return session

    return make


def glance(
    sweep_id: str, assignments: Sequence[str], home: Path, where: Where = Where(), retry: bool = False
) -> tuple[SweepSpec, bool]:
    """A sweep's spec with its newest budget, and whether nothing is left to do."""
    _, records, spec = _logged(sweep_id, home, where)
    budget = _extended(records, spec, assignments)
    last = next((r["event"] for r in reversed(records) if r["event"] in ("done", "resume", "extend", "new")), "")
    return spec.model_copy(update={"budget": budget}), last == "done" and not assignments and not retry


def peek(sweep_id: str, home: Path, where: Where = Where()) -> tuple[Ledger, Place]:
    """A sweep's state as its log stands, read only, and its place. A driver may be writing meanwhile."""
    at, records, spec = _logged(sweep_id, home, where)
    return Ledger(ReadOnlyLog(at, records), spec), at


def is_there(sweep_id: str, home: Path, where: Where = Where()) -> bool:
    """Whether the sweep's log has been begun."""
    return bool(place_of(sweep_id, home, where).exists(FIRST))


def _logged(sweep_id: str, home: Path, where: Where) -> tuple[Place, list[Record], SweepSpec]:
    at = place_of(sweep_id, home, where)
    if not at.exists(FIRST):
        raise NotFound(f"no sweep '{sweep_id}'", place=at.address, hint="gatesweep list shows the sweeps")
    records = read(at)
    if not records:
        raise LogError(
            "the sweep died before its first record; nothing is lost",
            place=at.address,
            hint="remove this folder and start the sweep again",
        )
    return at, records, spec_from(records[0]["spec"], place=at.address)


def _same_surroundings(first: Record, task: Task, say: Say) -> None:
    """The data must be what it was; other versions are said, and the replay of the log tells whether they matter."""
    for dataset in task.datasets:
        was = first["data"].get(dataset.name)
        if was != dataset.md5:
            raise DataError(
                f"'{dataset.name}' is {dataset.md5} now and was {was} when the sweep began",
                place=str(dataset.path),
                hint=dataset.restore_hint,
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
                hint="resume takes budget.…, such as budget.trials=40; start a new sweep for the rest",
            )
    try:
        budget = Budget(**override({"budget": current}, assignments)["budget"])
    except ValueError as error:
        raise ConfigError(f"no usable budget: {error}", place="--set") from None
    if spec.scheduler.name in POPULATIONS and budget.trials != spec.budget.trials:
        raise ConfigError(
            f"budget.trials: a population of {spec.scheduler.name} stays as large as it was, {spec.budget.trials}",
            place="--set", hint="its other budgets may change; for more trials start a new sweep")  # fmt: skip
    asked = sum(record["event"] == "new" for record in records)
    if budget.trials < asked:
        raise ConfigError(
            f"budget.trials: {budget.trials} is fewer than the {asked} trials that there are", place="--set"
        )
    return budget
