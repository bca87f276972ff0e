"""`gatesweep reproduce RUN`: the same numbers again, or what differs.

    lock.json --check--> source tree (clone at the commit, diff.patch) --> data by their pins --> training again
                                                                                |
    recorded values, weights' hash  <------------- judge ---------------  its own MLflow run
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gatesweep.config.changes import CHANGES
from gatesweep.config.places import PIN_FILE
from gatesweep.config.yaml_file import parse, read_mapping
from gatesweep.data.own import user_data
from gatesweep.data.pins import read_pins
from gatesweep.errors import DataError, NotFound, UserError
from gatesweep.reproduce.again import train_again
from gatesweep.reproduce.causes import ranked
from gatesweep.reproduce.differences import Difference, differences
from gatesweep.reproduce.elsewhere import its_store, run_of, train_on
from gatesweep.reproduce.envs import interpreter
from gatesweep.reproduce.source import Sources
from gatesweep.reproduce.verdict import TOLERANCE, Values, Verdict, comparable, finite, judge
from gatesweep.runs.lookup import find
from gatesweep.track.addresses import (
    CONFIG_DIGEST,
    LOCK_DIGEST,
    OUTCOME,
    REPRODUCED_BY,
    REPRODUCES,
    TRIAL_ID,
    VERDICT,
    WEIGHTS,
)
from gatesweep.track.dress import as_yaml
from gatesweep.track.lineage import Lock, LockedSet, read_lock
from gatesweep.track.store import Store, StoredRun

Say = Callable[[str], None]


@dataclass(frozen=True)
class Reproduction:
    """What `gatesweep reproduce --json` prints."""

    run_id: str
    rerun_id: str
    judged: Verdict
    tolerance: float
    environment: tuple[Difference, ...]
    """What was another, the likeliest cause of other numbers first."""

    epochs: int | None = None
    """Of a quick check: how many were compared."""

    @property
    def verdict(self) -> Literal["bitwise", "within_tolerance", "diverged"]:
        """The answer in a word."""
        return self.judged.verdict

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        first = self.judged.first
        return {"run_id": self.run_id, "rerun_id": self.rerun_id, "verdict": self.verdict,
                "compared": self.judged.compared, "different": self.judged.different,
                "first_difference": first.as_dict() if first else None, "largest_relative_difference":
                finite(self.judged.largest), "tolerance": self.tolerance, "epochs": self.epochs,
                "environment_differences": [each.as_dict() for each in self.environment]}  # fmt: skip


@dataclass(frozen=True)
class Recorded:
    """A run and everything that is needed to train it again."""

    run: StoredRun
    lock: Lock
    told: Mapping[str, Any]
    sets: tuple[LockedSet, ...]
    values: Values

    @property
    def trained(self) -> int:
        """Epochs that it recorded."""
        return _trained(self.values)


@dataclass(frozen=True)
class How:
    """What is asked of a reproduction."""

    epochs: int | None = None
    """Compare the first ones alone. A trial that was pruned is trained as far as it came."""

    tolerance: float = TOLERANCE
    """Relative, of `within_tolerance`."""

    python: str | None = None
    """Another interpreter, with packages of its own."""

    strict: bool = False
    """In an environment with the packages of the lock, which is built first."""

    overrides: tuple[str, ...] = ()
    """`key=value` as `--set` takes them: what that changes, with everything else as it was."""

    on: Path | None = None
    """A cluster's file: train there, with its packages, the whole schedule."""

    def __post_init__(self) -> None:
        if self.on is not None and (self.epochs is not None or self.python is not None or self.strict):
            raise UserError("a cluster trains the whole schedule with packages of its own", place="--on",
                            hint="leave --epochs, --python and --env out")


def reproduce(name: str, store: Store, how: How = How(), *, root: Path, here: bool = False,
              say: Say = lambda line: None) -> Reproduction:  # fmt: skip
    """Train a run again as it was, and compare.

    Args:
        name: RUN, as everywhere.
        root: a folder of the project's repository, whose data and DVC cache are used.
        here: the code of `root` as it is, in the place of the recorded one.

    Raises:
        UserError: before any training: what the run needs and cannot be had.
    """
    with Sources(root, here=here) as sources:
        return train_and_compare(name, store, sources, how, say=say)


