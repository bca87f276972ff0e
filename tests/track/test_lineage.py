"""lock.json: everything that a run's numbers depend on, and no secret."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
import types
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import pytest

from gatesweep.config.digest import digest
from gatesweep.reproduce.differences import differences
from gatesweep.track import git
from gatesweep.track.dress import as_yaml, flatten
from gatesweep.track.git import read_tree
from gatesweep.track.inputs import data_md5
from gatesweep.track.lineage import collect, config_digest, read_lock

from .conftest import MD5, Data

CONFIG = {"name": "traffic", "task": "forecasting", "model": {"cell": "gru"}, "seed": 3}


def run_git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", "-C", str(folder), *identity, *words], check=True, capture_output=True, text=True)
    return done.stdout


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository with one commit."""
    folder = tmp_path / "tree"
    folder.mkdir()
    run_git(folder, "init", "-q")
    (folder / "cell.py").write_text("forget = 1\n")
    (folder / "weights.bin").write_bytes(bytes(range(256)))
    run_git(folder, "add", ".")
    run_git(folder, "commit", "-q", "-m", "first")
    return folder


def test_a_clean_tree_is_its_commit_and_has_no_patch(tree: Path) -> None:
    lock = collect(CONFIG, [Data()], root=tree)
    assert lock.commit == run_git(tree, "rev-parse", "HEAD").strip()
    assert (lock.tree.branch, lock.tree.dirty, lock.diff) == ("main", False, None)


def test_the_patch_of_a_dirty_tree_makes_the_same_tree_from_the_commit(tree: Path, tmp_path: Path) -> None:
    (tree / "cell.py").write_text("forget = 2\n")
    (tree / "weights.bin").write_bytes(bytes(reversed(range(256))))
    (tree / "new.py").write_text("x = 1\n")
    (tree / "photo.png").write_bytes(b"\x89PNG")
    (tree / "deeper").mkdir()
    (tree / "staged.py").write_text("y = 1\n")
    run_git(tree, "add", "staged.py")
    lock = collect(CONFIG, root=tree / "deeper")
    assert lock.tree.folder == "deeper"
    assert lock.tree.dirty
    assert lock.tree.untracked == ("new.py",), "source files that git does not know are named"
    run_git(tmp_path, "clone", "-q", str(tree), "again")
    (tmp_path / "diff.patch").write_text(str(lock.diff))
    run_git(tmp_path / "again", "apply", str(tmp_path / "diff.patch"))
    assert lock.as_dict()["code"]["captured"] == ["new.py"], "and what can be imported is in the patch"
    assert lock.tree.lost is None
    assert run_git(tree, "ls-files", "new.py") == "", "the index of whoever works here stays as it is"
    for name in ("cell.py", "weights.bin", "staged.py", "new.py"):
        assert (tmp_path / "again" / name).read_bytes() == (tree / name).read_bytes()


@pytest.mark.parametrize(("key", "value"), [("diff.noprefix", "true"), ("diff.relative", "true"),
                                            ("diff.mnemonicPrefix", "true")])  # fmt: skip
def test_the_users_settings_of_git_do_not_change_the_patch(tree: Path, tmp_path: Path, key: str, value: str) -> None:
    (tree / "cell.py").write_text("forget = 2\n")
    (tree / "below").mkdir()
    plain = git.read_tree(tree).patch
    run_git(tree, "config", key, value)
    assert git.read_tree(tree / "below").patch == plain
    assert plain is not None
    assert "+forget = 2" in plain


def test_a_changed_file_that_is_no_utf8_comes_again_byte_for_byte(tree: Path, tmp_path: Path) -> None:
    latin = "# Müller\nforget = 1\n".encode("latin-1")
    (tree / "cell.py").write_bytes(latin)
    patch = git.read_tree(tree).patch
    assert patch is not None
    run_git(tree.parent, "clone", "-q", str(tree), "again")
    (tmp_path / "patch").write_text(patch)
    run_git(tmp_path / "again", "apply", str(tmp_path / "patch"))
    assert (tmp_path / "again" / "cell.py").read_bytes() == latin


