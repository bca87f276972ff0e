"""What a malicious sweep file, checkpoint, artifact, lock or archive can do: nothing. docs/security.md lists these."""

from __future__ import annotations

import hashlib
import json
import pickle
import platform
import re
import tarfile
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import pytest
import torch
from command_line import call, write_project
from mlflow import MlflowClient

from gatesweep.data import archives
from gatesweep.data.catalogue import Entry, Member
from gatesweep.errors import EXIT_USER, DataError, NotFound, UserError
from gatesweep.reproduce.envs import interpreter
from gatesweep.runs.evaluation import evaluate
from gatesweep.runs.experiment import experiment_from
from gatesweep.runs.lookup import KEPT, checkpoint_of
from gatesweep.runs.training import run
from gatesweep.track.store import Store, open_store

TOY = {"task": "toy_task:ToyTask", "data": {"examples": 32}, "trainer": {"max_epochs": 1, "monitor": "val/mae"}}


class Evil:
    """What an attacker pickles: unpickling it makes a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        return Path.touch, (self.target,)


@pytest.fixture
def store(own_home: Path) -> Store:
    return open_store(own_home)


def test_a_pickle_in_a_kept_checkpoint_is_refused_and_not_run(store: Store, tmp_path: Path) -> None:
    made = run(experiment_from(TOY, place="test"), store)
    state = Path(made.checkpoint) / "state.ckpt"
    torch.save({"state_dict": Evil(tmp_path / "owned")}, state)
    commit = Path(made.checkpoint) / "COMMIT"
    told = json.loads(commit.read_text())
    sha = hashlib.sha256(state.read_bytes()).hexdigest()
    commit.write_text(json.dumps({**told, "size_bytes": state.stat().st_size, "sha256": sha}))
    with pytest.raises(NotFound, match="other objects than tensors"):
        evaluate(made.run_id, store, split="test")
    assert not (tmp_path / "owned").exists()


def test_nor_where_a_run_would_start_from_it(store: Store, tmp_path: Path) -> None:
    torch.save({"state_dict": Evil(tmp_path / "owned")}, tmp_path / "start.ckpt")
    config = experiment_from({**TOY, "init_from": {"checkpoint": str(tmp_path / "start.ckpt"), "parts": ["encoder"]}},
                             place="test")  # fmt: skip
    with pytest.raises(NotFound, match="is no checkpoint of a training"):
        run(config, store)
    assert not (tmp_path / "owned").exists()


PYFUNC = """
flavors:
  python_function:
    loader_module: mlflow.pyfunc.model
    python_model: python_model.pkl
    cloudpickle_version: 3.1.2
    python_version: 3.11.7
