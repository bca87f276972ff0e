"""Sweeps in a row on a cluster of hosts, each struck at a random moment in a random way; then counted.

    python benchmarks/chaos.py [--kills 20] [--seed S] [--storage folder|s3] [--quick] [--json FILE]
                                [--resume] [--victims a,b]

Five hosts (network namespaces, see tests/support/hosts.py): Ray's head, two workers, an MLflow server, and a user who
submits. The user only uses the command line: `submit`, `status`, and `resume` where a sweep has no driver any more.
The moment is drawn in results of the log and a part of a second. Every sweep is audited (chaos_audit.py) at its end;
each count but the first must be 0. The same seed draws the same victims and moments again.
"""

from __future__ import annotations

import argparse
import json
import random
import secrets
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from chaos_audit import audit, records_of
from chaos_counts import Counts, circumstances, load, save, total
from chaos_disasters import VICTIMS, Disaster, make_whole
from chaos_sweep import QUICK, SPEC, SUPPORT
from ray_hosts import Bed
from rich.console import Console
from rich.table import Table

ALIVE = ("pending", "starting", "running", "open")
LONGEST_S, SILENT_S, CALM_S = 900.0, 180.0, 6.0


class Sweep:
    """One sweep, from `submit` until it is done."""

    def __init__(self, bed: Bed, sweep_id: str) -> None:
        self.bed, self.sweep_id = bed, sweep_id
        self.resumed, self.hung, self.errors = 0, 0, list[str]()
        self.pause_s = 2.0 if bed.objects else 0.3  # an object store is read by a process on the user's machine

    def submit(self) -> None:
        self._answer("submit", "sweep.yaml", "--cluster", "cluster.yaml", "--id", self.sweep_id, "--json")

    def wait_for(self, results: int, timeout_s: float = 240) -> None:
        """Until the log holds so many results, or the sweep is done."""
        ends = time.monotonic() + timeout_s
        while time.monotonic() < ends:
            events = [record["event"] for record in records_of(self.bed, self.sweep_id)]
            if events.count("result") >= results or "done" in events:
                return
            time.sleep(self.pause_s)

    def finish(self) -> None:
        """Until it is done and its driver has ended: resumed as often as it takes, stopped first where it is silent."""
        ends, heard, lines = time.monotonic() + LONGEST_S, time.monotonic(), -1
        while time.monotonic() < ends:
            time.sleep(self.pause_s)
            before, lines = lines, len(records_of(self.bed, self.sweep_id))
            heard = time.monotonic() if lines != before else heard
            silent_s = time.monotonic() - heard
            if silent_s < CALM_S:
                continue
            state, job = self.state()
            if state == "done" and job not in ALIVE:
                return
            if state in ALIVE and silent_s > SILENT_S:
                self.hung, heard = self.hung + 1, time.monotonic()
                self._answer("stop", self.sweep_id, "--now")
            elif state not in (*ALIVE, "done", "unreachable"):
                self.resume()

    def counts(self, asked: int) -> Counts:
        """Finish it and audit it; resumed once more where its driver said that the tracking store lacks something."""
        self.finish()
        counts = audit(self.bed, self.sweep_id, asked)
        if counts.faults and f"`gatesweep resume {self.sweep_id}` sends them" in self.log():
            self.resume()
            self.finish()
            counts = audit(self.bed, self.sweep_id, asked)
        return counts

    def resume(self) -> None:
        self.resumed += 1
        self._answer("resume", self.sweep_id)

    def state(self) -> tuple[str, str]:
        """The sweep's, and its newest driver's."""
        out = self._answer("status", self.sweep_id, "--json")
        told = json.loads(out) if out else {"state": "unreachable", "job": None}
        return str(told["state"]), str((told["job"] or {}).get("state", "unknown"))

    def log(self) -> str:
        """What its drivers said."""
        return self.bed.answer("logs", self.sweep_id)[1]

    def _answer(self, *arguments: str) -> str:
        try:
            code, out, err = self.bed.answer(*arguments)
        except RuntimeError as error:
            code, out, err = 1, "", str(error)
        if code:
            self.errors.append(f"{arguments[0]} {code}: {err.strip()[-500:]}")
        return out if code == 0 else ""