def test_an_imported_module_that_git_ignores_is_in_the_patch(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tree / ".gitignore").write_text("local/\n")
    (tree / "local" / "deeper").mkdir(parents=True)
    (tree / "local" / "deeper" / "own_cell.py").write_text("forget = 3\n")
    (tree / "local" / "unused.py").write_text("forget = 4\n")
    run_git(tree, "add", ".gitignore")
    run_git(tree, "commit", "-q", "-m", "ignored")
    assert read_tree(tree / "local").patch is None
    module = types.ModuleType("own_cell")
    module.__file__ = str(tree / "local" / "deeper" / "own_cell.py")
    monkeypatch.setitem(sys.modules, "own_cell", module)
    found = read_tree(tree / "local")
    assert found.captured == found.untracked == ("local/deeper/own_cell.py",)
    assert (found.lost, found.folder) == (None, "local")
    assert "+forget = 3" in str(found.patch)
    assert "unused" not in str(found.patch)


def test_a_module_from_outside_of_the_tree_is_known_by_its_hash(tree: Path, tmp_path: Path,
                                                                monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kmod.py").write_text("K = 5\n")
    module = types.ModuleType("kmod")
    module.__file__ = str(tmp_path / "kmod.py")
    monkeypatch.setitem(sys.modules, "kmod", module)
    lock = collect(CONFIG, root=tree)
    assert lock.as_dict()["code"]["outside"][str(tmp_path / "kmod.py")] == sha256(b"K = 5\n").hexdigest()
    kept = (str(Path(git.__file__).parents[1]), str(Path(pytest.__file__).parent), str(Path(json.__file__).parent))
    assert not any(path.startswith(kept) for path in lock.tree.outside), "neither platform, nor packages, nor Python"
    (tmp_path / "kmod.py").write_text("K = 7\n")
    found = differences(lock.as_dict(), collect(CONFIG, root=tree).as_dict())
    assert [each.key for each in found] == [f"code.outside.{tmp_path / 'kmod.py'}"]
    assert read_lock(lock.text())[0].tree == lock.tree


def test_a_renamed_file_is_a_change_and_its_old_name_no_status_line(tree: Path) -> None:
    run_git(tree, "mv", "cell.py", "? cells.py")
    found = git.read_tree(tree)
    assert found.dirty
    assert found.untracked == ()


def test_a_long_difference_is_cut_at_a_line_and_the_lock_says_so(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git, "PATCH_BYTES", 200)
    (tree / "cell.py").write_text("".join(f"line {i}\n" for i in range(1000)))
    lock = collect(CONFIG, root=tree)
    assert lock.diff is not None
    assert len(lock.diff) <= 200
    assert lock.diff.endswith("\n")
    assert lock.as_dict()["code"]["patch_cut"] is True


def test_modules_too_long_to_be_kept_are_left_out_whole_and_the_tree_is_said_to_be_lost(
        tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git, "PATCH_BYTES", 400)
    (tree / "cell.py").write_text("forget = 2\n")
    (tree / "big.py").write_text("x = 1\n" * 200)
    found = git.read_tree(tree)
    assert (found.captured, found.patch_cut) == ((), False)
    assert "forget = 2" in str(found.patch)
    assert "big.py" not in str(found.patch)
    assert str(found.lost) == "files that git does not know were too long to be kept: big.py"
    (tree / "cell.py").write_text("forget = 1\n")
    clean = git.read_tree(tree)
    assert (clean.patch, clean.dirty, clean.lost) == (None, False, found.lost)


def test_a_detached_head_has_a_commit_and_no_branch(tree: Path) -> None:
    run_git(tree, "checkout", "-q", "--detach")
    assert (git.read_tree(tree).branch, git.read_tree(tree).commit is None) == (None, False)


def test_no_repository_no_commit_and_no_git_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "not a git repository" in str(git.read_tree(tmp_path).why)
    run_git(tmp_path, "init", "-q")
    empty = git.read_tree(tmp_path)
    assert (empty.commit, empty.why) == (None, "the repository has no commit yet")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git.read_tree(tmp_path).why == "git is not installed"
    assert collect(CONFIG, root=tmp_path).as_dict()["code"]["why_not"] == "git is not installed"


def test_the_index_lock_of_somebody_at_work_is_not_in_the_way(tree: Path) -> None:
    (tree / ".git" / "index.lock").touch()
    assert git.read_tree(tree).commit


def test_no_secret_reaches_the_lock(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_git(tree, "remote", "add", "origin", "https://ann:hunter2@example.org/house.git?token=hunter2")
    for name in ("AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_PASSWORD", "WANDB_API_KEY"):
        monkeypatch.setenv(name, "hunter2")
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    text = collect(CONFIG, [Data()], root=tree).text()
    assert "hunter2" not in text
    assert json.loads(text)["code"]["remote"] == "https://example.org/house.git"
    assert json.loads(text)["environment"]["PYTHONHASHSEED"] == "7"


@pytest.mark.parametrize(("address", "plain"), [
    ("https://token@host/a.git", "https://host/a.git"), ("git@host:a/b.git", "git@host:a/b.git"),
    ("ssh://me:pw@host:22/a", "ssh://host:22/a"), ("/mnt/repo", "/mnt/repo")])
def test_a_remote_loses_its_credentials_alone(address: str, plain: str) -> None:
    assert git.without_credentials(address) == plain


def test_versions_are_those_that_are_installed(tree: Path) -> None:
    lock = collect(CONFIG, root=tree)
    for name in ("numpy", "mlflow", "pydantic", "PyYAML"):
        assert lock.packages[name.lower()] == version(name)
    assert lock.python.endswith(platform.python_version())


def test_torch_is_described_only_where_it_is_loaded(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, "torch", raising=False)
        assert collect(CONFIG, root=tree).torch is None
    import torch

    monkeypatch.setitem(sys.modules, "torch", torch)
    told = collect(CONFIG, root=tree).torch
    assert told is not None
    assert told["threads"] == torch.get_num_threads()
    assert told["deterministic"] == torch.are_deterministic_algorithms_enabled()


def test_the_digest_is_the_configurations_own_and_ignores_name_and_keep(tree: Path) -> None:
    lock = collect({**CONFIG, "keep": {"top": 3}}, root=tree)
    assert lock.config_digest == digest({key: CONFIG[key] for key in ("seed", "model", "task")})
    assert config_digest({**CONFIG, "seed": 4}) != lock.config_digest
    assert lock.with_config({**CONFIG, "seed": 4}, {"seed": 4}).config_digest == config_digest({**CONFIG, "seed": 4})


def test_data_pins_stand_as_in_data_dvc(tree: Path) -> None:
    (tree / "data.dvc").write_text("outs: []\n")
    pin = Data(path=str(tree / "data" / "traffic"))
    lock = collect(CONFIG, [pin], root=tree)
    assert lock.as_dict()["data"] == [{"name": "traffic", "path": "data/traffic", "md5": MD5}]
    assert data_md5([pin]) == MD5
    assert data_md5([pin, Data(name="energy", md5="e" * 32)]) == f"traffic={MD5} energy={'e' * 32}"
    assert data_md5([]) == ""


def test_collecting_is_quick(tree: Path) -> None:
    collect(CONFIG, root=tree)
    began = time.process_time() + sum(os.times()[2:4])
    collect(CONFIG, root=tree)
    assert time.process_time() + sum(os.times()[2:4]) - began < 0.2, "seconds of CPU, git's included"


def test_flat_names_and_yaml_say_what_the_configuration_says() -> None:
    import yaml

    config = {"model": {"cell": "gru", "heads": [1, 2]}, "lr": 1e-4, "note": "grün", "empty": {}}
    assert flatten(config) == {"model.cell": "gru", "model.heads": [1, 2], "lr": 1e-4, "note": "grün", "empty": {}}
    assert yaml.safe_load(as_yaml(config)) == {**config, "lr": 1e-4}
    assert list(yaml.safe_load(as_yaml(config))) == list(config)