mlflow_version: 3.17.2
model_uuid: 0123456789abcdef0123456789abcdef
"""


def test_a_pickle_in_an_mlflow_model_is_opened_by_nothing_that_takes_the_models_address_or_its_run(
        capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, store: Store, tmp_path: Path) -> None:
    monkeypatch.chdir(write_project(tmp_path))
    made = run(experiment_from(TOY, place="test"), store)
    model = tmp_path / "model"
    model.mkdir()
    (model / "MLmodel").write_text(PYFUNC)
    (model / "python_model.pkl").write_bytes(pickle.dumps(Evil(tmp_path / "owned"), protocol=2))
    client = MlflowClient(store.uri)
    client.log_artifacts(made.run_id, str(model), "model")
    client.create_registered_model("evil")
    client.create_model_version("evil", f"{client.get_run(made.run_id).info.artifact_uri}/model", made.run_id)
    with suppress(Exception):  # no model at all, once it is loaded: too late
        mlflow.pyfunc.load_model(str(model))
    (tmp_path / "owned").unlink()  # the trap is one

    evil = str(model / "python_model.pkl")
    for words, code in [(("trace", "models:/evil/1"), 0), (("trace", made.run_id), 0),
                        (("evaluate", made.run_id, "--split", "test"), 0),
                        (("evaluate", "models:/evil/1", "--split", "test"), EXIT_USER),
                        (("reproduce", "models:/evil/1"), EXIT_USER),
                        (("run", "exp.yaml", "--set", f"init_from.checkpoint={evil}"), EXIT_USER)]:
        assert call(capsys, monkeypatch, *words)[0] == code, words
    assert not (tmp_path / "owned").exists()


def test_nothing_of_the_platform_reads_pickles_or_models_of_python(root: Path) -> None:
    """`torch.load` with `weights_only` and numpy without pickles are the only readers of their kind."""
    forbidden = re.compile(r"pickle\.loads?\(|Unpickler|cloudpickle|joblib|\bdill\b|shelve|marshal\.load|pyfunc\.load"
                           r"|load_model\(|allow_pickle=True|yaml\.(unsafe_|full_)?load\(|\beval\(|\bexec\(|shell=True")
    for file in [*(root / "platform").rglob("*.py"), *(root / "jobs").glob("*.py"), *(root / "docker").glob("*.py")]:
        text = file.read_text(encoding="utf-8")
        assert not (found := re.search(rf"(?<![.\w])(?:{forbidden.pattern})", text)), (file, found)
        for loading in re.findall(r"torch\.load\([^\n]*", text):
            assert "weights_only=True" in loading, file


@pytest.mark.parametrize("name", ["../../../etc/passwd", "/etc/passwd", "checkpoints/../../outside"])
def test_an_artifacts_name_cannot_lead_out_of_its_run(store: Store, name: str) -> None:
    made = run(experiment_from(TOY, place="test"), store)
    with pytest.raises(NotFound, match="no artifact's name"):
        store.artifact(made.run_id, name)
    store.write_text(made.run_id, KEPT, json.dumps({"best": f"../../{name}"}))
    with pytest.raises(NotFound, match="no artifact's name"):
        checkpoint_of(store.get_run(made.run_id), store)


@pytest.mark.parametrize(("name", "version"), [
    ("--index-url=http://127.0.0.1:9/simple x", "1"),
    ("numpy", "1 --extra-index-url http://127.0.0.1:9/"),
    ("numpy", "1\n--index-url http://127.0.0.1:9/"),
    ("evil @ file:///tmp/evil.whl #", "1"),
])
def test_a_lock_cannot_give_pip_options_or_addresses(tmp_path: Path, name: str, version: str) -> None:
    with pytest.raises(UserError, match="no package is called"):
        interpreter({name: version}, f"CPython {platform.python_version()}", tmp_path, lambda line: None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [
    ("sweep", "sweep.yaml", "--id", "../../outside"),
    ("sweep", "sweep.yaml", "--set", "name=../outside"),
    ("run", "exp.yaml", "--set", "name=../../outside"),
    ("resume", "../../outside"),
    ("logs", "toy", "--trial", "../../t0000"),
    ("report", "../../outside"),
    ("evaluate", "best:../../outside"),
    ("data", "add", "exp.yaml", "--name", "../outside"),
], ids=" ".join)
def test_a_name_cannot_lead_out_of_the_home_folder(
        capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, own_home: Path,
        words: tuple[str, ...]) -> None:
    folder = tmp_path / "a" / "b" / "project"
    folder.mkdir(parents=True)
    monkeypatch.chdir(write_project(folder))
    before = {path for path in tmp_path.rglob("*") if not path.is_relative_to(own_home)}
    code, _, err = call(capsys, monkeypatch, *words)
    assert code == EXIT_USER, err
    assert "Traceback" not in err
    assert {path for path in tmp_path.rglob("*") if not path.is_relative_to(own_home)} == before


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_bomb_in_an_archive_is_not_unpacked(tmp_path: Path, kind: str) -> None:
    """A hundred megabytes of zeros in the place of a member of ten bytes."""
    zeros = tmp_path / "zeros"
    with zeros.open("wb") as file:
        file.truncate(100 << 20)
    packed = tmp_path / ("bomb.whl" if kind == "zip" else "bomb.tar.gz")
    if kind == "zip":
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(zeros, "set.csv")
    else:
        with tarfile.open(packed, "w:gz", compresslevel=1) as archive:
            archive.add(zeros, "set.csv")
    assert packed.stat().st_size < 1 << 20
    entry = Entry.model_construct(files={"set.csv": Member(member="set.csv", size_bytes=10, md5="0" * 32)})
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(DataError, match="104857600 bytes, not 10"):
        archives.extract(entry, packed, target)
    assert sum(path.stat().st_size for path in target.iterdir()) == 0


def test_a_configuration_of_megabytes_is_refused_unread(
        capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, own_home: Path) -> None:
    monkeypatch.chdir(write_project(tmp_path, "# " + "x" * (2 << 20) + "\ntask: toy_task:ToyTask\n"))
    code, _, err = call(capsys, monkeypatch, "run", "exp.yaml")
    assert code == EXIT_USER
    assert "larger than 1048576 bytes" in err


@pytest.mark.parametrize("text", ["!!python/object/apply:os.system ['touch owned']", "a: !!python/name:os.system"])
def test_a_yaml_file_makes_no_objects_of_python(
        capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, own_home: Path,
        text: str) -> None:
    monkeypatch.chdir(write_project(tmp_path, text))
    code, _, err = call(capsys, monkeypatch, "run", "exp.yaml")
    assert code == EXIT_USER, err
    assert "Traceback" not in err
    assert not (tmp_path / "owned").exists()
