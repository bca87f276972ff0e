"""A submission is checked before anything is sent, remembered before it runs, and never doubled."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gatesweep.errors import AttemptExists, ClusterError, ConfigError, DataError, NotFound, ResourceError, UserError
from gatesweep.launch import followed as followed_module
from gatesweep.launch import submit as module
from gatesweep.launch.followed import find
from gatesweep.launch.runner import Job, Order, State
from gatesweep.launch.sections import ClusterConfig
from gatesweep.launch.submitted import Attempt, ids, recall
from gatesweep.sweep.spec import load_spec
from gatesweep.track import git

Make = Callable[..., ClusterConfig]


class FakeRunner:
    """Starts nothing; keeps what it was asked for."""

    def __init__(self) -> None:
        self.orders: list[Order] = []
        self.files: dict[str, bytes] = {}
        self.state: State = "running"
        self.broken = False
        self.others: list[Job] = []
        self.stopped: list[str] = []

    def must_answer(self) -> str:
        return "a fake"

    def start(self, order: Order) -> Attempt:
        if self.broken:
            raise ClusterError("the cluster refused", place="fake")
        self.orders.append(order)
        if order.package:
            with zipfile.ZipFile(order.package) as archive:
                self.files = {name: archive.read(name) for name in archive.namelist()}
        return Attempt(order.number, order.job_id, "now")

    def job(self, attempt: Attempt) -> Job:
        return Job(attempt.job_id, self.state)

    def attempts(self, sweep_id: str) -> list[Job]:
        return [*self.others, *(Job(order.job_id, self.state) for order in self.orders)]

    def log(self, attempt: Attempt) -> str:
        return "said\n"

    def follow(self, attempt: Attempt) -> Iterator[str]:
        yield "said\n"

    def stop(self, attempt: Attempt) -> None:
        self.stopped.append(attempt.job_id)


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> FakeRunner:
    fake = FakeRunner()
    for place in (module, followed_module):
        monkeypatch.setattr(place, "runner_of", lambda cluster, home: fake)
    return fake


def _submit(
    cluster: ClusterConfig, home: Path, sweep_id: str = "toy-1", *overrides: str
) -> tuple[module.Sent, list[str]]:
    said: list[str] = []
    return module.submit(load_spec(Path("sweep.yaml"), overrides), cluster, sweep_id, home, said.append), said


def test_what_is_sent_holds_the_sweep_the_cluster_and_where_the_code_came_from(
    project: Path, ray_cluster: Make, own_home: Path, runner: FakeRunner
) -> None:
    (project / "model.py").write_text("forget = 2\n")
    sent, said = _submit(ray_cluster(environment={"A": "1"}), own_home, "toy-1", "budget.trials=5")
    assert sent.as_dict() | {"package_bytes": 0} == {
        "sweep_id": "toy-1", "job_id": "toy-1-a1", "cluster": "lab", "package_bytes": 0}  # fmt: skip
    order = runner.orders[0]
    assert order.words == (".submission/sweep.yaml", "--id", "toy-1", "--cluster", ".submission/cluster.yaml")
    assert json.loads(runner.files[".submission/sweep.yaml"])["budget"]["trials"] == 5
    assert json.loads(runner.files[".submission/cluster.yaml"])["environment"] == {"A": "1"}
    code = json.loads(runner.files[".submission/lock.json"])["code"]
    assert (code["commit"], code["dirty"]) == (git.read_tree(project).commit, True)
    assert b"+forget = 2" in runner.files[".submission/diff.patch"]
    assert runner.files["model.py"] == b"forget = 2\n"
    assert any(line.startswith("package: ") and " MB; the largest:" in line for line in said)
    assert not (project / ".submission").exists()


def test_the_cluster_and_the_attempt_are_remembered_by_the_sweeps_id(
    project: Path, ray_cluster: Make, own_home: Path, runner: FakeRunner
) -> None:
    cluster = ray_cluster(secrets={"KEY": {"env": "KEY"}})
    _submit(cluster, own_home)
    known = recall("toy-1", own_home)
    assert known is not None
    assert (known.cluster, known.name) == (cluster, "sweep")
    assert [attempt.job_id for attempt in known.attempts] == ["toy-1-a1"]
    assert ids(own_home) == ["toy-1"]
    assert find("toy-1", own_home).attempt == known.newest


def test_what_could_not_be_sent_is_not_remembered(
    project: Path, ray_cluster: Make, own_home: Path, runner: FakeRunner
) -> None:
    runner.broken = True
    with pytest.raises(ClusterError, match="the cluster refused"):
        _submit(ray_cluster(), own_home)
    assert list((own_home / "submitted").iterdir()) == []


def test_storage_that_is_a_file_is_refused_and_a_silent_tracking_server_is_said(
    project: Path, ray_cluster: Make, own_home: Path, runner: FakeRunner, tmp_path: Path
) -> None:
    (tmp_path / "afile").write_text("")
    with pytest.raises(ConfigError, match="afile' is a file here"):
        _submit(ray_cluster(storage=str(tmp_path / "afile")), own_home)
    assert runner.orders == []
    _, said = _submit(ray_cluster(tracking="http://127.0.0.1:9"), own_home)
    assert any("does not answer: connection refused, from this machine" in line for line in said)


def test_an_id_is_never_used_twice(project: Path, ray_cluster: Make, own_home: Path, runner: FakeRunner) -> None:
    _submit(ray_cluster(), own_home)
    with pytest.raises(ConfigError, match="is there already"):
        _submit(ray_cluster(), own_home)
    there = Path(str(ray_cluster().where.storage)) / "sweeps" / "toy-2"
    there.mkdir(parents=True)
    (there / "log.jsonl").write_bytes(b"somebody else's")
    with pytest.raises(ConfigError, match="is there already"):
        _submit(ray_cluster(), own_home, "toy-2")
    assert len(runner.orders) == 1


def test_no_second_driver_is_sent_while_one_lives(
    project: Path, ray_cluster: Make, own_home: Path, runner: FakeRunner
) -> None:
    _submit(ray_cluster(), own_home)
    spec = load_spec(project / "sweep.yaml")
    with pytest.raises(ClusterError, match="toy-1-a1 is running"):
        module.again(find("toy-1", own_home), spec, (), lambda line: None)
    runner.state = "failed"
    sent = module.again(find("toy-1", own_home), spec, ("--set", "budget.trials=9"), lambda line: None)
    assert sent.job_id == "toy-1-a2"
    assert runner.orders[1].words[-2:] == ("--set", "budget.trials=9")
    known = recall("toy-1", own_home)
    assert known is not None
    assert [attempt.number for attempt in known.attempts] == [1, 2]


def test_of_two_resumes_at_once_the_slower_one_leaves_the_attempt_of_the_faster_remembered(
    project: Path, ray_cluster: Make, own_home: Path, runner: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    _submit(ray_cluster(), own_home)
    runner.state = "failed"
    spec, seen = load_spec(project / "sweep.yaml"), find("toy-1", own_home)
    assert module.again(find("toy-1", own_home), spec, (), lambda line: None).job_id == "toy-1-a2"

    def late(order: Order) -> Attempt:
        raise AttemptExists("this attempt is on the cluster already", place="fake")

    monkeypatch.setattr(runner, "start", late)
    monkeypatch.setattr(runner, "attempts", lambda sweep_id: [Job("toy-1-a1", "failed")])
    with pytest.raises(AttemptExists):
        module.again(seen, spec, (), lambda line: None)
    known = recall("toy-1", own_home)
    assert known is not None
    assert known.newest is not None
    assert known.newest.job_id == "toy-1-a2"


def test_an_attempt_that_another_machine_sent_is_counted_and_respected(
    project: Path, ray_cluster: Make, own_home: Path, runner: FakeRunner
) -> None:
    _submit(ray_cluster(), own_home)
    runner.state = "failed"
    runner.others = [Job("toy-1-a4", "running")]
    spec = load_spec(project / "sweep.yaml")
    with pytest.raises(ClusterError, match="toy-1-a4 is running"):
        module.again(find("toy-1", own_home), spec, (), lambda line: None)
    runner.others = [Job("toy-1-a4", "stopped")]
    assert module.again(find("toy-1", own_home), spec, (), lambda line: None).job_id == "toy-1-a5"


def test_trials_that_no_node_can_hold_are_refused_before_anything_is_sent(
    project: Path, ray_cluster: Make, own_home: Path, runner: FakeRunner
) -> None:
    cluster = ray_cluster(resources={"trial": {"cpus": 4, "gpus": 0}})
    with pytest.raises(ResourceError, match="one trial asks for 8, and lab has at most 4 a trial") as refused:
        _submit(cluster, own_home, "toy-1", "resources.cpus=8")
    assert refused.value.hint == "--set resources.cpus=4"
    with pytest.raises(ResourceError, match=r"resources.gpus: one trial asks for 1"):
        _submit(cluster, own_home, "toy-1", "resources.gpus=1")
    assert runner.orders == []


PINNED = "outs:\n- md5: 0123456789abcdef0123456789abcdef.dir\n  path: data/traffic\n"
FORECAST = "task: forecasting\ndata: {name: traffic}\n"


def test_a_pinned_set_that_the_cluster_has_no_road_to_is_refused(
    project: Path, ray_cluster: Make, own_home: Path, runner: FakeRunner
) -> None:
    (project / "data.dvc").write_text(PINNED)
    (project / "exp.yaml").write_text(FORECAST)
    with pytest.raises(DataError, match="no DVC remote, and the catalogue has no source") as refused:
        _submit(ray_cluster(), own_home)
    assert "dvc push" in (refused.value.hint or "")
    assert runner.orders == []
    _submit(ray_cluster(data={"remote": "s3://bucket/dvc"}), own_home, "toy-2")
    (project / ".dvc").mkdir()
    (project / ".dvc" / "config").write_text("[core]\n    remote = store\n['remote \"store\"']\n    url = s3://b/dvc\n")
    _submit(ray_cluster(), own_home, "toy-3")
    assert len(runner.orders) == 2


def test_a_set_whose_source_the_catalogue_knows_needs_no_remote(
    project: Path, ray_cluster: Make, own_home: Path, runner: FakeRunner, root: Path
) -> None:
    (project / "data.dvc").write_bytes((root / "data.dvc").read_bytes())
    (project / "exp.yaml").write_text(FORECAST)
    _submit(ray_cluster(), own_home)
    assert len(runner.orders) == 1
    assert {pin["name"] for pin in json.loads(runner.files[".submission/lock.json"])["data"]} >= {"traffic"}


CSV = "task: forecasting\ndata: {path: mine.csv, target: load, horizon: 2, lookback: 4}\n"


def test_a_file_of_the_users_own_travels_with_the_project_or_is_refused(
    project: Path, ray_cluster: Make, own_home: Path, runner: FakeRunner, tmp_path: Path
) -> None:
    (project / "exp.yaml").write_text(CSV)
    (project / "mine.csv").write_text("time,load\n")
    _submit(ray_cluster(), own_home)
    assert json.loads(runner.files[".submission/sweep.yaml"])["experiment"]["data"]["path"] == "mine.csv"
    assert "mine.csv" in runner.files
    (tmp_path / "outside.csv").write_text("time,load\n")
    with pytest.raises(DataError, match="lies on this machine alone"):
        _submit(ray_cluster(), own_home, "toy-2", f"experiment.data.path={tmp_path / 'outside.csv'}")
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "all.csv").write_text("time,load\n")
    _submit(ray_cluster(), own_home, "toy-3", f"experiment.data.path={shared / 'all.csv'}")
    assert len(runner.orders) == 2


def test_sweeps_to_learn_from_must_lie_in_the_clusters_storage(
    project: Path, ray_cluster: Make, own_home: Path, runner: FakeRunner, tmp_path: Path
) -> None:
    (own_home / "sweeps" / "toy-1").mkdir(parents=True)
    (own_home / "sweeps" / "toy-1" / "log.jsonl").write_text("here alone\n")
    spec = load_spec(project / "sweep.yaml", ["search.warm_start=[toy-1]"])
    with pytest.raises(NotFound, match="no sweep 'toy-1' lies in the cluster's storage") as refused:
        module.submit(spec, ray_cluster(), "toy-2", own_home, print)
    assert f"{tmp_path}/shared/sweeps/toy-1" in (refused.value.hint or "")
    assert runner.orders == []


def test_a_secret_in_the_tree_stops_the_submission(
    project: Path, ray_cluster: Make, own_home: Path, runner: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEAM_KEY", "hunter2-hunter2")
    (project / "model.py").write_text("KEY = 'hunter2-hunter2'\n")
    with pytest.raises(UserError, match="holds the secret that `KEY` refers to"):
        _submit(ray_cluster(secrets={"KEY": {"env": "TEAM_KEY"}}), own_home)
    assert runner.orders == []
    assert recall("toy-1", own_home) is None
