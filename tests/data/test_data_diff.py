"""What two revisions pin, told apart by git and DVC's own stores; the workspace stays as it is."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import call

from gatesweep.data import pins, store
from gatesweep.data.diff import diff, split_words
from gatesweep.errors import DataError

GIT = ("git", "-c", "user.name=T", "-c", "user.email=t@example.org")


def commit(world: Any, name: str) -> None:
    """Everything tracked, under a tag."""
    world.run("git", "add", "-A")
    world.run(*GIT, "commit", "-q", "-m", name)
    world.run("git", "tag", name)


def pin(world: Any, name: str, files: dict[str, str] | None) -> None:
    """A new version of a set: its files and its entry of data.dvc; None takes the entry away."""
    folder, place = world.root / "data" / name, world.root / "data.dvc"
    document = yaml.safe_load(place.read_text())
    document["outs"] = [out for out in document["outs"] if out["path"] != f"data/{name}"]
    shutil.rmtree(folder, ignore_errors=True)
    if files is not None:
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        md5s = pins.md5s_in(folder)
        document["outs"].append({"md5": pins.digest_of(md5s), "size": sum(map(len, files.values())),
                                 "nfiles": len(files), "hash": "md5", "path": f"data/{name}"})
    place.write_text(yaml.safe_dump(document, sort_keys=False))


@pytest.fixture
def two(world: Any) -> Any:
    """`old` and `new`: a set of the user's own in two versions, both in DVC's cache; one set went, one came."""
    for name, files in {"old": {"a.csv": "1\n", "b.csv": "2\n", "deep/c.csv": "3\n"},
                        "new": {"a.csv": "1\n", "b.csv": "two\n", "d.csv": "4\n"}}.items():
        pin(world, "mine", files)
        pin(world, *(("gone", {"x": "x"}) if name == "old" else ("came", {"y": "yy"})))
        if name == "new":
            pin(world, "gone", None)
        enter(world)
        commit(world, name)
    return world


def enter(world: Any) -> None:
    """What lies in data/ into DVC's cache, pin by pin."""
    for each in pins.read_pins(world.root).values():
        if each.path.is_dir():
            store.enter(world.root, each)


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def test_sets_and_files_that_came_went_and_changed_are_named_with_sizes_and_md5(two: Any) -> None:
    told = diff(two.root, "old", "new").as_dict()
    assert [each["name"] for each in told["added"]] == ["came"]
    assert [each["name"] for each in told["removed"]] == ["gone"]
    assert told["unchanged"] == ["days", "hours"]
    (mine,) = told["changed"]
    assert mine["files"] == {
        "added": [{"path": "d.csv", "old": None, "new": {"md5": md5("4\n"), "size_bytes": 2}}],
        "removed": [{"path": "deep/c.csv", "old": {"md5": md5("3\n"), "size_bytes": 2}, "new": None}],
        "changed": [{"path": "b.csv", "old": {"md5": md5("2\n"), "size_bytes": 2},
                     "new": {"md5": md5("two\n"), "size_bytes": 4}}]}
    assert told["old"]["commit"] == two.run("git", "rev-parse", "old").strip()


def test_it_agrees_with_dvc_diff(two: Any) -> None:
    theirs = json.loads(two.dvc("diff", "--json", "old", "new"))
    ours = diff(two.root, "old", "new").as_dict()
    assert {each["path"].strip("/") for each in theirs["added"] if each["path"].endswith("/")} == {"data/came"}
    assert {each["path"].strip("/") for each in theirs["deleted"] if each["path"].endswith("/")} == {"data/gone"}
    changed = {f"data/mine/{each['path']}" for each in ours["changed"][0]["files"]["changed"]}
    assert {each["path"] for each in theirs["modified"] if not each["path"].endswith("/")} == changed


def test_without_revisions_it_is_the_commit_against_the_working_tree(two: Any) -> None:
    assert diff(two.root).changes == ()
    pin(two, "came", None)
    assert [(each.name, each.new) for each in diff(two.root).changes] == [("came", None)]
    assert diff(two.root, "new", "new").changes == ()


def test_the_workspace_and_the_cache_stay_as_they_are(two: Any) -> None:
    shutil.rmtree(two.root / "data")
    cache = sorted((two.root / ".dvc" / "cache").rglob("*"))
    assert diff(two.root, "old", "new").changes[2].files
    assert not (two.root / "data").exists()
    assert sorted((two.root / ".dvc" / "cache").rglob("*")) == cache
    assert two.run("git", "status", "--porcelain") == ""