def train_and_compare(name: str, store: Store, sources: Sources, how: How = How(), *,
                      say: Say = lambda line: None) -> Reproduction:  # fmt: skip
    """One run of `reproduce`, whose tree may be there already."""
    recorded = read(name, store)
    run, asked = recorded.run, _epochs(recorded, how.epochs)
    top, folder = sources.of(recorded.lock.tree, run=f"run {run.run_id}")
    _check_data(recorded, top, sources.root)
    config = sources.scratch / f"{run.run_id}.yaml"
    config.write_text(as_yaml(recorded.told["config"]), encoding="utf-8")
    alone = bool(how.overrides) or sources.here  # what another code or setting gives says nothing of the run
    code = "with the code of this folder" if sources.here else f"at commit {str(recorded.lock.commit)[:12]}"
    epochs = f"{asked or recorded.trained} epochs" if how.on is None else f"on {how.on.stem}"
    say(f"training {name} again, {epochs}, {code}")
    if how.on is not None:
        followed = train_on(how.on, config, folder, store, environment=recorded.lock.environment, top=top,
                            overrides=how.overrides, say=say)  # fmt: skip
        with its_store(how.on, store.home) as theirs:
            return _compared(recorded, theirs, run_of(followed, theirs), store, asked, how.tolerance,
                             alone=alone)  # fmt: skip
    python = how.python or sys.executable
    if how.strict:
        python = interpreter(recorded.lock.packages, recorded.lock.python, store.home, say)
    rerun_id = train_again(config, folder, store, environment=recorded.lock.environment, epochs=asked, top=top,
                           overrides=how.overrides, python=python)  # fmt: skip
    return _compared(recorded, store, rerun_id, store, asked, how.tolerance, alone=alone)


def read(name: str, store: Store) -> Recorded:
    """What the store has of a run.

    Raises:
        NotFound: there is no such run, or it was not recorded by gatesweep.
        UserError: it is still going on, trained nothing, or its lock was altered.
    """
    run = find(name, store)
    try:
        text = store.artifact(run.run_id, "lock.json").read_text(encoding="utf-8")
        patch = store.artifact(run.run_id, "diff.patch") if json.loads(text)["code"]["patch"] else None
        lock, sets = read_lock(text, patch.read_bytes().decode() if patch else None)
    except NotFound as error:
        raise NotFound(f"has no {error.place or 'lock.json'}: not a run that can be trained again",
                       place=f"run {run.run_id}", hint="gatesweep list --runs shows the runs") from error  # fmt: skip
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"cannot be read: {error!r}", place=f"run {run.run_id}: lock.json",
                        hint="was the artifact altered?") from error  # fmt: skip
    _refuse_altered(run, text, lock)
    if read_mapping(store.artifact(run.run_id, "config.yaml")) != parse(as_yaml(lock.config), "lock.json"):
        raise UserError("was altered after it was written: lock.json has another configuration",
                        place=f"run {run.run_id}: config.yaml", hint="restore the artifact from a backup of the store")
    if run.status == "RUNNING":
        raise UserError("is still going on", place=f"run {run.run_id}", hint="wait until it has ended")
    values = {(point.key, point.step): point.value for key in run.metrics for point in store.history(run.run_id, key)}
    found = Recorded(run, lock, json.loads(text), tuple(sets), values)
    if not found.trained:
        why = run.tags.get(OUTCOME, "its outcome is not known")
        raise UserError(f"recorded not one epoch ({why}): there is nothing to compare", place=f"run {run.run_id}")
    return found


def copied_after(recorded: Recorded) -> int:
    """The last epoch that a sweep's trial did not train itself, because it went on from another's weights; 0: none.
    Its configuration trains the epochs of all who led to them; its own, up to there, led nowhere."""
    changes = recorded.lock.config.get(CHANGES) or [{"after_epoch": 0}]
    return int(changes[-1]["after_epoch"]) if TRIAL_ID in recorded.run.tags else 0


def _trained(values: Values) -> int:
    return max((step for metric, step in values if metric.startswith(("train/", "val/"))), default=0)


def _refuse_altered(run: StoredRun, text: str, lock: Lock) -> None:
    """The tags hold what the files must hash to."""
    wanted, digest = run.tags.get(LOCK_DIGEST), hashlib.sha256(text.encode()).hexdigest()
    told = json.loads(text)["config_digest"]
    altered = ["lock.json"] * (wanted not in (None, digest) or not lock.config_digest == told == run.tags.get(
        CONFIG_DIGEST, told))  # fmt: skip
    patched = json.loads(text)["code"].get("patch_sha256")
    if patched and patched != hashlib.sha256((lock.diff or "").encode()).hexdigest():
        altered.append("diff.patch")
    if altered:
        raise UserError("was altered after it was written: its digest is another",
                        place=f"run {run.run_id}: {altered[0]}",
                        hint="restore the artifact from a backup of the store")  # fmt: skip


