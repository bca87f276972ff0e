"""Sweeps that run elsewhere: `submit`, `run --cluster`, `resume` and `retry` of them, `stop`, `logs`, `clean`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from gatesweep.cli.answer import print_json, say
from gatesweep.errors import ConfigError, StorageError, UserError

if TYPE_CHECKING:
    from gatesweep.launch.followed import Followed
    from gatesweep.launch.submit import Sent
    from gatesweep.sweep.spec import SweepSpec


def submit_sweep(file: Path, overrides: list[str], cluster: Path, sweep_id: str | None, *, dry_run: bool, as_json: bool
                 ) -> None:  # fmt: skip
    """A sweep from its file to a cluster; with `dry_run` what would be applied there, to stdout."""
    from gatesweep.sweep.spec import load_spec

    spec = load_spec(file, overrides)
    if dry_run:
        _preview(spec, cluster, sweep_id, as_json=as_json)
    else:
        _submit(spec, cluster, sweep_id, as_json=as_json)


def _preview(spec: SweepSpec, cluster: Path, sweep_id: str | None, *, as_json: bool) -> None:
    from gatesweep import api
    from gatesweep.launch.config import load_cluster
    from gatesweep.launch.kube.manifest import as_yaml
    from gatesweep.launch.submit import preview
    from gatesweep.sweep.start import new_id

    manifest = preview(spec, load_cluster(cluster), sweep_id or new_id(spec.name), api.here(), say)
    if as_json:
        print_json({"manifest": manifest})
    else:
        print(as_yaml(manifest), end="")


def submit_run(file: Path, overrides: list[str], cluster: Path, *, epochs: int | None, out: Path | None,
               as_json: bool) -> None:  # fmt: skip
    """One training to a cluster, as a sweep of one trial."""
    from gatesweep.launch.single import single
    from gatesweep.runs.experiment import load_experiment

    if out is not None:
        raise UserError("is written by a training here, not by one on a cluster", place="--out",
                        hint="gatesweep status SWEEP_ID shows its results")
    if epochs is not None:
        raise UserError("ends a training here; one on a cluster follows its schedule", place="--epochs",
                        hint=f"a shorter schedule is --set trainer.max_epochs={epochs}")
    _submit(single(load_experiment(file, overrides)), cluster, None, as_json=as_json)


def _submit(spec: SweepSpec, cluster: Path, sweep_id: str | None, *, as_json: bool) -> None:
    from gatesweep import api
    from gatesweep.launch.config import load_cluster
    from gatesweep.launch.submit import submit
    from gatesweep.sweep.start import new_id

    sent = submit(spec, load_cluster(cluster), sweep_id or new_id(spec.name), api.here(), say)
    _print_sent(sent, as_json)


def _print_sent(sent: Sent, as_json: bool) -> None:
    if as_json:
        print_json(sent.as_dict())
        return
    print(f"sweep {sent.sweep_id} is on its way: job {sent.job_id} on {sent.cluster}")
    print(f"follow   gatesweep status {sent.sweep_id} --watch")
    print(f"log      gatesweep logs {sent.sweep_id} -f")
    print(f"stop     gatesweep stop {sent.sweep_id}        resumable: gatesweep resume {sent.sweep_id}")


def sent_elsewhere(sweep_id: str, cluster: Path | None) -> Followed | None:
    """The sweep where it was submitted; none where it is one of this terminal's, to be resumed here."""
    from gatesweep import api
    from gatesweep.launch.followed import find
    from gatesweep.launch.submitted import recall

    if cluster is None and recall(sweep_id, api.here()) is None:
        return None
    return find(sweep_id, api.here(), cluster)


def send_again(followed: Followed, overrides: Sequence[str], *, retry_failed: bool, as_json: bool) -> None:
    """Another driver for a sweep that has none."""
    from gatesweep.launch.submit import again
    from gatesweep.sweep.spec import spec_from

    for assignment in overrides:
        if not assignment.startswith("budget."):
            raise ConfigError(f"a sweep's {assignment.partition('=')[0]} cannot change on the way", place="--set",
                              hint="resume takes budget.trials and budget.concurrent; start a new sweep for the rest")
    if retry_failed and not _failed(followed):
        raise ConfigError("no trial of it failed", place=followed.sweep_id,
                          hint=f"gatesweep resume {followed.sweep_id} goes on with what is open")
    if not overrides and not retry_failed and _is_done(followed):
        _print_done(followed, as_json)
        return
    spec = spec_from(followed.spec, place=followed.sweep_id)
    words = [word for assignment in overrides for word in ("--set", assignment)]
    sent = again(followed, spec, [*words, *(["--retry-failed"] if retry_failed else [])], say)
    _print_sent(sent, as_json)


