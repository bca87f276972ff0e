"""What travels to a cluster: the project as git sees it, no data, no caches, no secret; measured before it is sent."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from gatesweep.config.places import PIN_FILE
from gatesweep.errors import UserError
from gatesweep.launch import package
from gatesweep.track import git
from gatesweep.track.lineage import collect

from .conftest import run_git


def _names(contents: package.Contents) -> set[str]:
    return {entry.name for entry in contents.entries if not entry.name.startswith("platform/gatesweep/")}


def _litter(folder: Path) -> None:
    """What must stay here, and one file that must not."""
    for name in (".gatesweep/mlflow.db", ".venv/lib/x.py", "pkg/__pycache__/x.pyc", ".mypy_cache/x", ".ssh/id",
                 "data/traffic/x.csv", ".dvc/cache/files/md5/aa/bb", ".dvc/tmp/lock", "ignored.bin"):  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("litter")
    (folder / "new.py").write_text("untracked = True\n")


KEPT = {"exp.yaml", "sweep.yaml", "model.py", ".gitignore", "new.py"}


def test_with_git_tracked_and_untracked_files_go_and_ignored_ones_stay(project: Path, own_home: Path) -> None:
    _litter(project)
    (project / "model.py").write_text("forget = 2\n")
    run_git(project, "rm", "-q", "--cached", "exp.yaml")
    assert _names(package.measure(project, away=[own_home])) == KEPT


def test_without_git_everything_goes_but_data_caches_and_git_itself(project: Path, own_home: Path) -> None:
    _litter(project)
    (project / ".git" / "HEAD").unlink()  # no repository any more, and still never sent
    assert _names(package.measure(project, away=[own_home])) == {*KEPT, "ignored.bin"}


def test_a_deleted_file_that_git_still_tracks_is_not_looked_for(project: Path) -> None:
    (project / "model.py").unlink()
    assert "model.py" not in _names(package.measure(project))


def test_pinned_sets_stay_wherever_they_lie(project: Path) -> None:
    (project / PIN_FILE).write_text("outs:\n- md5: 0123456789abcdef0123456789abcdef.dir\n  path: sets/mine\n")
    (project / "sets" / "mine").mkdir(parents=True)
    (project / "sets" / "mine" / "x.csv").write_text("1")
    (project / "sets" / "readme.txt").write_text("1")
    names = _names(package.measure(project))
    assert (PIN_FILE in names, "sets/readme.txt" in names, "sets/mine/x.csv" in names) == (True, True, False)


def test_patterns_of_the_user_keep_files_here(project: Path) -> None:
    for name in ("notebooks/a.txt", "deep/notebooks/b.txt", "deep/w.pt", "kept.txt"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("x")
    assert _names(package.measure(project, exclude=["notebooks/", "*.pt"])) == (KEPT - {"new.py"}) | {"kept.txt"}


def test_files_that_hold_secrets_stay_here_and_are_named(project: Path) -> None:
    for name in (".env", "deploy.pem", "keys/aws"):
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text("s")
    run_git(project, "add", "-f", "keys/aws")
    contents = package.measure(project, private=[project / "keys" / "aws"])
    assert set(contents.left_out) == {".env", "deploy.pem", "keys/aws"}
    assert _names(contents) == KEPT - {"new.py"}


def test_a_package_over_the_limit_is_refused_with_its_largest_files_and_the_remedy(project: Path) -> None:
    (project / "weights.bin").write_bytes(b"\0" * 1_500_000)
    (project / "small.bin").write_bytes(b"\0" * 600_000)
    contents = package.measure(project)
    with pytest.raises(UserError) as refused:
        package.refuse_large(contents, 1)
    message = str(refused.value)
    assert message.index("1.50 MB  weights.bin") < message.index("0.60 MB  small.bin")
    assert "the limit is 1 MB" in message
    assert "exclude: [weights.bin]" in (refused.value.hint or "")
    package.refuse_large(contents, 5)


def test_a_project_that_is_not_gatesweep_itself_takes_the_running_gatesweep_along(project: Path, root: Path) -> None:
    sent = {entry.name for entry in package.measure(project).entries}
    source = root / "platform"
    own = {f"platform/{path.relative_to(source)}" for path in (source / "gatesweep").rglob("*.py")}
    assert own <= sent
    assert not any("__pycache__" in name for name in sent)


def test_the_archive_of_the_same_files_is_the_same_to_the_byte(project: Path, tmp_path: Path) -> None:
    contents = package.measure(project)
    first = package.pack(contents, {".submission/a": b"1"}, tmp_path / "1.zip", {})
    (project / "model.py").touch()
    second = package.pack(package.measure(project), {".submission/a": b"1"}, tmp_path / "2.zip", {})
    assert first.read_bytes() == second.read_bytes()


def test_a_file_that_holds_a_secret_stops_the_package(project: Path, tmp_path: Path) -> None:
    (project / "notes.txt").write_text("the key is hunter2-hunter2, do not tell\n")
    with pytest.raises(UserError, match=r"notes.txt: holds the secret that `KEY` refers to") as refused:
        package.pack(package.measure(project), {}, tmp_path / "x.zip", {"KEY": b"hunter2-hunter2"})
    assert "hunter2" not in str(refused.value)


def test_an_unpacked_package_knows_its_commit_and_its_difference_without_git(project: Path, tmp_path: Path) -> None:
    (project / "model.py").write_text("forget = 2\r\n")
    (project / "new.py").write_text("x = 1\n")
    lock = collect({"seed": 1}, root=project)
    assert lock.diff
    extra = {".submission/lock.json": lock.text().encode(), ".submission/diff.patch": lock.diff.encode()}
    archive = package.pack(package.measure(project), extra, tmp_path / "x.zip", {})
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(tmp_path / "there")
    assert git.read_tree(tmp_path / "there") == git.read_tree(project)
    assert collect({"seed": 1}, root=tmp_path / "there").as_dict()["code"] == json.loads(lock.text())["code"]
    assert (tmp_path / "there" / "jobs" / "sweep.py").is_file()
