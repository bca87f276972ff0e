"""A training again on a cluster: submitted from the old tree by its own command line, followed to its end.

It is a sweep of one trial there, in the cluster's store. A cluster trains the whole schedule: of a run that was pruned
the epochs that it had are compared.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gatesweep.errors import GatesweepError
from gatesweep.launch.config import load_cluster
from gatesweep.launch.followed import Followed, find, surroundings
from gatesweep.launch.status import status
from gatesweep.reproduce.again import answer_of
from gatesweep.track.addresses import TRIAL_ID
from gatesweep.track.store import Store, open_store

Say = Callable[[str], None]
ASK_AGAIN_S = 2.0


def train_on(cluster: Path, config: Path, folder: Path, store: Store, *, environment: Mapping[str, str], top: Path,
             overrides: Sequence[str] = (), instead_of: Path | None = None,
             say: Say = lambda line: None) -> Followed:  # fmt: skip
    """Submit `gatesweep run CONFIG --cluster CLUSTER` in `folder`, and wait until it is over.

    Args:
        cluster: its file.
        config, folder, environment, overrides, top, instead_of: as of `train_again`.
        store: whose home folder remembers the submission.

    Raises:
        UserError: it was refused, before anything was sent.
        GatesweepError: it ended without a trained model.
    """
    words = ["run", str(config), "--cluster", str(cluster.resolve()), "--json",
             *(word for each in overrides for word in ("--set", each))]  # fmt: skip
    sent = answer_of(words, config, folder, store, environment=environment, top=top, instead_of=instead_of)
    sweep_id = str(sent["sweep_id"])
    say(f"sweep {sweep_id}, job {sent['job_id']} on {sent['cluster']}; gatesweep stop {sweep_id} ends it")
    followed = find(sweep_id, store.home)
    told = _until_over(followed, say)
    if told["state"] != "done" or not told["trials"]["completed"]:
        why = told.get("reason") or (told.get("job") or {}).get("message") or told["state"]
        raise GatesweepError(f"the training ended without a model: {why}", place=f"sweep {sweep_id}",
                             hint=f"gatesweep logs {sweep_id}")  # fmt: skip
    return followed


def _until_over(followed: Followed, say: Say) -> dict[str, Any]:
    seen = None
    while (told := status(followed, say))["state"] in ("pending", "starting", "running", "open", "empty"):
        epochs = [f"{each['trial']}: epoch {each['epoch']}" for each in told["running"] if each["epoch"]]
        if epochs and epochs != seen:
            say(", ".join(epochs))
            seen = epochs
        time.sleep(ASK_AGAIN_S)
    return told


@contextmanager
def its_store(cluster: Path, home: Path) -> Iterator[Store]:
    """The store that a cluster records in, with the variables and secrets that reading it takes."""
    given = load_cluster(cluster)
    with surroundings(given):
        yield open_store(home, given.tracking)


def run_of(followed: Followed, store: Store) -> str:
    """The MLflow run of the one trial.

    Raises:
        GatesweepError: the tracking server has not got it.
    """
    trial = f"{followed.sweep_id}/t0000"
    run = store.find_run({TRIAL_ID: trial})
    if run is None:
        raise GatesweepError(f"no trial '{trial}' in {store.uri}", place=f"sweep {followed.sweep_id}",
                             hint=f"gatesweep resume {followed.sweep_id} sends what the store lacks")  # fmt: skip
    return run.run_id