def test_listings_and_sizes_come_from_the_remote_where_the_cache_has_none(two: Any, tmp_path: Path) -> None:
    whole = diff(two.root, "old", "new").as_dict()
    two.dvc("remote", "add", "-q", "--local", "-d", "shelf", str(tmp_path / "shelf"))
    shutil.copytree(two.root / ".dvc" / "cache" / "files", tmp_path / "shelf" / "files")
    shutil.rmtree(two.root / ".dvc" / "cache")
    shutil.rmtree(two.root / "data")
    assert diff(two.root, "old", "new").as_dict() == whole
    assert not (two.root / "data").exists()


@pytest.mark.services
def test_a_remote_on_s3_gives_listings_and_sizes_too(two: Any, s3: str) -> None:
    whole = diff(two.root, "old", "new").as_dict()
    two.dvc("remote", "add", "-q", "--local", "-d", "shelf", s3)
    for name in ("old", "new"):
        two.run("git", "checkout", "-q", name)
        two.dvc("checkout", "-q", "--force", "data/mine")
        two.dvc("push", "-q", "data/mine")
    shutil.rmtree(two.root / ".dvc" / "cache")
    assert diff(two.root, "old", "new").as_dict() == whole


def test_a_listing_that_is_nowhere_is_said_with_its_pin_and_the_remote(two: Any, tmp_path: Path, capsys: Any,
                                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    two.dvc("remote", "add", "-q", "--local", "-d", "shelf", str(tmp_path / "shelf"))
    shutil.rmtree(two.root / ".dvc" / "cache")
    (mine,) = diff(two.root, "old", "new", ["mine"]).changes
    pinned = yaml.safe_load(two.run("git", "show", "old:data.dvc"))["outs"]
    old = next(out["md5"] for out in pinned if out["path"] == "data/mine")
    assert mine.why is not None
    assert old in mine.why
    assert f"the DVC remote 'shelf', {tmp_path / 'shelf'}" in mine.why
    code, out, _ = call(capsys, monkeypatch, "data", "diff", "old", "new", "mine")
    assert code == 0
    assert "its files cannot be compared" in out
    code, out, _ = call(capsys, monkeypatch, "data", "diff", "old", "new", "mine", "--json")
    assert json.loads(out)["changed"][0]["files"] is None


def test_a_damaged_listing_is_not_believed(two: Any) -> None:
    listing = next(each for each in (two.root / ".dvc" / "cache").rglob("*.dir")
                   if each.parent.name + each.name == diff(two.root, "old", "new", ["mine"]).changes[0].old.md5)
    listing.chmod(0o644)
    listing.write_text(listing.read_text().replace("a.csv", "A.csv"))
    said: list[str] = []
    assert diff(two.root, "old", "new", ["mine"], say=said.append).changes[0].why
    assert any("not believed" in line for line in said)


def test_words_are_told_apart_into_revisions_and_sets(two: Any) -> None:
    for words, parts in {
        "": ("HEAD", None, []), "old": ("old", None, []), "old new": ("old", "new", []),
        "mine": ("HEAD", None, ["mine"]), "old mine": ("old", None, ["mine"]),
        "old gone": ("old", None, ["gone"]), "old new mine hours": ("old", "new", ["mine", "hours"]),
    }.items():
        assert split_words(words.split(), two.root) == parts, words


@pytest.mark.parametrize(("words", "said"), [
    (["nonsense"], "no revision 'nonsense'"), (["old", "0" * 40], f"no revision '{'0' * 40}'"),
    (["--", "--all"], "no revision '--all'"), (["old", "new", "hourz"], "pins a set 'hourz'"),
])
def test_a_bad_revision_or_set_is_one_message_and_exit_code_2(two: Any, capsys: Any, monkeypatch: pytest.MonkeyPatch,
                                                              words: list[str], said: str) -> None:
    code, out, err = call(capsys, monkeypatch, "data", "diff", *words)
    assert (code, out) == (2, "")
    assert said in err
    assert "hint:" in err


def test_before_there_was_a_data_dvc_nothing_was_pinned(world: Any) -> None:
    (world.root / "data.dvc").rename(world.root / "kept")
    world.run("git", "add", "-A")
    world.run(*GIT, "commit", "-q", "-m", "none")
    (world.root / "kept").rename(world.root / "data.dvc")
    assert [(each.name, each.old) for each in diff(world.root).changes] == [("days", None), ("hours", None)]


def test_outside_git_or_without_data_dvc_it_is_said(world: Any, tmp_path: Path) -> None:
    shutil.rmtree(world.root / ".git")
    with pytest.raises(DataError, match="no repository of git"):
        diff(world.root)
    with pytest.raises(DataError, match=r"no data\.dvc here"):
        diff(None)
