"""What `jobs/` and background drivers run: a sweep from its file or from its log, wherever a cluster's file says.

    python jobs/sweep.py configs/sweeps/traffic.yaml --id traffic-20261123-ab12cd --cluster configs/clusters/ray.yaml
    python jobs/train.py configs/experiments/traffic.yaml --set trainer.max_epochs=3

Started again with the same --id, by anyone, a sweep resumes: its log says what is left. SIGTERM ends it resumably.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatesweep.cli.answer import answering, libraries_on_stderr, print_json, say
from gatesweep.errors import EXIT_OK

if TYPE_CHECKING:
    from gatesweep.api import Sweep
    from gatesweep.sweep.where import Where


def sweep(words: Sequence[str] | None = None) -> None:
    """jobs/sweep.py."""
    flags = (("--retry-failed", "try trials that failed again"),
             ("--supervised", "end with 0 once the sweep's log says how it ended: what failed is started again"))
    given = _arguments("spec", "a sweep file", words, flags)
    with answering(resume=given.id):
        ended = _conduct(given, lambda: given.spec)
        print_json(ended.as_dict())
        sys.exit(EXIT_OK if given.supervised else ended.exit_code)  # a verdict, or a user's stop, is no failure


def train(words: Sequence[str] | None = None) -> None:
    """jobs/train.py: one training in this process or, on a cluster, as a sweep of one trial."""
    given = _arguments("experiment", "an experiment file", words)
    with answering(resume=given.id):
        from gatesweep.runs.experiment import load_experiment

        if given.cluster is not None:
            from gatesweep.launch.single import single

            overrides, given.set = given.set, []
            print_json(_conduct(given, lambda: single(load_experiment(given.experiment, overrides))).as_dict())
            return
        from gatesweep import api
        from gatesweep.runs.training import Listener

        print_json(api.run(given.experiment, overrides=given.set, listener=Listener(say=say)).as_dict())


def _arguments(what: str, help_: str, words: Sequence[str] | None, flags: Sequence[tuple[str, str]] = ()) -> Any:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(what, type=Path, help=help_)
    parser.add_argument("--id", help="the sweep's id; started again with it, the sweep goes on")
    parser.add_argument("--cluster", type=Path, help="a cluster's file: where storage, tracking and data are")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override one value")
    for name, explained in flags:
        parser.add_argument(name, action="store_true", help=explained)
    return parser.parse_args(words)


def _conduct(given: Any, spec: Any) -> Sweep:
    """Begin, or go on where the log is: the same command, however often it is started."""
    from rich.console import Console

    from gatesweep import api
    from gatesweep.sweep.live import Board
    from gatesweep.sweep.session import Hooks, Session

    def watch(session: Session) -> Board:
        say(f"sweep {session.sweep_id}: {session.spec.question or session.spec.goal.metric}")
        return Board(session.ledger, Console(stderr=True))

    hooks, where = Hooks(say=say), _where(given.cluster)
    with libraries_on_stderr():
        if given.id and _begun(given.id, where):
            extension = [assignment for assignment in given.set if assignment.startswith("budget.")]
            return api.resume(given.id, overrides=extension, retry_failed=getattr(given, "retry_failed", False),
                              hooks=hooks, watch=watch, where=where)  # fmt: skip
        return api.sweep(spec(), sweep_id=given.id, overrides=given.set, hooks=hooks, watch=watch, where=where)


def _where(file: Path | None) -> Where:
    """What a cluster's file says, entered: its variables, and its secrets as this machine has them."""
    import os

    from gatesweep.sweep.where import Where

    if file is None:
        return Where()
    from gatesweep.config.secrets import resolve
    from gatesweep.launch.config import load_cluster

    where = load_cluster(file).where
    os.environ.update(where.environment)
    resolve(where.secrets)
    return where


def _begun(sweep_id: str, where: Where) -> bool:
    from gatesweep import api
    from gatesweep.sweep.session import place_of

    return place_of(sweep_id, api.here(), where).exists("log.jsonl")


if __name__ == "__main__":
    sweep()
