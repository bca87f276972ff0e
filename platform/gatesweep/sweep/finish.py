"""After the last trial: score the best one once, keep what is to be kept, write the report, close the books.

Every step may be done again: a driver that dies in here is resumed into the same steps.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from gatesweep.runs.build import prepare
from gatesweep.runs.lookup import KEPT
from gatesweep.runs.retention import kept_note
from gatesweep.runs.scoring import score_best
from gatesweep.sweep.page import write_page
from gatesweep.sweep.session import PATIENT_S, Session
from gatesweep.sweep.trial import Trial
from gatesweep.track.addresses import compare_address
from gatesweep.track.records import Record


def finish(session: Session) -> dict[str, Any]:
    """Everything that follows the trials; returns the fields of `gatesweep.api.Sweep`."""
    ledger, over = session.ledger, session.ledger.finished
    ranked = ledger.ranked()
    try:
        best = _score(session, ranked[0]) if over and ranked else None
        _keep(session, ranked)
        if over and not _is_done(ledger.log.records):
            ledger.note({"event": "done", "outcomes": ledger.outcomes()})
        page, view = write_page(ledger, session.sweep_id, session.lock.as_dict(), session.folder)
        session.share("report")
        session.projector.log_artifacts(None, page.parent, "report")
        outcome = ("completed" if ranked else "failed") if over else "stopped"
        session.projector.finish(outcome, _answer(session, ranked[0], best) if best else "")
    finally:
        unsent = session.close(away_s=PATIENT_S if session.where.shared else 0.0)
    if over and not unsent and all(trial.outcome for trial in ledger.trials.values()):
        session.place.delete("trials")
        shutil.rmtree(session.folder / "trials", ignore_errors=True)
    experiment_id, projector = session.projector.experiment_id or "", session.projector
    runs = [run_id for trial in ranked if (run_id := projector.run_id(trial.name))]
    return {
        "sweep_id": session.sweep_id,
        "parent_run_id": projector.parent_run_id or "",
        "experiment_id": experiment_id,
        "outcomes": ledger.outcomes(),
        "pareto": _pareto(session),
        "best": _best(session, ranked[0], best) if ranked else None,
        "report": str(page),
        "wall_s": view.wall_s,
        "view": view,
        "compare": compare_address(experiment_id, runs, ""),
        "stopped": ledger.stopped,
        "budget": ledger.spent,
    }


def _score(session: Session, trial: Trial) -> Record:
    """The best trial's record on the test split; taken from the log where that trial was scored before."""
    known = next((r for r in reversed(session.ledger.log.records) if r["event"] == "best"), None)
    if known and known["trial"] == trial.name:
        return known
    objective = session.spec.goal
    epoch = trial.best_epoch(objective.metric, objective.mode)
    assert epoch is not None, "a ranked trial has a best epoch"
    config = session.spec.trial_config(trial.params_at(epoch), trial.number)
    task, _ = prepare(config, data_md5=session.data_md5)
    scored = score_best(task, config, session.checkpoint(trial.checkpoints[epoch]), trial.metrics[epoch])
    session.projector.log_artifacts(trial.name, scored.save_figures(session.folder / "figures"), "figures")
    test = {name: value for name, value in scored.metrics.items() if name.startswith("test/")}
    session.ledger.note({"event": "best", "trial": trial.name, "test": test, "baseline": scored.baseline})
    return session.ledger.log.records[-1]


def _keep(session: Session, ranked: list[Trial]) -> None:
    """Checkpoints of the top trials go to their runs."""
    keep, objective = session.spec.keep, session.spec.goal
    for trial in ranked[: keep.top]:
        epoch = trial.best_epoch(objective.metric, objective.mode)
        choices: dict[str, list[int]] = {"best": [epoch or 0], "last": [trial.epoch], "all": sorted(trial.checkpoints)}
        wanted = choices[keep.checkpoints]
        found = [session.checkpoint(trial.checkpoints[e]) for e in wanted if e in trial.checkpoints]
        there = [path for path in found if path.is_dir()]
        for path in there:
            session.projector.log_artifacts(trial.name, path, f"checkpoints/{path.name}")
        if there:
            best = f"e{trial.epoch if keep.checkpoints == 'last' else epoch:04d}"
            note = session.folder / "trials" / trial.name / Path(KEPT).name
            note.write_text(kept_note(next((path for path in there if path.name == best), there[-1])))
            session.projector.log_artifacts(trial.name, note, "checkpoints")


def _is_done(records: list[Record]) -> bool:
    last = next((r["event"] for r in reversed(records) if r["event"] in ("done", "resume", "extend")), "")
    return last == "done"


def _best(session: Session, trial: Trial, record: Record | None) -> dict[str, Any]:
    objective = session.spec.goal
    epoch = trial.best_epoch(objective.metric, objective.mode)
    metrics = {**trial.metrics[epoch or 0], **(record["test"] if record else {})}
    return {
        "trial_id": f"{session.sweep_id}/{trial.name}",
        "run_id": session.projector.run_id(trial.name) or "",
        "config": session.ledger.config(trial, epoch),
        "mutations": [mutation.as_dict() for mutation in trial.mutations],
        "metrics": metrics,
        "baseline": record["baseline"] if record else None,
    }


def _pareto(session: Session) -> list[dict[str, Any]]:
    """The front of several objectives, the best by the first one first; nothing of a single one."""
    ledger, goals = session.ledger, session.spec.goals
    if len(goals) == 1:
        return []
    return [
        {
            "trial_id": f"{session.sweep_id}/{trial.name}",
            "run_id": session.projector.run_id(trial.name) or "",
            "params": dict(trial.params),
            "values": dict(zip((goal.metric for goal in goals), ledger.values(trial) or [], strict=True)),
        }
        for trial in ledger.front()
    ]


def _answer(session: Session, trial: Trial, record: Record) -> str:
    """One sentence for the parent run's note."""
    metric = session.spec.goal.metric
    tested = "test/" + metric.rpartition("/")[2]
    base, test = (found.get(tested) for found in (record["baseline"]["metrics"], record["test"]))
    reached = f"{trial.name} is best: {metric} {session.ledger.value(trial):.5g}"
    if test is None:
        return f"{reached}; there is no test split."
    against = f"; the baseline {record['baseline']['name']} has {base:.5g}" if base is not None else ""
    return f"{reached}, {tested} {test:.5g}{against}."
