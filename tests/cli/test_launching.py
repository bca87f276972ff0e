"""The commands around clusters refuse what cannot work before anything is sent, with one message and exit code 2."""

import json
import re
import sys
from pathlib import Path

import pytest
from command_line import call, write_project
from typer.testing import CliRunner

from gatesweep.cli.app import app
from gatesweep.errors import EXIT_USER
from gatesweep.launch.config import load_cluster

RAY = "kind: ray\naddress: http://127.0.0.1:9\ntracking: http://127.0.0.1:9\nstorage: /nowhere/shared\n"
KUBERAY = "kind: kuberay\nimage: x:1\ntracking: http://127.0.0.1:9\nstorage: s3://bucket/sweeps\n"
COMMANDS = ("submit", "status", "logs", "stop", "resume", "retry", "clean", "run")


@pytest.fixture
def folder(tmp_path: Path, own_home: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_project(tmp_path, ray=RAY, kube=KUBERAY, local="kind: local\n")


def _without(key: str) -> str:
    return "".join(line for line in RAY.splitlines(keepends=True) if not line.startswith(f"{key}:"))


REFUSED = [
    (["submit", "sweep.yaml", "--cluster", "ray.yaml"], "http://127.0.0.1:9: the cluster does not answer", "tunnel"),
    (["submit", "sweep.yaml", "--cluster", "kube.yaml"], "kube: the kubeconfig does not give a current", "KUBECONFIG"),
    (["submit", "sweep.yaml", "--cluster", "kube.yaml", "--dry-run", "--id", "a" * 48], "has 51 characters", "--id"),
    (["submit", "sweep.yaml", "--cluster", "kube.yaml", "--dry-run", "--set", "resources.gpus=1"],
     "1 GPUs of one pod", "`workers:`"),
    (["submit", "sweep.yaml", "--cluster", "ray.yaml", "--dry-run"], "kind ray is sent no manifest", "kind kuberay"),
    (["submit", "sweep.yaml", "--cluster", "none.yaml"], "none.yaml: no such file", "ray.yaml"),
    (["submit", "sweep.yaml", "--cluster", "local.yaml", "--id", "Bad Id"], "'Bad Id' is no usable sweep id", ""),
    (["submit", "sweep.yaml", "--cluster", "local.yaml", "--set", "objective.metric=val/mea"],
     "reports no 'val/mea' while it trains", "did you mean 'val/mae'?"),
    (["submit", "sweep.yaml", "--cluster", "local.yaml", "--set", "resources.cpus=999"], "asks for 999 CPUs", ""),
    (["run", "exp.yaml", "--cluster", "ray.yaml"], "http://127.0.0.1:9: the cluster does not answer", ""),
    (["run", "exp.yaml", "--cluster", "kube.yaml"], "the kubeconfig does not give", "context:"),
    (["run", "exp.yaml", "--cluster", "local.yaml", "--epochs", "2"], "--epochs: ends a training here",
     "--set trainer.max_epochs=2"),
    (["run", "exp.yaml", "--cluster", "local.yaml", "--out", "there"], "--out: is written by a training here", ""),
    (["reproduce", "f00", "--on", "ray.yaml", "--epochs", "1"], "--on: a cluster trains the whole schedule", ""),
    (["status", "toy-20260101-abcdef"], "no sweep 'toy-20260101-abcdef'", "gatesweep list"),
    (["logs", "toy-20260101-abcdef"], "no sweep 'toy-20260101-abcdef'", "--cluster"),
    (["stop", "toy-20260101-abcdef"], "no sweep 'toy-20260101-abcdef'", "--cluster"),
    (["stop", "toy", "--drain", "--now"], "--drain waits for what runs, --now does not", "one of them"),
    (["logs", "toy", "-f", "--json"], "one JSON object has no end to follow", ""),
    (["status", "toy", "--watch", "--json"], "one JSON object is one look", "leave one out"),
    (["logs", "toy", "--trial", "seven"], "'seven' is no trial's name", "t0007"),
    (["retry", "toy"], "say which trials", "gatesweep retry toy --failed"),
    (["resume", "toy-20260101-abcdef", "--cluster", "ray.yaml"], "no sweep 'toy-20260101-abcdef'", ""),
    (["clean", "toy-20260101-abcdef"], "no sweep 'toy-20260101-abcdef'", ""),
    (["clean", "--older-than", "soon"], "'soon' is no age", "30d"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "message", "hint"), REFUSED, ids=lambda each: " ".join(each)[:40])
def test_what_cannot_work_is_refused_and_leaves_nothing(
    capsys, monkeypatch, folder, own_home, arguments, message, hint
):
    code, out, err = call(capsys, monkeypatch, *arguments)
    assert (code, out) == (EXIT_USER, "")
    assert message in err
    assert hint in err
    assert "Traceback" not in err
    assert not list(own_home.glob("*/*"))


@pytest.mark.parametrize("key", ["storage", "tracking"])
def test_a_cluster_without_storage_or_tracking_is_refused(capsys, monkeypatch, folder, key):
    (folder / "ray.yaml").write_text(_without(key))
    code, _, err = call(capsys, monkeypatch, "submit", "sweep.yaml", "--cluster", "ray.yaml")
    assert code == EXIT_USER
    assert f"ray.yaml: '{key}' is missing" in err


def test_a_package_over_the_limit_is_refused_before_it_is_sent(capsys, monkeypatch, folder):
    from gatesweep.launch.jobs import RayJobs

    monkeypatch.setattr(RayJobs, "must_answer", lambda self: "Ray answers")
    (folder / "weights.bin").write_bytes(b"\0" * 3_000_000)
    (folder / "ray.yaml").write_text(f"{RAY}package: {{limit_mb: 2}}\n")
    code, _, err = call(capsys, monkeypatch, "submit", "sweep.yaml", "--cluster", "ray.yaml")
    assert code == EXIT_USER
    assert "3.00 MB  weights.bin" in err
    assert "exclude: [weights.bin]" in err


def test_validate_knows_clusters_and_repeats_no_secret(capsys, monkeypatch, folder):
    code, out, _ = call(capsys, monkeypatch, "validate", "ray.yaml", "kube.yaml", "local.yaml", "--json")
    assert code == 0
    assert [each["kind"] for each in json.loads(out)["valid"]] == ["cluster"] * 3
    (folder / "ray.yaml").write_text(f"{RAY}secrets: {{KEY: hunter2-hunter2}}\n")
    code, out, err = call(capsys, monkeypatch, "validate", "ray.yaml")
    assert code == EXIT_USER
    assert "ray.yaml: secrets.KEY: a secret is named by its place" in err
    assert "hunter2" not in out + err


def test_the_editors_schema_of_clusters_is_the_codes_own(capsys, monkeypatch, folder, root):
    from gatesweep.launch.config import schema_of_clusters

    assert json.loads((root / "configs" / "schema" / "cluster.json").read_text()) == json.loads(
        json.dumps(schema_of_clusters())
    ), "write it again: gatesweep schema cluster | python -m json.tool --indent 1 > configs/schema/cluster.json"
    _, out, _ = call(capsys, monkeypatch, "schema", "cluster")
    assert {"local", "ray", "kuberay"} <= set(json.loads(out)["$defs"])


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_real_values_and_the_cluster_that_it_names_is_valid(root, command):
    said = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"}).output
    assert re.search(r"e\.g\.|traffic-20261123-ab12cd|gatesweep retry ID", said)
    for file in re.findall(r"configs/clusters/\w+\.yaml", said.replace("\n", "")):
        assert load_cluster(root / file).kind == "ray"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_imports_nothing_heavy(command, root):
    import subprocess

    code = (
        f"import sys; sys.argv = ['gatesweep', {command!r}, '--help']\nfrom gatesweep.cli import main\n"
        "try: main()\nexcept SystemExit as end: assert not end.code, end.code\n"
        "heavy = {'torch', 'ray', 'mlflow', 'pandas', 'dvc', 'optuna', 'rich'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root, capture_output=True)
