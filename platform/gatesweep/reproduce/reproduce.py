"""`gatesweep reproduce RUN`: the same numbers again, or what differs.

    lock.json --check--> source tree (clone at the commit, diff.patch) --> data by their pins --> training again
                                                                                |
    recorded values, weights' hash  <------------- judge ---------------  its own MLflow run
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gatesweep.config.loader import did_you_mean, override
from gatesweep.errors import ConfigError, UserError
from gatesweep.launch.config import load_cluster
from gatesweep.reproduce.again import train_again
from gatesweep.reproduce.causes import ranked
from gatesweep.reproduce.data_again import MOVED, bring
from gatesweep.reproduce.differences import Difference, differences
from gatesweep.reproduce.elsewhere import its_store, run_of, train_on
from gatesweep.reproduce.envs import checked, interpreter
from gatesweep.reproduce.recorded import Recorded, read, trained
from gatesweep.reproduce.source import Sources
from gatesweep.reproduce.verdict import TOLERANCE, Verdict, comparable, finite, judge
from gatesweep.track.addresses import OUTCOME, REPRODUCED_BY, REPRODUCES, TRIAL_ID, VERDICT, WEIGHTS
from gatesweep.track.dress import as_yaml, flatten
from gatesweep.track.store import Store

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
        for name, value, kinds in (("epochs", self.epochs, int), ("tolerance", self.tolerance, (int, float)),
                                   ("python", self.python, str)):
            if value is not None and (not isinstance(value, kinds) or isinstance(value, bool)):
                raise UserError(f"{value!r} is no value for it", place=name)
        if self.epochs is not None and self.epochs < 1:
            raise UserError(f"one epoch at least is compared, and {self.epochs} are asked for", place="--epochs")
        if not 0.0 <= self.tolerance < math.inf:
            raise UserError(f"{self.tolerance:g} is no tolerance", place="--tolerance",
                            hint=f"a number from 0 on; {TOLERANCE:g} where none is given")
        if self.on is not None and (self.epochs is not None or self.python is not None or self.strict):
            raise UserError("a cluster trains the whole schedule with packages of its own", place="--on",
                            hint="leave --epochs, --python and --env out")

    @property
    def moved(self) -> Path | None:
        """Where the run's own file or folder lies now, as `--set data.path=…` says."""
        found = [each.partition("=")[2] for each in self.overrides if each.partition("=")[0].strip() == MOVED]
        return Path(found[-1]).expanduser().absolute() if found else None


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
    overrides = _checked_overrides(recorded, how)
    if how.on is not None:
        load_cluster(how.on)
    python = checked(how.python) if how.python else sys.executable
    top, folder = sources.of(recorded.lock.tree, run=f"run {run.run_id}")
    bring(recorded.sets, top, sources.root, run=run.run_id, moved=how.moved, path=recorded.path, say=say)
    overrides += _where_it_lies(recorded, top, folder) if how.moved is None else ()
    config = sources.scratch / f"{run.run_id}.yaml"
    config.write_text(as_yaml(recorded.told["config"]), encoding="utf-8")
    alone = bool(how.overrides) or sources.here  # what another code or setting gives says nothing of the run
    code = "with the code of this folder" if sources.here else f"at commit {str(recorded.lock.commit)[:12]}"
    epochs = f"{asked or recorded.trained} epochs" if how.on is None else f"on {how.on.stem}"
    say(f"training {name} again, {epochs}, {code}")
    if how.on is not None:
        followed = train_on(how.on, config, folder, store, environment=recorded.lock.environment, top=top,
                            overrides=overrides, instead_of=sources.top, say=say)  # fmt: skip
        with its_store(how.on, store.home) as theirs:
            return _compared(recorded, theirs, run_of(followed, theirs), store, asked, how.tolerance,
                             alone=alone)  # fmt: skip
    if how.strict:
        python = interpreter(recorded.lock.packages, recorded.lock.python, store.home, say)
    rerun_id = train_again(config, folder, store, environment=recorded.lock.environment, epochs=asked, top=top,
                           overrides=overrides, python=python, instead_of=sources.top)  # fmt: skip
    return _compared(recorded, store, rerun_id, store, asked, how.tolerance, alone=alone)


