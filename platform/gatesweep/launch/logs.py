"""What drivers and trials said. A driver's words are with its runner, a trial's in the sweep's own place."""

from __future__ import annotations

import time
from collections.abc import Iterator

from gatesweep.errors import ConfigError, NotFound
from gatesweep.launch.followed import Followed, surroundings
from gatesweep.track.records import Record

POLL_S = 1.0
TAIL = 256
TEXT = {
    "new": "proposed: {params}", "start": "attempt {attempt} starts after epoch {epoch}",
    "result": "epoch {epoch}: {metrics}", "fail": "attempt {attempt} died ({class}): {reason}",
    "end": "over: {outcome} {reason}", "retry": "open again",
}  # fmt: skip


def driver_log(followed: Followed, *, follow: bool) -> Iterator[str]:
    """The newest driver's words; with `follow` until it ends.

    Raises:
        NotFound: the sweep has no driver of its own.
        ClusterError: its cluster does not answer.
    """
    runner, attempt = followed.runner, followed.attempt
    if runner is None or attempt is None:
        raise NotFound("runs in the foreground of a terminal, which shows what its driver says",
                       place=followed.sweep_id,
                       hint=f"gatesweep logs {followed.sweep_id} --trial t0000 shows a trial's")
    if follow:
        yield from runner.follow(attempt)
    else:
        yield runner.log(attempt)


def trial_log(followed: Followed, trial: str, *, follow: bool) -> Iterator[str]:
    """A trial's events, and what its attempts printed; with `follow` until it is over.

    Raises:
        NotFound: the log has no such trial.
        StorageError: the storage cannot be read from here.
    """
    events, shown = 0, {}  # type: int, dict[str, bytes]
    while True:
        records = [record for record in followed.records() if _concerns(record, trial)]
        if not records and not follow:
            raise NotFound(f"no trial '{trial}' yet", place=followed.sweep_id,
                           hint=f"gatesweep status {followed.sweep_id} shows its trials")
        yield from (line_of(record) for record in records[events:])
        events = len(records)
        yield from _printed(followed, trial, shown)
        if not follow or _over(records):
            return
        time.sleep(POLL_S)


def check_name(trial: str) -> str:
    """`t0007` of `t0007` or `<sweep_id>/t0007`.

    Raises:
        ConfigError: no trial is called so.
    """
    name = trial.rpartition("/")[2]
    if not (name.startswith("t") and name[1:].isdigit()):
        raise ConfigError(f"'{trial}' is no trial's name", place="--trial", hint="e.g. --trial t0007")
    return f"t{int(name[1:]):04d}"


def line_of(record: Record) -> str:
    """One event as a line."""
    told = {"class": "unclassified", "reason": "", "outcome": "", **record}
    if "metrics" in told:
        told["metrics"] = ", ".join(f"{name} {value:.5g}" for name, value in told["metrics"].items())
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.get("ts", 0) / 1000))
    outcome = f" -> {record['outcome']}" if record.get("outcome") and record["event"] == "result" else ""
    return f"{when}  {TEXT[record['event']].format_map(told).rstrip()}{outcome}\n"


def _concerns(record: Record, trial: str) -> bool:
    named = record.get("trial") == trial or trial in (record.get("trials") or ())
    return named and record["event"] in TEXT


def _over(records: list[Record]) -> bool:
    """Whether the trial has its outcome, and was not opened again."""
    for record in reversed(records):
        if record["event"] in ("start", "retry", "new"):
            return False
        if record.get("outcome") or (record.get("final") is True and record["event"] == "fail"):
            return True
    return False


def _printed(followed: Followed, trial: str, shown: dict[str, bytes]) -> Iterator[str]:
    """What is new in `logs/<trial>/*.log`; `shown` keeps the end of each file as it was seen.

    A file that grew too large has lost its beginning meanwhile, so what is new begins after what was seen last.
    """
    with surroundings(followed.cluster):
        names = [name for name in followed.place.names(f"logs/{trial}") if name.endswith(".log")]
        contents = {name: followed.place.read(name) for name in names}
    for name, content in contents.items():
        seen = shown.get(name, b"")
        at = content.rfind(seen) if seen else -1
        new = content if at < 0 else content[at + len(seen):]
        if new:
            head = f"--- {name}\n" if name not in shown else ""
            shown[name] = content[-TAIL:]
            yield head + new.decode(errors="replace")
