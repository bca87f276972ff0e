"""A sweep submitted to three hosts from a fourth: whoever dies, it ends with every trial once and every number right.

Each test strikes one sweep (benchmarks/chaos_disasters.py) and audits what it left (benchmarks/chaos_audit.py): trials
that are over = trials asked, one MLflow run each, none RUNNING, each (run, key, step) once, every epoch's metrics equal
to an undisturbed training's, every proposal and decision as a replay of the log gives it.
"""

import json
import random
import secrets
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from chaos import Sweep, prepare_project
from chaos_audit import records_of
from chaos_disasters import VICTIMS, Disaster, make_whole
from chaos_sweep import QUICK
from hosts import Host
from ray_hosts import Bed

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

ASKED = QUICK["budget"]["trials"]
PLANTED = "MLFLOW_TRACKING_TOKEN"


@pytest.fixture(scope="module")
def planted() -> str:
    """A secret that every host has in a file and that must be found nowhere else."""
    return f"planted-{secrets.token_hex(16)}"


@pytest.fixture(scope="module")
def bed(planted: str) -> Iterator[Bed]:
    made = Bed()
    try:
        made.start()
        cluster = {**made.cluster_file(), "secrets": {PLANTED: {"file": str(made.network.here / "planted")}}}
        for host in made.network.hosts.values():
            (host.folder / "planted").write_text(planted)
        prepare_project(made, QUICK, cluster)
        yield made
    finally:
        made.close()


@pytest.fixture
def whole(bed: Bed) -> Bed:
    """The bed with everything up, whatever the test before has left."""
    make_whole(bed)
    return bed


def _submitted(bed: Bed, results: int, name: str = "") -> Sweep:
    """A sweep that has come so far."""
    sweep = Sweep(bed, f"{name or 'many'}-{secrets.token_hex(4)}")
    sweep.submit()
    sweep.wait_for(results)
    return sweep


def _is_right(sweep: Sweep) -> None:
    """At its end; where its driver asked for it, resumed."""
    counts = asdict(sweep.counts(ASKED))
    assert counts.pop("asked") == ASKED
    assert counts == dict.fromkeys(counts, 0), f"{sweep.errors}\n{sweep.log()[-4000:]}"


def _struck(bed: Bed, victim: str, results: int) -> Sweep:
    sweep = _submitted(bed, results, victim)
    Disaster(bed, random.Random(results)).strike(victim)
    _is_right(sweep)
    assert sweep.hung == 0
    return sweep


def _events(bed: Bed, sweep: Sweep, event: str) -> list[dict[str, Any]]:
    return [record for record in records_of(bed, sweep.sweep_id) if record["event"] == event]


@pytest.mark.slow
def test_a_worker_host_that_dies_costs_no_trial_and_its_trials_go_on_elsewhere(whole: Bed):
    sweep = _submitted(whole, 3, "node")
    host = next(host for host in whole.cluster.workers if host.processes("ray::ImplicitFunc"))
    host.kill()
    _is_right(sweep)
    assert sweep.resumed == 0
    lost = [record for record in _events(whole, sweep, "fail") if record["class"] == "node_lost"]
    assert lost
    assert not any(record["final"] for record in lost)


@pytest.mark.slow
def test_a_killed_driver_is_resumed_by_one_command_and_nothing_is_told_twice(whole: Bed, planted: str):
    sweep = _submitted(whole, 4, "driver")
    assert whole.cluster.head.kill_processes("jobs/sweep.py") > 0
    assert _told(whole, planted) == []  # while its processes run
    _is_right(sweep)
    assert sweep.resumed == 1
    assert [record["fence"] for record in _events(whole, sweep, "lease")] == [2]
    assert _told(whole, planted) == []


@pytest.mark.slow
def test_a_new_head_on_the_same_storage_goes_on_with_the_sweep_of_the_dead_one(whole: Bed):
    sweep = _struck(whole, "head", 5)
    assert sweep.resumed == 1


@pytest.mark.slow
@pytest.mark.parametrize("victim", sorted(VICTIMS.keys() - {"driver", "head", "node"}))
def test_whoever_is_struck_nothing_is_lost_doubled_or_orphaned(whole: Bed, victim: str):
    sweep = _struck(whole, victim, 4)
    assert sweep.resumed <= (victim == "tracking")  # where its driver's end came before the server's return


@pytest.mark.slow
def test_a_tracking_server_that_is_away_to_the_end_has_everything_when_it_is_back(whole: Bed):
    away = Sweep(whole, f"away-{secrets.token_hex(4)}")
    away.submit()
    while len(_events(whole, away, "new")) < 2:
        time.sleep(0.1)
    whole.tracking.kill()
    away.wait_for(10**6)
    whole.tracking.start()
    _is_right(away)


def _told(bed: Bed, planted: str) -> list[str]:
    """Where the secret stands beside the files that hold it: files of all hosts and of the storage, command lines,
    the cluster's list of jobs."""
    secret = planted.encode()
    files = [path for path in bed.network.folder.rglob("*") if path.is_file() and path.name != "planted"]
    found = [str(path) for path in files if secret in path.read_bytes()]
    processes = [process for host in bed.network.hosts.values() for process in host.processes()]
    found += [f"process {process.pid}" for process in processes if planted in " ".join(_words(process))]
    return found + (["jobs"] if planted in json.dumps(_jobs(bed.user, bed)) else [])


def _words(process: Any) -> list[str]:
    try:
        return list(process.cmdline())
    except OSError:
        return []


def _jobs(user: Host, bed: Bed) -> Any:
    """What the Job API tells of all jobs."""
    ask = (
        "import sys, urllib.request as u; r = u.Request(sys.argv[1] + '/api/jobs/', headers={'Authorization': "
        "'Bearer ' + open(sys.argv[2]).read()}); print(u.urlopen(r, timeout=20).read().decode())"
    )
    return json.loads(user.call([sys.executable, "-c", ask, bed.cluster.address, str(bed.cluster.token_file)]))
