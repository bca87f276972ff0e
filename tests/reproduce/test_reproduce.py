"""Runs of a user's own project, trained again from its commit: a repository, a module, a store, and nothing else."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import gatesweep
from gatesweep.data.adding import add
from gatesweep.data.own import user_data
from gatesweep.errors import DataError, NotFound, UserError
from gatesweep.reproduce.data_again import bring
from gatesweep.reproduce.recorded import read
from gatesweep.reproduce.reproduce import How, _compared, reproduce
from gatesweep.reproduce.source import Sources, check_out
from gatesweep.runs.training import Listener
from gatesweep.track.git import Tree, read_tree
from gatesweep.track.lineage import LockedSet
from gatesweep.track.store import Store, open_store
from gatesweep.train.callbacks import StopAfter

TASK = """
from torch import nn, randn, tensor
from torch.utils.data import TensorDataset
import torch
import scales

metrics = ("loss", "mae")

def build_data(config):
    draw = torch.Generator().manual_seed(5)
    x = randn(48, 6, 2, generator=draw)
    y = scales.SCALE * x[:, :, :1].mean(1)
    rows = {"train": slice(0, 32), "val": slice(32, 40), "test": slice(40, 48)}
    return {split: TensorDataset(x[where], y[where]) for split, where in rows.items()}

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.head = nn.GRU(2, 4, batch_first=True), nn.Linear(4, 1)
    def forward(self, x):
        return self.head(self.cell(x)[0][:, -1])

def build_model(config):
    return Net()

def loss(model, batch):
    apart = model(batch[0]) - batch[1]
    return {"loss": (apart ** 2).mean(), "mae": apart.abs().mean()}