def one(bed: Bed, number: int, seed: int, victims: Sequence[str]) -> dict[str, Any]:
    """A sweep that is struck once, and what it left."""
    rng = random.Random(f"{seed}-{number}")
    spec = yaml.safe_load((bed.user.folder / "project" / "sweep.yaml").read_text())
    trials, epochs = spec["budget"]["trials"], spec["experiment"]["trainer"]["max_epochs"]
    victim, after = rng.choice(list(victims)), rng.randint(0, trials * epochs // 2)
    make_whole(bed)
    sweep = Sweep(bed, f"chaos-{number:03}-{secrets.token_hex(3)}")
    disaster = Disaster(bed, rng)
    started = time.perf_counter()
    sweep.submit()
    sweep.wait_for(after)
    time.sleep(rng.random())
    disaster.strike(victim)
    counts = sweep.counts(trials)
    result = {
        "victim": victim, "after_results": after, "seed": seed, "number": number, "sweep_id": sweep.sweep_id,
        **disaster.story, "resumed": sweep.resumed, "hung": sweep.hung,
        "wall_s": round(time.perf_counter() - started, 1), "counts": asdict(counts),
    }  # fmt: skip
    if counts.faults or sweep.errors or sweep.resumed:
        print("\n".join([*sweep.errors, sweep.log()[-6000:]]), file=sys.stderr, flush=True)
    return result


def prepare_project(bed: Bed, spec: dict[str, Any], cluster: dict[str, Any] | None = None) -> None:
    """A user's project: a task of her own, a sweep, a cluster's file."""
    folder = bed.user.folder / "project"
    folder.mkdir()
    shutil.copy(SUPPORT / "toy_task.py", folder)
    (folder / "sweep.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
    (folder / "cluster.yaml").write_text(yaml.safe_dump(cluster or bed.cluster_file(), sort_keys=False))


def table(sweeps: Sequence[dict[str, Any]]) -> Table:
    """A row a victim."""
    shown = Table(title=f"{len(sweeps)} sweeps, each struck once")
    for column in ("victim", "sweeps", *Counts.__dataclass_fields__, "resumed by hand", "hung"):
        shown.add_column(column.replace("_", " "), justify="left" if column == "victim" else "right")
    groups = {victim: [s for s in sweeps if s["victim"] == victim] for victim in VICTIMS} | {"all": list(sweeps)}
    for name, group in groups.items():
        if group:
            counts = asdict(total(group)).values()
            sums = (sum(sweep[key] for sweep in group) for key in ("resumed", "hung"))
            shown.add_row(name, str(len(group)), *map(str, counts), *map(str, sums), end_section=name == "disk")
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="sweeps, each struck once")
    parser.add_argument("--seed", type=int, help="by default drawn, and printed")
    parser.add_argument("--quick", action="store_true", help="sweeps of half the length")
    parser.add_argument("--storage", choices=["folder", "s3"], default="folder")
    parser.add_argument("--victims", default=",".join(VICTIMS), help="who may be struck, e.g. driver,node")
    parser.add_argument("--json", type=Path, help="where the counts are kept")
    parser.add_argument("--resume", action="store_true", help="add to the file that --json names")
    given = parser.parse_args()
    seed = secrets.randbelow(10**6) if given.seed is None else given.seed
    print(f"seed {seed}", flush=True)
    kept = load(given.json) if given.resume and given.json else []
    mine: list[dict[str, Any]] = []
    bed = Bed(storage=given.storage)
    try:
        bed.start()
        prepare_project(bed, QUICK if given.quick else SPEC)
        first = sum(sweep["seed"] == seed for sweep in kept)
        for number in range(first, first + given.kills):
            struck = one(bed, number, seed, given.victims.split(","))
            mine.append({"storage": given.storage, "commit": circumstances()["commit"], **struck})
            print(json.dumps(mine[-1]), flush=True)
            if given.json:
                save(given.json, {"what": "gatesweep on five hosts", **circumstances()}, [*kept, *mine])
    finally:
        bed.close()
    Console(width=160).print(table(mine))
    sys.exit(1 if total(mine).faults or any(sweep["hung"] for sweep in mine) else 0)


if __name__ == "__main__":
    main()
