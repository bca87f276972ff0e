"""Folders of the user's own: known by DVC's digest, refused where the digest could not hold."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from remotes import NotedOrigin, put_set

from gatesweep.data import dataset, fetch, own
from gatesweep.data.fetch import user_data, user_file, user_folder
from gatesweep.data.node import NodeCache
from gatesweep.errors import DataError
from gatesweep.launch.package import measure
from gatesweep.sweep.node_data import pinned_by

TEXTS = {"train.txt": b"a b\n", "deep/er/valid.txt": b"c\n", ".hidden": b"", "ü x.txt": b"d\n"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's folder."""
    place = tmp_path / "texts"
    for name, data in TEXTS.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(data)
    return place


def test_a_folder_has_the_digest_that_dvc_add_gives_it(world: Any, folder: Path) -> None:
    inside = world.root / "texts"
    folder.rename(inside)
    world.dvc("add", "-q", "texts")
    told = yaml.safe_load((world.root / "texts.dvc").read_text())["outs"][0]
    found = user_folder(inside)
    assert (found.md5, found.size_bytes, len(found.files)) == (told["md5"], told["size"], told["nfiles"])
    assert (found.name, found.path, found.own) == ("texts", inside, True)


def test_any_change_of_a_name_or_a_byte_changes_the_digest(folder: Path) -> None:
    seen = [user_folder(folder).md5]
    (folder / "train.txt").write_bytes(b"a c\n")
    seen.append(user_folder(folder).md5)
    (folder / "train.txt").rename(folder / "test.txt")
    seen.append(user_folder(folder).md5)
    (folder / "more").write_bytes(b"")
    seen.append(user_folder(folder).md5)
    assert len(set(seen)) == 4


def test_user_data_takes_a_file_or_a_folder_and_each_reader_its_own(folder: Path) -> None:
    assert user_data(folder) == user_folder(folder)
    assert user_data(folder / "train.txt") == user_file(folder / "train.txt")
    with pytest.raises(DataError, match="is a file, and a folder is wanted"):
        user_folder(folder / "train.txt")
    with pytest.raises(DataError, match="is a folder, and a file is wanted"):
        user_file(folder)
    for missing in (user_data, user_folder, user_file):
        with pytest.raises(DataError, match="no such f"):
            missing(folder / "none")


def test_a_symlink_to_a_file_or_a_folder_is_refused_by_name(folder: Path, tmp_path: Path) -> None:
    for target in (tmp_path / "elsewhere.txt", folder / "deep", tmp_path / "dangling"):
        if target.suffix:
            target.write_text("x")
        (folder / "link").symlink_to(target)
        with pytest.raises(DataError, match="is a symlink, to") as caught:
            user_folder(folder)
        assert str(folder / "link") in str(caught.value)
        (folder / "link").unlink()


def test_an_empty_folder_and_a_device_are_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty" / "deeper").mkdir(parents=True)
    with pytest.raises(DataError, match="holds no file"):
        user_folder(tmp_path / "empty")
    os.mkfifo(folder / "pipe")
    with pytest.raises(DataError, match="no plain file"):
        user_folder(folder)


def test_a_file_that_cannot_be_read_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(own.pins, "md5_of", refuses)  # root reads what chmod 000 forbids
    with pytest.raises(DataError, match="Permission denied") as caught:
        user_folder(folder)
    assert str(folder / ".hidden") in str(caught.value)


def test_a_folder_comes_by_its_digest_where_the_worker_does_not_have_it(
        folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offered = user_folder(folder)
    pinned = pinned_by([offered])
    assert list(pinned) == [str(folder)]
    assert put_set(tmp_path / "remote", TEXTS).md5 == offered.md5
    folder.rename(tmp_path / "gone")
    (tmp_path / "worker").mkdir()
    monkeypatch.chdir(tmp_path / "worker")
    monkeypatch.setattr(dataset, "_fetcher", None)
    fetch.use(NodeCache(tmp_path / "node", NotedOrigin(tmp_path / "remote"), pinned=pinned))
    for ask in (user_data, user_folder):
        brought = ask(folder)
        assert (brought.name, brought.md5, brought.files) == (offered.name, offered.md5, offered.files)
        assert {name: (brought.path / name).read_bytes() for name in brought.files} == TEXTS
        assert brought.own
    with pytest.raises(DataError, match="no such folder"):
        user_folder(tmp_path / "other")


def test_a_folder_of_the_project_travels_with_it_only_as_a_whole(folder: Path, tmp_path: Path) -> None:
    assert measure(tmp_path).holds(folder)
    assert not measure(tmp_path, exclude=["*.txt"]).holds(folder)
    (tmp_path / "empty").mkdir()
    assert not measure(tmp_path).holds(tmp_path / "empty")
