"""`data add`: the user's own data checked, pinned and pushed, all of it or nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import call

from gatesweep.data import own, pins, store
from gatesweep.data.adding import add
from gatesweep.data.fetch import pull, user_data, user_file
from gatesweep.errors import DataError

TABLE = "time,load\n2024-01-01,1\n2024-01-02,2\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    file = tmp_path / "load.csv"
    file.write_text(TABLE)
    return file


@pytest.fixture
def shelf(world: Any, tmp_path: Path) -> Path:
    """A remote."""
    world.dvc("remote", "add", "-q", "-d", "shelf", str(tmp_path / "shelf"))
    return tmp_path / "shelf"


def state(world: Any) -> tuple[bytes, set[str], str]:
    """What must not change when something fails."""
    data = world.root / "data"
    return ((world.root / "data.dvc").read_bytes(), {str(path) for path in data.rglob("*")} if data.exists() else set(),
            world.run("git", "status", "--porcelain"))


def test_a_file_is_pinned_as_dvc_would_pin_it_and_pushed(world: Any, table: Path, shelf: Path, capsys: Any,
                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    before = yaml.safe_load((world.root / "data.dvc").read_text())["outs"]
    code, out, _ = call(capsys, monkeypatch, "data", "add", str(table), "--name", "my-load", "--json")
    assert code == 0
    told = json.loads(out)
    assert (told["name"], told["files"], told["remote"], told["was"]) == ("my-load", ["load.csv"], "shelf", None)
    outs = yaml.safe_load((world.root / "data.dvc").read_text())["outs"]
    assert outs[:-1] == before
    shutil.copytree(world.root / "data" / "my-load", world.root / "theirs")
    world.dvc("add", "-q", "theirs")
    theirs = yaml.safe_load((world.root / "theirs.dvc").read_text())["outs"][0]
    assert outs[-1] == {**theirs, "path": "data/my-load"}
    assert "my-load" not in world.dvc("status", "data.dvc")
    assert (shelf / "files" / "md5" / told["md5"][:2] / told["md5"][2:]).is_file()
    assert world.run("git", "check-ignore", "data/my-load/load.csv")


def test_another_clone_has_it_as_soon_as_it_is_asked_for(world: Any, table: Path, shelf: Path) -> None:
    md5 = add(table, "my-load", world.root).md5
    for gone in ("data", ".dvc/cache"):
        shutil.rmtree(world.root / gone)
    with pytest.raises(DataError, match="no such file") as error:
        own.user_file("data/my-load/load.csv")
    assert error.value.hint == "gatesweep data pull my-load brings it"
    said: list[str] = []
    assert user_file("data/my-load/load.csv", say=said.append).path.read_text() == TABLE
    assert any("(remote, md5" in line for line in said)
    assert (pull("my-load").md5, pull("my-load").road) == (md5, "present")


def test_altered_bytes_of_a_pinned_set_are_refused_by_path_and_by_name(world: Any, table: Path, capsys: Any,
                                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    add(table, "my-load", world.root)
    inside = world.root / "data" / "my-load" / "load.csv"
    inside.write_text(TABLE.replace("2\n", "3\n"))
    for asked in (inside, Path("data/my-load/load.csv"), inside.parent):
        with pytest.raises(DataError, match=r"load\.csv: altered: was md5 .*, is ") as error:
            user_data(asked)
        assert str(error.value.hint).startswith("gatesweep data pull my-load --force restores it; gatesweep data add ")
    code, out, err = call(capsys, monkeypatch, "data", "verify", "my-load", "--json")
    assert (code, json.loads(out)["sets"][0]["state"]) == (2, "altered")
    assert "load.csv: altered" in err
    assert add(inside, "my-load", world.root, replace=True).files == ("load.csv",)
    assert user_data(inside).path == inside
    code, out, _ = call(capsys, monkeypatch, "data", "list", "--json")
    told = json.loads(out)["sets"][-1]
    assert (told["name"], told["kind"], told["state"], told["rows"]) == ("my-load", "own", "verified", None)
    assert "my-load" in call(capsys, monkeypatch, "data", "list")[1]


def test_a_set_pinned_anew_since_the_commit_is_told_by_path_too(world: Any, table: Path) -> None:
    add(table, "my-load", world.root)
    world.run("git", "add", "-A")
    world.run("git", "-c", "user.name=T", "-c", "user.email=t@example.org", "commit", "-q", "-m", "mine")
    said: list[str] = []
    user_file("data/my-load/load.csv", say=said.append)
    assert said == []
    table.write_text(TABLE + "2024-01-03,3\n")
    add(table, "my-load", world.root, replace=True)
    user_file("data/my-load/load.csv", say=said.append)
    assert len(said) == 1
    assert "pins my-load anew since the last commit" in said[0]


def test_what_the_remote_has_lost_is_named_with_the_remote(world: Any, tmp_path: Path, shelf: Path, capsys: Any,
                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / "two" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "two" / name).write_text(TABLE + name[:1] + ",1\n")
    done = add(tmp_path / "two", "two", world.root)
    for gone in ("data", ".dvc/cache"):
        shutil.rmtree(world.root / gone)
    lost = pins.md5_of(tmp_path / "two" / "b.csv")
    (shelf / "files" / "md5" / lost[:2] / lost[2:]).unlink()
    code, _, err = call(capsys, monkeypatch, "data", "pull", "two")
    assert code == 2
    assert f"{done.md5} is not to be had: b.csv is not in DVC's cache and the DVC remote 'shelf', {shelf}" in err
    shutil.rmtree(shelf / "files")
    shutil.rmtree(world.root / ".dvc" / "cache")
    code, _, err = call(capsys, monkeypatch, "data", "pull", "two")
    assert code == 2
    assert f"its listing {done.md5} is not in DVC's cache" in err
    assert not (world.root / "data" / "two").exists()


def test_a_folder_is_pinned_with_all_its_files(world: Any, tmp_path: Path) -> None:
    for name in ("texts/train.txt", "texts/deep/.hidden"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    done = add(tmp_path / "texts", "texts", world.root)
    assert (done.files, done.remote) == (("deep/.hidden", "train.txt"), None)
    assert pins.verify("texts") == []
    assert pins.read_pins(world.root)["texts"].files == 2


def test_a_new_version_wants_replace_and_leaves_the_other_pins_and_comments(world: Any, table: Path) -> None:
    place = world.root / "data.dvc"
    place.write_text("# whose data these are\n" + place.read_text())
    first = add(table, "my-load", world.root)
    assert add(table, "my-load", world.root) == add(world.root / "data" / "my-load", "my-load", world.root)
    others = [each for each in yaml.safe_load(place.read_text())["outs"] if each["path"] != "data/my-load"]
    table.write_text(TABLE + "2024-01-03,3\n")
    with pytest.raises(DataError, match="is pinned already, with other content") as error:
        add(table, "my-load", world.root)
    assert first.md5 in str(error.value)
    second = add(table, "my-load", world.root, replace=True)
    assert (second.was, second.md5 != first.md5) == (first.md5, True)
    assert pins.verify("my-load") == []
    assert [each for each in yaml.safe_load(place.read_text())["outs"] if each["path"] != "data/my-load"] == others
    assert place.read_text().startswith("# whose data these are\n")


def test_files_put_in_their_place_are_pinned_there(world: Any) -> None:
    place = world.root / "data" / "mine" / "a.csv"
    place.parent.mkdir(parents=True)
    place.write_text(TABLE)
    inode = place.stat().st_ino
    add("data/mine", "mine", world.root)
    assert place.stat().st_ino == inode
    assert pins.verify("mine") == []


def test_where_git_does_not_ignore_data_it_is_told_to(world: Any, table: Path) -> None:
    (world.root / ".gitignore").write_text("")
    add(table, "my-load", world.root)
    assert (world.root / "data" / ".gitignore").read_text() == "/my-load\n"
    assert world.run("git", "check-ignore", "data/my-load/load.csv")


def test_a_repository_without_data_dvc_gets_one(world: Any, table: Path) -> None:
    (world.root / "data.dvc").unlink()
    md5 = add(table, "my-load", None).md5
    assert {name: pin.md5 for name, pin in pins.read_pins(world.root).items()} == {"my-load": md5}
    assert "up to date" in world.dvc("status", "data.dvc")


@pytest.mark.parametrize(("content", "said"), [
    (b"", "the file is empty"), (b"time,load\n1\n", "line 2 has 1 fields, the header 2"),
    (b"time,time\n1,2\n", "names time twice"), (b"\n1,2\n", "has no header"), (b"time,l\xffad\n1,2\n", "no UTF-8"),
    (b'time,load\n1,"2\n', "cannot be read as a table"),
])
def test_a_table_that_is_none_is_refused_with_its_place(world: Any, table: Path, content: bytes, said: str) -> None:
    before = state(world)
    table.write_bytes(content)
    with pytest.raises(DataError, match=said) as error:
        add(table, "my-load", world.root)
    assert str(table) in str(error.value)
    assert state(world) == before


@pytest.mark.parametrize(("name", "said"), [("My Load", "is no name of a set"), ("../x", "is no name of a set"),
                                            ("hours", "is a set of the catalogue")])
def test_a_name_that_is_taken_or_none_is_exit_code_2(world: Any, table: Path, name: str, said: str, capsys: Any,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    before = state(world)
    code, out, err = call(capsys, monkeypatch, "data", "add", str(table), "--name", name)
    assert (code, out) == (2, "")
    assert said in err
    assert state(world) == before


def test_a_remote_that_does_not_take_it_leaves_everything_as_it_was(world: Any, table: Path, tmp_path: Path) -> None:
    add(table, "my-load", world.root)
    (tmp_path / "file").write_text("where the remote's folder should be")
    world.dvc("remote", "add", "-q", "-d", "shelf", str(tmp_path / "file" / "below"))
    before, bytes_before = state(world), (world.root / "data" / "my-load" / "load.csv").read_bytes()
    table.write_text(TABLE + "2024-01-03,3\n")
    for name in ("my-load", "other"):
        with pytest.raises(DataError, match="the DVC remote 'shelf' did not take"):
            add(table, name, world.root, replace=True)
    assert state(world) == before
    assert (world.root / "data" / "my-load" / "load.csv").read_bytes() == bytes_before
    assert add(table, "other", world.root, push=False).remote is None


def test_data_that_another_process_changes_meanwhile_is_not_pinned(world: Any, table: Path,
                                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    before = state(world)
    copy = shutil.copyfile

    def altering(source: Path, target: Path) -> None:
        copy(source, target)
        target.write_text("other")

    monkeypatch.setattr(shutil, "copyfile", altering)
    with pytest.raises(DataError, match="changed while it was copied"):
        add(table, "my-load", world.root)
    assert state(world) == before


def test_without_a_dvc_repository_or_in_gits_own_hands_it_is_refused(world: Any, table: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no DVC repository here"):
        add(table, "my-load", tmp_path)
    (world.root / "data" / "mine").mkdir(parents=True)
    shutil.copy(table, world.root / "data" / "mine" / "a.csv")
    world.run("git", "add", "-f", "data/mine/a.csv")
    with pytest.raises(DataError, match="is tracked by git"):
        add("data/mine", "mine", world.root)
    assert store.is_tracked(world.root)