"""
EXPERIMENT = """
task: tiny_task
data: {}
trainer: {max_epochs: 3, batch_size: 8, monitor: val/loss}
seed: 4
"""


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]
    return subprocess.run(["git", "-C", str(folder), *identity, *words], check=True, capture_output=True,
                          text=True).stdout  # fmt: skip


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A repository with one commit, changed since, with a module that git does not know; it is the working folder."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "tiny_task.py").write_text(TASK.replace("scales.SCALE", "2 * scales.SCALE"))
    (folder / "tiny.yaml").write_text(EXPERIMENT)
    (folder / ".gitignore").write_text("__pycache__/\n.gatesweep/\n")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    (folder / "tiny_task.py").write_text(TASK)
    (folder / "scales.py").write_text("SCALE = 1.5\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("GATESWEEP_HOME", str(folder / ".gatesweep"))
        patch.syspath_prepend(folder)
        yield folder


@pytest.fixture(autouse=True)
def _outside_any_repository() -> None:
    """Here the working folder is `project`, for all of these tests."""


@pytest.fixture(scope="module")
def store(project: Path) -> Store:
    return open_store(project / ".gatesweep")


@pytest.fixture(scope="module")
def run_id(project: Path) -> str:
    return gatesweep.run(project / "tiny.yaml").run_id


@pytest.fixture(scope="module")
def again(run_id: str, project: Path, store: Store):
    return reproduce(run_id, store, root=project)


def test_a_run_of_a_changed_tree_with_a_module_unknown_to_git_comes_again_bit_for_bit(
        run_id: str, again, store: Store, project: Path) -> None:
    assert again.verdict == "bitwise"
    assert again.judged.compared == len([key for key in read(run_id, store).values if key[0][:5] != "time/"]) + 1
    assert again.judged.compared == 12  # loss of 3 splits, mae of 2, 3 epochs of two of them, and the weights
    one, other = store.get_run(run_id), store.get_run(again.rerun_id)
    assert other.tags["gatesweep.reproduces"] == run_id != again.rerun_id
    assert one.tags["gatesweep.reproduced_by"] == again.rerun_id
    assert one.tags["gatesweep.verdict"] == other.tags["gatesweep.verdict"] == "bitwise"
    assert one.tags["gatesweep.weights"] == other.tags["gatesweep.weights"]
    assert git(project, "status", "--porcelain").split() == ["M", "tiny_task.py", "??", "scales.py"], "left as it was"
    answer = again.as_dict()
    assert {"run_id", "rerun_id", "verdict", "compared", "first_difference", "environment_differences"} <= set(answer)
    assert answer["first_difference"] is None


def test_one_stored_value_altered_in_the_database_is_named_with_its_step(
        run_id: str, again, store: Store, project: Path) -> None:
    with closing(sqlite3.connect(str(store.file))) as base:
        was = base.execute("select value from metrics where run_uuid = ? and key = 'val/mae' and step = 2",
                           (run_id,)).fetchone()[0]  # fmt: skip
        _write(base, run_id, was * 1.001)
        try:
            found = _compared(read(run_id, store), store, again.rerun_id, store, None, 1e-5)
        finally:
            _write(base, run_id, was)
    assert found.verdict == "diverged"
    assert found.judged.different == 1
    first = found.as_dict()["first_difference"]
    assert (first["metric"], first["step"], first["is"]) == ("val/mae", 2, was)
    assert first["was"] == pytest.approx(was * 1.001)


def _write(base: sqlite3.Connection, run_id: str, value: float) -> None:
    base.execute("update metrics set value = ? where run_uuid = ? and key = 'val/mae' and step = 2", (value, run_id))
    base.commit()


def test_another_line_of_the_model_diverges_and_code_is_the_first_cause(
        run_id: str, again, store: Store, project: Path) -> None:
    module = project / "tiny_task.py"
    text = module.read_text()
    try:
        module.write_text(text.replace("nn.Linear(4, 1)", "nn.Linear(4, 1, bias=False)"))
        found = reproduce(run_id, store, How(epochs=2), root=project, here=True)
    finally:
        module.write_text(text)
    assert (found.verdict, found.epochs) == ("diverged", 2)
    assert found.judged.first is not None
    assert (found.judged.first.metric, found.judged.first.step) == ("train/loss", 1)
    assert store.get_run(found.rerun_id).status == "FINISHED"
    assert store.get_run(found.rerun_id).tags["gatesweep.verdict"] == "diverged"
    assert store.get_run(run_id).tags["gatesweep.reproduced_by"] != found.rerun_id, "another code says nothing of it"
    assert max(point.step for point in store.history(found.rerun_id, "val/loss")) == 2


def test_with_the_code_of_here_a_run_stands_where_it_stood(project: Path) -> None:
    stood = replace(read_tree(project), folder="below")
    with Sources(project, here=True) as sources:
        assert sources.of(stood, run="r") == (project, project), "a folder that is not there any more"
        (project / "below").mkdir()
        try:
            assert sources.of(stood, run="r") == (project, project / "below")
        finally:
            (project / "below").rmdir()


@pytest.mark.slow  # tests/cluster/test_reproduce.py has trials that were pruned
def test_a_training_that_was_ended_early_is_compared_as_far_as_it_came(project: Path, store: Store) -> None:
    short = gatesweep.run(project / "tiny.yaml", listener=Listener(callbacks=(StopAfter(2),))).run_id
    store.log_batch(short, tags={"gatesweep.outcome": "pruned"})
    found = reproduce(short, store, root=project)
    assert found.verdict == "bitwise"
    assert max(point.step for point in store.history(found.rerun_id, "val/loss")) == 2
    assert found.epochs is None


@pytest.mark.parametrize(("file", "old", "new", "message"), [
    ("lock.json", '"seeds": {\n  "seed": 4', '"seeds": {\n  "seed": 5', "was altered"),
    ("lock.json", "{", "", r"lock\.json: is no JSON from line 2 on"),
    ("lock.json", '"python"', '"pithon"', r"lock\.json: lacks 'python'"),
    ("config.yaml", "seed: 4", "seed: 5", "config.yaml: was altered"),
    ("diff.patch", "SCALE = 1.5", "SCALE = 1.6", "diff.patch: was altered"),
])
def test_altered_artifacts_are_refused_before_any_training(
        run_id: str, store: Store, project: Path, file: str, old: str, new: str, message: str) -> None:
    place = Path(store.artifact(run_id, file))
    text = place.read_text()
    assert old in text
    runs = len(store.search({}))
    try:
        place.write_text(text.replace(old, new, 1))
        with pytest.raises(UserError, match=message):
            reproduce(run_id, store, root=project)
    finally:
        place.write_text(text)
    assert len(store.search({})) == runs


def test_a_run_that_is_not_there_or_has_no_such_epochs_is_refused(run_id: str, store: Store, project: Path) -> None:
    with pytest.raises(NotFound, match="no run 'f00'"):
        reproduce("f00", store, root=project)
    with pytest.raises(UserError, match="recorded 3 epochs, and 4 are asked for"):
        reproduce(run_id, store, How(epochs=4), root=project)


@pytest.mark.parametrize(("how", "message"), [
    ({"epochs": 0}, "one epoch at least"),
    ({"tolerance": -1.0}, "-1 is no tolerance"),
    ({"tolerance": float("nan")}, "nan is no tolerance"),
    ({"overrides": ("optimizer.learning_rate=1",)}, r"has no 'optimizer.learning_rate'\n\nhint: .*optimizer\.lr"),
    ({"overrides": ("optimizer.lr",)}, "is not KEY=VALUE"),
    ({"python": "/no/python"}, "--python /no/python: does not start"),
    ({"python": "/bin/true"}, None),
    ({"python": "/bin/false"}, "--python /bin/false: is no Python that works: exit code 1"),
    ({"on": Path("no-cluster.yaml")}, "no-cluster"),
])
def test_what_is_asked_wrongly_is_refused_before_any_clone(
        run_id: str, store: Store, project: Path, monkeypatch: pytest.MonkeyPatch, how: dict[str, Any],
        message: str | None) -> None:
    class Cloned(Exception):
        pass

    def cloned(*args: object, **kwargs: object) -> None:
        raise Cloned

    monkeypatch.setattr(Sources, "of", cloned)
    with pytest.raises(UserError if message else Cloned, match=message):
        reproduce(run_id, store, How(**how), root=project)
    with pytest.raises(UserError, match="a list of KEY=VALUE"):
        gatesweep.reproduce(run_id, overrides="optimizer.lr=1")


def test_the_run_of_a_sweep_itself_is_sent_to_the_sweep(run_id: str, store: Store, project: Path) -> None:
    tags = {"gatesweep.kind": "sweep", "gatesweep.sweep_id": "tiny-20260101-aaaaaa"}
    parent = store.create_run(store.experiment("tiny"), "tiny", tags, 1)
    with pytest.raises(UserError, match="is the sweep tiny-20260101-aaaaaa, not a training"):
        reproduce(parent.run_id, store, root=project)


@pytest.mark.parametrize("tag", ["gatesweep.lock_sha256", "gatesweep.config_digest", "gatesweep.outcome"])
def test_a_run_that_lost_a_tag_proves_nothing(run_id: str, store: Store, project: Path, tag: str) -> None:
    with closing(sqlite3.connect(str(store.file))) as base:
        was = base.execute("select value from tags where run_uuid = ? and key = ?", (run_id, tag)).fetchone()[0]
        base.execute("delete from tags where run_uuid = ? and key = ?", (run_id, tag))
        base.commit()
        try:
            with pytest.raises(UserError, match=f"has lost its tag {tag}"):
                reproduce(run_id, store, root=project)
        finally:
            base.execute("insert into tags (key, value, run_uuid) values (?, ?, ?)", (tag, was, run_id))
            base.commit()


def test_what_a_rerun_makes_another_by_itself_is_not_told(again) -> None:
    assert not {"code.untracked", "data.path"} & {each.key for each in again.environment}


def test_a_set_that_was_pinned_and_never_committed_comes_out_of_the_cache(pinned: Path, tmp_path: Path) -> None:
    (pinned / "more.csv").write_text("when,load\n5,6\n")
    add(pinned / "more.csv", "more", pinned)
    name = "data/more/more.csv"
    read_then = LockedSet("more.csv", user_data(pinned / name).md5, name)
    (pinned / "more.csv").write_text("when,load\n7,8\n")
    add(pinned / "more.csv", "more", pinned, replace=True)
    check_out(read_tree(pinned), pinned, tmp_path / "tree", run="r")
    bring([read_then], tmp_path / "tree", pinned, run="r")
    assert (tmp_path / "tree" / name).read_text() == "when,load\n5,6\n"
    assert (pinned / name).read_text() == "when,load\n7,8\n"
    folder = LockedSet("more", user_data(pinned / "data" / "more").md5, "data/more")
    bring([folder], tmp_path / "tree2", pinned, run="r")
    assert user_data(tmp_path / "tree2" / "data" / "more").md5 == folder.md5


def test_a_run_that_lost_an_artifact_says_which(run_id: str, store: Store, project: Path) -> None:
    for name, said in (("lock.json", "has no lock.json"), ("diff.patch", "has no diff.patch, and its lock says")):
        place = Path(store.artifact(run_id, name))
        there = place.read_bytes()
        place.unlink()
        try:
            with pytest.raises(NotFound, match=said):
                reproduce(run_id, store, root=project)
        finally:
            place.write_bytes(there)


def test_a_commit_that_this_repository_does_not_have_is_named(project: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"needs commit c0ffee.*\n\nhint: git fetch https://host/repo"):
        check_out(Tree(commit="c0ffee" * 6 + "c0ff", remote="https://host/repo"), project, tmp_path / "a", run="run 1")
    head = git(project, "rev-parse", "HEAD").strip()
    with pytest.raises(UserError, match=r"run 1: diff\.patch: does not apply to commit"):
        check_out(Tree(commit=head, patch="--- a/gone.py\n+++ b/gone.py\n@@ -1 +1 @@\n-a\n+b\n"), project,
                  tmp_path / "patched", run="run 1")
    with pytest.raises(UserError, match="lies in no git repository"):
        check_out(Tree(commit="c0ffee"), tmp_path, tmp_path / "b", run="run 1")
    with pytest.raises(UserError, match=r"cannot be made again: it ran outside.*\n\nhint: --here"):
        check_out(Tree(), project, tmp_path / "c", run="run 1")
    assert [each.name for each in tmp_path.iterdir()] == ["patched"]


def test_the_clone_is_the_tree_and_stands_in_the_same_folder(project: Path, tmp_path: Path) -> None:
    (project / "deeper").mkdir()
    tree = read_tree(project / "deeper")
    folder = check_out(tree, project, tmp_path / "source", run="run 1")
    assert folder == tmp_path / "source" / "deeper"
    assert folder.is_dir()
    for name in ("tiny_task.py", "scales.py", "tiny.yaml"):
        assert (tmp_path / "source" / name).read_bytes() == (project / name).read_bytes()


def test_own_data_that_changed_since_is_refused(project: Path, store: Store, tmp_path: Path) -> None:
    file = tmp_path / "load.csv"
    text = "when,load\n" + "".join(f"2024-01-{1 + h // 24:02} {h % 24:02}:00:00,{h % 7}\n" for h in range(29 * 24))
    file.write_text(text)
    trained = gatesweep.run({
        "name": "load", "task": "forecasting", "model": {"hidden_size": 4},
        "data": {"path": str(file), "time": "when", "target": "load", "horizon": 3, "lookback": 6, "seasonal": [7]},
        "trainer": {"max_epochs": 1, "monitor": "val/mae"}}).run_id  # fmt: skip
    lock = json.loads(store.artifact(trained, "lock.json").read_text())
    assert lock["data"][0]["path"] == str(file)
    file.write_text(text.replace("05:00:00,5", "05:00:00,6", 1))
    with pytest.raises(DataError, match="was altered since the run read it"):
        reproduce(trained, store, root=project)
    file.unlink()
    with pytest.raises(DataError, match="is not there any more"):
        reproduce(trained, store, root=project)
    (tmp_path / "elsewhere").mkdir()
    moved = tmp_path / "elsewhere" / "load.csv"
    moved.write_text(text)
    found = reproduce(trained, store, How(overrides=(f"data.path={moved}",)), root=project)
    assert found.verdict == "bitwise"
    assert [each.key for each in found.environment if each.part == "config"] == ["data.path"]
    moved.write_text(text.replace("05:00:00,5", "05:00:00,6", 1))
    with pytest.raises(DataError, match="was altered since the run read it"):
        reproduce(trained, store, How(overrides=(f"data.path={moved}",)), root=project)


def test_a_tree_that_pins_other_data_than_the_run_read_is_refused_with_both_pins(tmp_path: Path) -> None:
    pin, other = f"{'a' * 32}.dir", f"{'b' * 32}.dir"
    (tmp_path / "data.dvc").write_text(f"outs:\n- md5: {pin}\n  path: data/load\n")
    bring([LockedSet("load", pin, "data/load")], tmp_path, tmp_path, run="r")
    with pytest.raises(DataError, match=f"load: the run read {other}, and the tree pins {pin}"):
        bring([LockedSet("load", other, "data/load")], tmp_path, tmp_path, run="r")


def test_a_file_of_ones_own_in_the_project_goes_into_the_tree_and_altered_it_is_refused(tmp_path: Path) -> None:
    root, top = tmp_path / "root", tmp_path / "top"
    for folder in (root / "own", top):
        folder.mkdir(parents=True)
    (root / "own" / "load.csv").write_text("when,load\n1,2\n")
    read_then = LockedSet("load.csv", user_data(root / "own" / "load.csv").md5, "own/load.csv")
    bring([read_then], top, root, run="r")
    assert (top / "own" / "load.csv").read_text() == "when,load\n1,2\n"
    (top / "own" / "load.csv").unlink()
    (root / "own" / "load.csv").write_text("when,load\n1,3\n")
    with pytest.raises(DataError, match="was altered since the run read it"):
        bring([read_then], top, root, run="r")
    assert not (top / "own" / "load.csv").exists()
    with pytest.raises(DataError, match="leads out of the project"):
        bring([replace(read_then, path="../root/own/load.csv")], top, root, run="r")


@pytest.fixture
def pinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository, under a name that is no ASCII, with a set of the user's own in DVC's cache."""
    root = tmp_path / "données" / "root"
    root.mkdir(parents=True)
    git(root, "init", "-q")
    (root / ".dvc").mkdir()
    (root / ".dvc" / "config").write_text("[core]\n    analytics = false\n")
    (root / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
    (root / "mine.csv").write_text("when,load\n1,2\n")
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    add(root / "mine.csv", "my-load", root)
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "pinned")
    return root