def _where_it_lies(recorded: Recorded, top: Path, folder: Path) -> tuple[str, ...]:
    """`data.path`, where it led through something that git does not have, such as a link."""
    path = Path(recorded.path or "")
    there = next((top / each.path for each in recorded.sets if Path(each.path).name == path.name), None)
    if recorded.path is None or (folder / path).exists() or there is None or not there.exists():
        return ()
    return (f"{MOVED}={there}",)


def _checked_overrides(recorded: Recorded, how: How) -> tuple[str, ...]:
    """As the old tree's command line takes them, which stands in another folder.

    Raises:
        ConfigError: no KEY=VALUE, or a key that the recorded configuration, which has every field, does not have.
    """
    override(dict(recorded.lock.config), how.overrides)
    known = flatten(recorded.lock.config)
    for each in how.overrides:
        key = each.partition("=")[0].strip()
        if not any(key == have or have.startswith(f"{key}.") or key.startswith(f"{have}.") for have in known):
            raise ConfigError(f"the run's configuration has no '{key}'", place=f"--set {each}",
                              hint=did_you_mean(key, known))
    there = how.moved
    return tuple(f"{MOVED}={there}" if there is not None and there.exists() and each.partition("=")[0].strip() == MOVED
                 else each for each in how.overrides)


def _epochs(recorded: Recorded, asked: int | None) -> int | None:
    """How many to train; none is the whole schedule."""
    if asked is not None and asked > recorded.trained:
        raise UserError(f"recorded {recorded.trained} epochs, and {asked} are asked for", place="--epochs")
    if asked is not None and asked <= recorded.copied_after:
        raise UserError(f"the trial took another's weights after epoch {recorded.copied_after}: what it recorded up to "
                        "there did not lead to its own", place="--epochs", hint="more epochs, or leave it out for all")
    if asked is not None and asked < recorded.trained:
        return asked
    return None if recorded.run.tags.get(OUTCOME) == "completed" else recorded.trained


def _of_its_own(found: Sequence[Difference], *, alone: bool) -> list[Difference]:
    """Without what a clone makes another: where it lies, and that what nobody imports is not in it."""
    made = {"code.untracked"} if alone else {"code.untracked", MOVED}
    return [each for each in found if each.key not in made]


def _compared(recorded: Recorded, theirs: Store, rerun_id: str, store: Store, epochs: int | None, tolerance: float,
              *, alone: bool = False) -> Reproduction:  # fmt: skip
    """Judge, and link the two runs; the rerun may be in a cluster's store.

    Of a quick check, and where something was made another (`alone`), the rerun alone carries the verdict.
    """
    again = theirs.get_run(rerun_id)
    values = {(point.key, point.step): point.value for key in again.metrics for point in theirs.history(rerun_id, key)}
    partial = epochs if epochs is not None and epochs < recorded.trained else None
    ends_alike = trained(values) == recorded.trained  # one that was interrupted has no hash
    hashed = ends_alike and (WEIGHTS in recorded.run.tags or recorded.run.tags[OUTCOME] == "completed")
    was = comparable(recorded.values, epochs=epochs, after=recorded.copied_after)
    if TRIAL_ID in again.tags:  # of a sweep, which has the baseline's scores once, not in each trial
        was = {key: value for key, value in was.items() if not key[0].startswith("baseline/")}
    judged = judge(was, comparable(values, epochs=epochs, after=recorded.copied_after), more=alone,
                   weights=(recorded.run.tags.get(WEIGHTS), again.tags.get(WEIGHTS)) if hashed else (None, None),
                   tolerance=tolerance)  # fmt: skip
    now = json.loads(theirs.artifact(rerun_id, "lock.json").read_text(encoding="utf-8"))
    found = Reproduction(recorded.run.run_id, rerun_id, judged, tolerance,
                         tuple(ranked(_of_its_own(differences(recorded.told, now), alone=alone))), partial)  # fmt: skip
    theirs.log_batch(rerun_id, tags={REPRODUCES: recorded.run.run_id, VERDICT: found.verdict})
    if not alone and partial is None:
        store.log_batch(recorded.run.run_id, tags={REPRODUCED_BY: rerun_id, VERDICT: found.verdict})
    return found
