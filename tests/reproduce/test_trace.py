"""Back from a run, a model or a checkpoint to its code and data; forward from a file of data to its runs."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from command_line import call, write_project

from gatesweep import api
from gatesweep.data import pins
from gatesweep.data import store as dvc
from gatesweep.data.dataset import Dataset
from gatesweep.errors import NotFound
from gatesweep.reproduce.compare import compare
from gatesweep.reproduce.trace import is_checkpoint, trace
from gatesweep.reproduce.trace_data import DataTrace
from gatesweep.reproduce.trace_run import RunTrace
from gatesweep.track.addresses import KIND, SWEEP_ID, TRIAL_ID
from gatesweep.track.lineage import collect
from gatesweep.track.recorder import start_run
from gatesweep.track.store import Store, open_store

OLD, NEW = {"a.csv": "1\n", "b.csv": "2\n"}, {"a.csv": "1\n", "b.csv": "two\n"}


@dataclass
class World:
    """A repository of git and DVC with two versions of the set `mine`, runs on both, and one trained model."""

    root: Path
    store: Store
    old: str
    """Commits."""
    new: str
    runs: dict[str, str]
    trained: str
    """A run on the user's own `load.csv`, started from a dirty tree."""

    def trace(self, what: str | Path) -> Any:
        return trace(str(what), self.store, root=self.root)

    def pin_at(self, commit: str) -> str:
        text = _run(self.root, "git", "show", f"{commit}:data.dvc")
        return str(yaml.safe_load(text)["outs"][0]["md5"])


def _run(root: Path, *words: str) -> str:
    return subprocess.run(words, cwd=root, capture_output=True, text=True, check=True).stdout.strip()


def _commit(root: Path, files: dict[str, str]) -> str:
    shutil.rmtree(root / "data", ignore_errors=True)
    (root / "data" / "mine").mkdir(parents=True)
    for name, text in files.items():
        (root / "data" / "mine" / name).write_text(text)
    md5 = pins.digest_of(pins.md5s_in(root / "data" / "mine"))
    out = {"md5": md5, "size": sum(map(len, files.values())), "nfiles": len(files), "hash": "md5", "path": "data/mine"}
    (root / "data.dvc").write_text(yaml.safe_dump({"outs": [out]}, sort_keys=False))
    dvc.enter(root, pins.read_pins(root)["mine"])
    _run(root, "git", "add", "-A")
    _run(root, "git", "commit", "-q", "-m", md5)
    return _run(root, "git", "rev-parse", "HEAD")