def test_a_set_of_ones_own_comes_from_dvc_by_its_pin_though_it_was_altered_here(pinned: Path, tmp_path: Path) -> None:
    name = "data/my-load/mine.csv"
    read_then = LockedSet("mine.csv", user_data(pinned / name).md5, name)
    (pinned / name).write_text("when,load\n1,3\n")
    top = tmp_path / "tree"
    check_out(read_tree(pinned), pinned, top, run="r")
    said: list[str] = []
    bring([read_then], top, pinned, run="r", say=said.append)
    assert (top / name).read_text() == "when,load\n1,2\n"
    assert len(said) == 1
    assert "(cache, md5" in said[0], "the clone has the cache of the repository"
    assert (pinned / name).read_text() == "when,load\n1,3\n"


def test_of_a_set_that_was_pinned_anew_a_run_gets_what_it_read_or_a_refusal(pinned: Path, tmp_path: Path) -> None:
    name = "data/my-load/mine.csv"
    (pinned / name).write_text("when,load\n1,4\n")  # read so by the run, and never pinned
    read_then = LockedSet("mine.csv", user_data(pinned / name).md5, name)
    check_out(read_tree(pinned), pinned, tmp_path / "tree", run="r")
    bring([read_then], tmp_path / "tree", pinned, run="r")
    assert (tmp_path / "tree" / name).read_text() == "when,load\n1,4\n"
    check_out(read_tree(pinned), pinned, tmp_path / "other", run="r")
    (pinned / name).write_text("when,load\n1,5\n")
    with pytest.raises(DataError, match="was altered since the run read it"):
        bring([read_then], tmp_path / "other", pinned, run="r")