def _epochs(recorded: Recorded, asked: int | None) -> int | None:
    """How many to train; none is the whole schedule."""
    if asked is not None and asked > recorded.trained:
        raise UserError(f"recorded {recorded.trained} epochs, and {asked} are asked for", place="--epochs")
    if asked is not None and asked <= copied_after(recorded):
        raise UserError(f"the trial took another's weights after epoch {copied_after(recorded)}: its epochs before are "
                        "not in its own line", place="--epochs", hint="more epochs, or none for all")  # fmt: skip
    if asked is not None and asked < recorded.trained:
        return asked
    return None if recorded.run.tags.get(OUTCOME) == "completed" else recorded.trained


def _check_data(recorded: Recorded, top: Path, root: Path) -> None:
    """The tree pins what the run read, and a user's own files are as they were; of the project's, which git does not
    have, the tree gets a copy."""
    pins = read_pins(top) if (top / PIN_FILE).is_file() else {}
    for each in recorded.sets:
        if each.name in pins and pins[each.name].md5 == each.md5:
            continue
        if ".." in Path(each.path).parts:
            raise DataError(f"'{each.path}' leads out of the project", place=f"run {recorded.run.run_id}: lock.json",
                            hint="was the lock altered?")  # fmt: skip
        place = Path(each.path) if Path(each.path).is_absolute() else top / each.path
        if each.name in pins:
            raise DataError(f"the run read {each.md5}, and the tree pins {pins[each.name].md5}", place=each.name,
                            hint="--here needs the recorded pin: git checkout it, or leave --here out")  # fmt: skip
        there = place if place.exists() or Path(each.path).is_absolute() else root / each.path
        if there.exists() and user_data(there).md5 != each.md5:
            raise DataError(f"was altered since the run read it: its md5 was {each.md5}, and is another",
                            place=str(there), hint="put the old bytes back, from a backup or from dvc")  # fmt: skip
        if there != place and there.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if there.is_dir() else shutil.copyfile)(there, place)
        elif Path(each.path).is_absolute() and not place.exists():
            raise DataError(f"is not there any more; the run read the file of md5 {each.md5}", place=str(place))


def _compared(recorded: Recorded, theirs: Store, rerun_id: str, store: Store, epochs: int | None, tolerance: float,
              *, alone: bool = False) -> Reproduction:  # fmt: skip
    """Judge, and link the two runs; the rerun may be in a cluster's store.

    Of a quick check, and where something was made another (`alone`), the rerun alone carries the verdict.
    """
    again = theirs.get_run(rerun_id)
    values = {(point.key, point.step): point.value for key in again.metrics for point in theirs.history(rerun_id, key)}
    partial = epochs if epochs is not None and epochs < recorded.trained else None
    same_end = _trained(values) == recorded.trained
    was = comparable(recorded.values, epochs=epochs)
    if copied_after(recorded):  # epochs up to there were trained by whom it copied
        was = {key: value for key, value in was.items() if not 0 < key[1] <= copied_after(recorded)}
    if TRIAL_ID in again.tags:  # of a sweep, which has the baseline's scores once, not in each trial
        was = {key: value for key, value in was.items() if not key[0].startswith("baseline/")}
    judged = judge(was, comparable(values),
                   weights=(recorded.run.tags.get(WEIGHTS), again.tags.get(WEIGHTS)) if same_end else (None, None),
                   tolerance=tolerance)  # fmt: skip
    now = json.loads(theirs.artifact(rerun_id, "lock.json").read_text(encoding="utf-8"))
    found = Reproduction(recorded.run.run_id, rerun_id, judged, tolerance,
                         tuple(ranked(differences(recorded.told, now))), partial)  # fmt: skip
    theirs.log_batch(rerun_id, tags={REPRODUCES: recorded.run.run_id, VERDICT: found.verdict})
    if not alone and partial is None:
        store.log_batch(recorded.run.run_id, tags={REPRODUCED_BY: rerun_id, VERDICT: found.verdict})
    return found