def _record(store: Store, root: Path, name: str, **tags: str) -> str:
    pin = pins.read_pins(root)["mine"]
    data = [Dataset("mine", pin.path, pin.md5, 0, ())]
    lock = collect({"task": "toy", "seed": 1}, data, root=root)
    return start_run(store, name=name, config=lock.config, lock=lock, datasets=data, tags=tags)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Any:
    base = tmp_path_factory.mktemp("trace")
    root = base / "repo"
    with pytest.MonkeyPatch.context() as patched:
        for name, value in {"GATESWEEP_HOME": str(base / "home"), "DVC_GLOBAL_CONFIG_DIR": str(base / "dvc"),
                            "DVC_SITE_CACHE_DIR": str(base / "site"), "GIT_AUTHOR_NAME": "T",
                            "GIT_AUTHOR_EMAIL": "t@example.org", "GIT_COMMITTER_NAME": "T",
                            "GIT_COMMITTER_EMAIL": "t@example.org"}.items():
            patched.setenv(name, value)
        (root / ".dvc").mkdir(parents=True)
        (root / ".dvc" / "config").write_text("[core]\n    analytics = false\n")
        (root / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
        (root / ".gitignore").write_text("/data/\n")
        write_project(root)
        _run(root, "git", "init", "-q")
        patched.chdir(root)
        store, runs = open_store(base / "home"), {}
        old = _commit(root, OLD)
        runs["old"] = _record(store, root, "old")
        new = _commit(root, NEW)
        sweep = {SWEEP_ID: "mine-20260101-abcdef"}
        runs["sweep"] = _record(store, root, "mine", **{KIND: "sweep", **sweep})
        runs["trial"] = _record(store, root, "mine", **{KIND: "trial", **sweep, "mlflow.parentRunId": runs["sweep"],
                                                        TRIAL_ID: "mine-20260101-abcdef/t0001"})
        (root / "exp.yaml").write_text((root / "exp.yaml").read_text() + "# changed\n")
        hours = np.arange(20 * 24)
        pd.DataFrame({"when": pd.date_range("2024-01-01", periods=len(hours), freq="h"),
                      "load": np.sin(hours / 4).round(3) + 2}).to_csv(base / "load.csv", index=False)
        trained = api.run({
            "name": "load", "task": "forecasting", "model": {"hidden_size": 4}, "trainer": {"max_epochs": 1},
            "data": {"path": str(base / "load.csv"), "time": "when", "target": "load", "horizon": 4, "lookback": 12,
                     "stride": 8}})
        yield World(root, store, old, new, runs, trained.run_id)


@pytest.fixture(autouse=True)
def _here(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(world.root)
    monkeypatch.setenv("GATESWEEP_HOME", str(world.store.home))


def checkpoint_of(world: World) -> Path:
    return world.store.artifact(world.trained, "checkpoints/e0001")


# Backward.


def test_a_run_leads_to_its_sweep_its_commit_and_its_data(world: World) -> None:
    found = world.trace("mine-20260101-abcdef/t0001")
    assert isinstance(found, RunTrace)
    assert (found.run_id, found.sweep_id, found.parent_run_id) == (
        world.runs["trial"], "mine-20260101-abcdef", world.runs["sweep"])
    assert (found.code.commit, found.code.dirty, found.code.here) == (world.new, False, True)
    assert [(each.name, each.md5, each.state) for each in found.data] == [("mine", world.pin_at(world.new), "pinned")]
    assert found.commands == (f"git checkout {world.new}", "gatesweep data pull mine",
                              f"gatesweep reproduce {world.runs['trial']}")


def test_a_run_on_an_older_pin_says_that_another_version_is_pinned_now(world: World) -> None:
    (used,) = world.trace(world.runs["old"]).data
    assert (used.md5, used.set, used.state) == (world.pin_at(world.old), "mine", "other")


def test_a_sweep_leads_to_its_own_run_and_is_reproduced_as_a_whole(world: World) -> None:
    found = world.trace("mine-20260101-abcdef")
    assert (found.kind, found.run_id, found.trial_id) == ("sweep", world.runs["sweep"], None)
    assert found.commands[-1] == "gatesweep reproduce mine-20260101-abcdef"


@pytest.mark.parametrize(("file", "text", "state"), [("b.csv", NEW["b.csv"], "pinned"), ("b.csv", "other", "other"),
                                                     ("gone.csv", "gone", "absent")])
def test_a_file_within_a_set_that_was_read_by_its_path_is_pulled_with_the_set(world: World, tmp_path: Path, file: str,
                                                                              text: str, state: str) -> None:
    (tmp_path / file).write_text(text)
    data = [Dataset(file, world.root / "data" / "mine" / file, pins.md5_of(tmp_path / file), 0, (file,), own=True)]
    lock = collect({"task": "toy", "seed": 1}, data, root=world.root)
    run_id = start_run(world.store, name="by-path", config=lock.config, lock=lock, datasets=data)
    found = world.trace(run_id)
    assert [(each.set, each.path, each.state) for each in found.data] == [("mine", f"data/mine/{file}", state)]
    assert "gatesweep data pull mine" in found.commands
    if state == "pinned":
        assert run_id in {each.run_id for each in world.trace("data/mine/b.csv").runs}
    world.store.delete_run(run_id)


def test_its_commands_bring_back_the_very_bytes(world: World, tmp_path: Path) -> None:
    _run(world.root, "git", "clone", "-q", ".", str(tmp_path / "clone"))
    clone = tmp_path / "clone"
    checkout, _, _ = world.trace(world.runs["old"]).commands
    _run(clone, *checkout.split())
    assert pins.read_pins(clone)["mine"].md5 == world.pin_at(world.old)


def test_a_dirty_tree_is_told_with_a_patch_that_applies(world: World, tmp_path: Path) -> None:
    found = world.trace(world.trained)
    assert found.code.dirty is True
    assert found.code.patch
    _run(world.root, "git", "clone", "-q", ".", str(tmp_path / "clone"))
    for command in found.commands[:2]:
        _run(tmp_path / "clone", *command.split())
    assert (tmp_path / "clone" / "exp.yaml").read_text().endswith("# changed\n")


@pytest.mark.parametrize("as_folder", [True, False])
def test_a_checkpoint_leads_to_its_run_wherever_it_was_copied_and_whatever_it_is_called(
        world: World, tmp_path: Path, as_folder: bool) -> None:
    copied = tmp_path / "anything"
    if as_folder:
        shutil.copytree(checkpoint_of(world), copied)
    else:
        shutil.copy(checkpoint_of(world) / "state.ckpt", copied)
    found = world.trace(copied)
    assert (found.kind, found.run_id, found.code.commit) == ("checkpoint", world.trained, world.new)


def test_the_digest_in_kept_json_is_enough(world: World, tmp_path: Path) -> None:
    """As of a store on a server, whose runs' artifacts cannot be listed as files."""
    from gatesweep.reproduce import trace_checkpoint

    copied = tmp_path / "copied"
    copied.write_bytes(b"weights")
    digest = trace_checkpoint.sha256_of(copied)
    run_id = _record(world.store, world.root, "elsewhere")
    world.store.write_text(run_id, "checkpoints/kept.json", json.dumps({"best": "e0001", "sha256": digest}))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(trace_checkpoint, "_folder", lambda run: None)
        assert trace_checkpoint.run_of_checkpoint(copied, world.store).run_id == run_id
        patched.setattr(trace_checkpoint, "RUNS", 0)
        with pytest.raises(NotFound, match="the newest 0 runs"):
            trace_checkpoint.run_of_checkpoint(copied, world.store)
    world.store.delete_run(run_id)


def test_a_checkpoint_of_a_run_that_is_not_over_is_found_in_the_home_folder(world: World, tmp_path: Path) -> None:
    run_id = _record(world.store, world.root, "going-on")
    folder = world.store.home / "runs" / run_id / "checkpoints" / "e0002"
    shutil.copytree(checkpoint_of(world), folder)
    mark = json.loads((folder / "COMMIT").read_text())
    (folder / "COMMIT").write_text(json.dumps({**mark, "sha256": "0" * 64}))
    assert world.trace(folder).run_id == world.trained  # another one's bytes
    with (folder / "state.ckpt").open("ab") as state:
        state.write(b"\0")
    from gatesweep.reproduce.trace_checkpoint import sha256_of

    (folder / "COMMIT").write_text(json.dumps({**mark, "sha256": sha256_of(folder / "state.ckpt")}))
    assert world.trace(folder).run_id == run_id
    shutil.rmtree(world.store.home / "runs")
    world.store.delete_run(run_id)


def test_a_registered_model_leads_to_its_run_by_version_alias_and_latest(world: World) -> None:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=world.store.uri)
    client.create_registered_model("load")
    for run_id in (world.runs["old"], world.trained):
        client.create_model_version("load", str(checkpoint_of(world)), run_id=run_id)
    client.set_registered_model_alias("load", "best", "1")
    found = {address: world.trace(f"models:/load{address}").run_id for address in ("/1", "/2", "@best", "/latest")}
    assert found == {"/1": world.runs["old"], "/2": world.trained, "@best": world.runs["old"], "/latest": world.trained}
    for wrong in ("models:/load/9", "models:/none/1", "models:/load@none", "models:/m-0123", "models:/a/b/c"):
        with pytest.raises(NotFound):
            world.trace(wrong)


# Forward.


def test_a_file_of_a_set_leads_to_every_pin_that_holds_it_and_every_run_that_read_it(world: World,
                                                                                     tmp_path: Path) -> None:
    (tmp_path / "copied.csv").write_text("1\n")  # a.csv, the same in both versions
    found = world.trace(tmp_path / "copied.csv")
    assert isinstance(found, DataTrace)
    assert [(each.set, each.md5, each.files, each.now) for each in found.sets] == [
        ("mine", world.pin_at(world.new), ("a.csv",), True), ("mine", world.pin_at(world.old), ("a.csv",), False)]
    assert [each.commits for each in found.sets] == [(world.new,), (world.old,)]
    assert {each.run_id for each in found.runs} == set(world.runs.values())


def test_a_file_that_only_an_older_version_held_leads_to_the_runs_of_that_version_alone(world: World,
                                                                                        tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text(OLD["b.csv"])
    found = world.trace(tmp_path / "b.csv")
    assert [each.run_id for each in found.runs] == [world.runs["old"]]
    assert [each.files for each in found.sets] == [("b.csv",)]


@pytest.mark.parametrize("there", [True, False])
def test_a_set_and_its_files_are_traced_by_their_place_also_where_they_were_not_pulled(world: World,
                                                                                       there: bool) -> None:
    folder, away = world.root / "data" / "mine", world.root / "data" / "away"
    if not there:
        folder.rename(away)
    try:
        newer = {run_id for name, run_id in world.runs.items() if name != "old"}
        assert {each.run_id for each in world.trace("data/mine").runs} == newer
        found = world.trace("data/mine/b.csv")
        assert ({each.run_id for each in found.runs}, found.size_bytes) == (newer, 4)
        if not there:
            with pytest.raises(NotFound, match=r"does not tell of it: it holds a\.csv, b\.csv"):
                world.trace("data/mine/c.csv")
    finally:
        if not there:
            away.rename(folder)


def test_a_file_of_the_users_own_is_found_by_its_content(world: World, tmp_path: Path) -> None:
    data = world.trace(world.trained).data[0]
    shutil.copy(data.path, tmp_path / "other-name.csv")
    found = world.trace(tmp_path / "other-name.csv")
    assert ([each.run_id for each in found.runs], found.sets) == ([world.trained], ())


def test_a_pin_whose_listing_is_nowhere_is_named(world: World, tmp_path: Path) -> None:
    cache, gone = world.root / ".dvc" / "cache", world.root / ".dvc" / "gone"
    cache.rename(gone)
    try:
        (tmp_path / "a.csv").write_text("1\n")
        with pytest.raises(NotFound) as error:
            world.trace(tmp_path / "a.csv")
        for pin in (world.pin_at(world.old), world.pin_at(world.new)):
            assert f"mine {pin}" in str(error.value)
        assert "no DVC remote is set" in str(error.value)
    finally:
        gone.rename(cache)


# The command.


def test_the_tree_shows_the_way_back_with_its_commands(world: World, capsys: Any,
                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")  # no line is cut
    code, out, _ = call(capsys, monkeypatch, "trace", "mine-20260101-abcdef/t0001")
    assert code == 0
    for line in (f"run {world.runs['trial']}", "sweep mine-20260101-abcdef", f"commit {world.new}", "a clean tree",
                 f"git checkout {world.new}", "gatesweep data pull mine", f"gatesweep reproduce {world.runs['trial']}"):
        assert line in out


def test_the_tree_of_data_lists_trials_below_their_sweep(world: World, capsys: Any,
                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, _ = call(capsys, monkeypatch, "trace", "data/mine/b.csv")
    assert code == 0
    lines = [line.strip(" │├└─") for line in out.splitlines()]
    assert lines[1].startswith(f"set mine as b.csv, pin {world.pin_at(world.new)}, pinned now, at {world.new[:10]}")
    assert lines[2].startswith("sweep mine-20260101-abcdef")
    assert lines[3].startswith(f"run {world.runs['trial']}, mine-20260101-abcdef/t0001")
    assert len(lines) == 4


@pytest.mark.parametrize("what", ["run", "file"])
def test_json_is_one_object_equal_to_the_python_interface(world: World, capsys: Any, monkeypatch: pytest.MonkeyPatch,
                                                          what: str) -> None:
    given = world.trained if what == "run" else "data/mine/a.csv"
    code, out, _ = call(capsys, monkeypatch, "trace", given, "--json")
    assert code == 0
    assert json.loads(out) == json.loads(json.dumps(api.trace(given).as_dict()))


@pytest.mark.parametrize(("what", "said"), [
    ("0" * 32, f"no run '{'0' * 32}'"), ("mine-20260101-abcdef/t0009", "no trial 'mine-20260101-abcdef/t0009'"),
    ("best:none-20260101-abcdef", "no sweep 'none-20260101-abcdef'"), ("no/such.csv", "no such file, and no run"),
    ("models:/none/3", "no model 'models:/none/3'"), ("exp.yaml", "is in no set of data.dvc"), ("", "'' is no name"),
])
def test_what_is_unknown_is_one_message_with_what_was_looked_at(world: World, capsys: Any, what: str, said: str,
                                                                monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, err = call(capsys, monkeypatch, "trace", what)
    assert (code, out) == (2, "")
    assert said in err
    assert "hint:" in err


def test_a_checkpoint_of_another_store_says_how_many_runs_were_asked(world: World, tmp_path: Path) -> None:
    shutil.copy(checkpoint_of(world) / "state.ckpt", tmp_path / "state.ckpt")
    with pytest.raises(NotFound, match="is not among the checkpoints of 0 runs"):
        trace(str(tmp_path / "state.ckpt"), open_store(tmp_path / "other"), root=world.root)


def test_a_checkpoint_is_known_by_its_content_and_not_by_its_name(world: World, tmp_path: Path) -> None:
    (tmp_path / "state.ckpt").write_text("text")
    np.savez(tmp_path / "arrays.npz", a=np.zeros(3))
    shutil.copy(checkpoint_of(world) / "state.ckpt", tmp_path / "weights.npz")
    whole = (tmp_path / "weights.npz").read_bytes()
    (tmp_path / "damaged").write_bytes(whole[:100] + whole[-100:])
    assert [is_checkpoint(tmp_path / name) for name in ("weights.npz", "state.ckpt", "arrays.npz", "damaged")] == [
        True, False, False, False]
    assert [is_checkpoint(folder) for folder in (checkpoint_of(world), world.root)] == [True, False]


@pytest.mark.parametrize("text", [b"\xff\xfe{", b"{", b"[]", b'{"code": 3, "config": {}, "data": []}',
                                  b'{"code": {}, "config": {}, "data": 5}', b'{"code": {}, "data": []}'])
def test_of_a_run_whose_lock_is_none_the_tags_alone_speak(world: World, text: bytes) -> None:
    place = Path(world.store.artifact(world.runs["old"], "lock.json"))
    was = place.read_bytes()
    try:
        place.write_bytes(text)
        found = world.trace(world.runs["old"])
        noted = compare([world.runs["old"], world.runs["trial"]], world.store).notes
    finally:
        place.write_bytes(was)
    assert (found.locked, found.code.commit, found.data[0].md5) == (False, world.old, world.pin_at(world.old))
    assert not any("reproduce" in command for command in found.commands)
    assert any(f"run {world.runs['old'][:8]} has a lock.json that is damaged" in note for note in noted)
    assert world.trace(world.runs["old"]).locked


def test_of_an_altered_lock_or_patch_nothing_is_offered_as_the_runs_own(world: World) -> None:
    lock, patch = (Path(world.store.artifact(world.trained, name)) for name in ("lock.json", "diff.patch"))
    for place, said in ((lock, "has a lock.json that was altered"), (patch, "has a diff.patch that was altered")):
        was = place.read_bytes()
        try:
            place.write_bytes(was.replace(b"changed", b"chanced") if place is patch else was + b" ")
            found = world.trace(world.trained)
        finally:
            place.write_bytes(was)
        assert str(found.why_not).startswith(said)
        assert not any(word in command for word in ("reproduce", "apply") for command in found.commands)
    assert world.trace(world.trained).why_not is None


def test_a_name_that_no_file_could_have_is_no_run(world: World) -> None:
    with pytest.raises(NotFound, match="no run"):
        world.trace("a" * 5000)