def _is_done(followed: Followed) -> bool:
    """Whether another driver had nothing to do, not even to send what the tracking store lacks."""
    try:
        progress = followed.progress()
        if progress.ended != "done" or followed.state(progress, followed.job()) != "done":
            return False
        return not followed.unsent()
    except StorageError:
        return False


def _print_done(followed: Followed, as_json: bool) -> None:
    sweep_id = followed.sweep_id
    if as_json:
        print_json({"sweep_id": sweep_id, "job_id": None, "state": "done", "reason": "nothing is left to do",
                    "hint": "--set budget.trials=… extends it"})  # fmt: skip
        return
    print(f"sweep {sweep_id}: nothing is left to do; --set budget.trials=… extends it")


def _failed(followed: Followed) -> bool:
    """Whether there is something to retry; where the storage cannot be read from here, the driver finds out."""
    try:
        return followed.progress().counts(live=False)["failed"] > 0
    except StorageError:
        return True


def show_logs(sweep_id: str, trial: str | None, cluster: Path | None, *, follow: bool, as_json: bool) -> None:
    """A driver's words, or a trial's."""
    from gatesweep import api
    from gatesweep.launch.followed import find
    from gatesweep.launch.logs import check_name, driver_log, trial_log

    if follow and as_json:
        raise ConfigError("one JSON object has no end to follow", place="--json", hint="leave -f or --json out")
    name = check_name(trial) if trial else None
    followed = find(sweep_id, api.here(), cluster)
    pieces = trial_log(followed, name, follow=follow) if name else driver_log(followed, follow=follow)
    if as_json:
        log = "".join(pieces)
        print_json({"sweep_id": sweep_id, "trial": name, "log": log})
        if not log and name is None:
            say(_silence(followed))
        return
    silent = True
    for piece in pieces:
        silent = silent and not piece
        sys.stdout.write(piece)
        sys.stdout.flush()
    if silent and name is None:
        say(_silence(followed))


def _silence(followed: Followed) -> str:
    attempt = followed.attempt
    return (f"the driver {attempt.job_id if attempt else ''} said nothing: gatesweep status {followed.sweep_id} shows"
            f" how it is, and if it was killed, gatesweep resume {followed.sweep_id} starts another")  # fmt: skip


def end(sweep_id: str, trial: str | None, cluster: Path | None, *, drain: bool, now: bool, as_json: bool) -> None:
    """Stop a sweep or one of its trials."""
    from gatesweep import api
    from gatesweep.launch.followed import find
    from gatesweep.launch.logs import check_name
    from gatesweep.launch.stop import stop

    if drain and now:
        raise ConfigError("--drain waits for what runs, --now does not", place="stop", hint="give one of them")
    how: Literal["drain", "now", "epoch"] = "drain" if drain else "now" if now else "epoch"
    name = check_name(trial) if trial else None
    answer = stop(find(sweep_id, api.here(), cluster), how, name, say)
    if as_json:
        print_json(answer)


def tidy(ids: list[str], older_than: str | None, *, dry_run: bool, everything: bool, force: bool, as_json: bool
         ) -> None:  # fmt: skip
    """Delete what finished sweeps left."""
    from gatesweep import api
    from gatesweep.launch.clean import age_of, clean, look

    older_than_s = age_of(older_than) if older_than else 0.0
    found = look(api.here(), ids, older_than_s=older_than_s, everything_too=everything, force=force, say=say)
    freed = sum(each.size_bytes for each in found) if dry_run else clean(found, say)
    if as_json:
        print_json({"dry_run": dry_run, "bytes": freed, "found": [each.as_dict() for each in found]})
        return
    for each in found:
        print(f"{each.size_bytes:>14,} bytes  {each.what}  ({each.kind})")
    verb = "would be freed" if dry_run else "freed"
    print(f"{freed:>14,} bytes {verb}" if found else "nothing to clean")
