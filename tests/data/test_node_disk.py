"""A node's disk: full, read-only, somebody else's; and which sets leave it when another one needs the room."""

from __future__ import annotations

import os
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from remotes import PROCESSES, NotedOrigin, contents, hold, objects_in, put_set

from gatesweep.data.node import NodeCache, Pinned
from gatesweep.data.node_disk import node_folder
from gatesweep.errors import DataError, NodeDiskError

KIB = 1024


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    return tmp_path / "remote"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=755", "tmpfs", str(place)],
                          capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this system lets nobody mount a small disk: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)  # this process still claims sets on it


def a_set(remote: Path, letter: str, kib: int) -> Pinned:
    """Two files of one letter, together `kib` KiB."""
    return put_set(remote, {"1.csv": letter.encode() * (kib * KIB - 8), "2.csv": letter.encode() * 8})


def cache_of(node: Path, remote: Path, limit_bytes: int | None = None, **pinned: Pinned) -> NodeCache:
    return NodeCache(node, NotedOrigin(remote), pinned=pinned, limit_bytes=limit_bytes)


def in_another_process(node: Path, remote: Path, name: str, pinned: Pinned) -> None:
    """Bring a set in a process that is over afterwards."""
    ready = remote / f"ready-{name}"
    worker = PROCESSES.Process(target=hold, args=(node, remote, name, pinned, ready))
    worker.start()
    while not ready.exists() and worker.is_alive():
        time.sleep(0.01)
    worker.kill()
    worker.join()
    assert ready.exists()


@pytest.mark.parametrize("size_is_known", [True, False])
def test_a_full_disk_is_one_error_that_names_folder_need_and_room(disk: Path, remote: Path,
                                                                 size_is_known: bool) -> None:
    big = a_set(remote, "b", 3 * KIB)
    asked = big if size_is_known else Pinned(big.md5)
    with pytest.raises(NodeDiskError) as caught:
        cache_of(disk / "node", remote, big=asked)("big")
    told = str(caught.value)
    assert isinstance(caught.value, DataError)
    assert str(disk / "node") in told
    assert "No space left on device" in told
    assert "GATESWEEP_NODE_FOLDER" in told
    assert "MB free" in told
    assert ("3.1 MB needed" in told) == size_is_known
    assert not list((disk / "node/data").glob("sets/*/*"))
    assert not any(len(data) > KIB for data in objects_in(disk / "node").values())


def test_a_set_that_was_laid_out_is_used_from_a_full_disk(disk: Path, remote: Path) -> None:
    small = a_set(remote, "s", 64)
    cache = cache_of(disk / "node", remote, small=small)
    cache("small")
    with (disk / "filler").open("wb") as file, pytest.raises(OSError, match="No space left"):
        file.write(b"x" * 2 * KIB * KIB)
    assert cache("small").road == "present"
    in_another_process(disk / "node", remote, "small", small)


def test_a_read_only_disk_serves_what_it_has_and_names_itself_for_the_rest(disk: Path, remote: Path) -> None:
    here, away = a_set(remote, "h", 64), a_set(remote, "a", 64)
    in_another_process(disk / "node", remote, "here", here)
    (disk / "node/data/claims" / here.md5).unlink()  # nor is there a mark to lock
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    cache = cache_of(disk / "node", remote, here=here, away=away)
    assert cache("here").road == "present"
    with pytest.raises(NodeDiskError, match="Read-only file system") as caught:
        cache("away")
    assert str(disk / "node") in str(caught.value)
    with pytest.raises(NodeDiskError, match="Read-only file system"):
        cache_of(disk / "nothing-yet", remote, away=away)("away")


@pytest.mark.parametrize("limited", [False, True], ids=["disk", "limit"])
def test_the_longest_unused_set_makes_room_and_one_in_use_never_does(tmp_path: Path, remote: Path, limited: bool,
                                                                    request: pytest.FixtureRequest) -> None:
    node = tmp_path / "node" if limited else request.getfixturevalue("disk") / "node"
    oldest, old, new = (a_set(remote, letter, 300) for letter in "abc")
    newest, limit_bytes = a_set(remote, "d", 500), 1000 * KIB if limited else None
    held = PROCESSES.Process(target=hold, args=(node, remote, "oldest", oldest, remote / "ready"))
    held.start()
    while not (remote / "ready").exists():
        time.sleep(0.01)
    for name, pinned in {"new": new, "old": old}.items():
        in_another_process(node, remote, name, pinned)
    os.utime(node / "data/claims" / oldest.md5, (1, 1))
    os.utime(node / "data/claims" / old.md5, (2, 2))
    said: list[str] = []
    cache = cache_of(node, remote, limit_bytes, newest=newest)
    try:
        assert len(contents(cache("newest", say=said.append).path)) == 2
        left = {path.name for path in (node / "data/sets").iterdir()}
        assert left == {oldest.md5, newest.md5}  # both that nobody used: 500 KiB need more than one's room
        assert [old.md5 in said[1], new.md5 in said[2]] == [True, True]
        assert b"b" * 8 not in objects_in(node).values()
        with pytest.raises(NodeDiskError):  # what is left is in use, here and there
            cache_of(node, remote, limit_bytes, old=old)("old")
        assert {path.name for path in (node / "data/sets").iterdir()} == left
    finally:
        held.kill()
        held.join()
    assert len(contents(cache_of(node, remote, limit_bytes, old=old)("old").path)) == 2
    assert not (node / "data/sets" / oldest.md5).exists()


def test_a_set_of_unknown_size_throws_others_away_only_once_the_disk_is_full(disk: Path, remote: Path) -> None:
    old, more = a_set(remote, "o", 600), a_set(remote, "m", 600)
    in_another_process(disk / "node", remote, "old", old)
    cache = cache_of(disk / "node", remote, more=Pinned(more.md5))
    assert len(contents(cache("more").path)) == 2
    assert [path.name for path in (disk / "node/data/sets").iterdir()] == [more.md5]


def test_files_that_two_sets_share_stay_when_one_of_them_goes(tmp_path: Path, remote: Path) -> None:
    shared = b"s" * 10_000
    one = put_set(remote, {"s.csv": shared, "1.csv": b"1" * 30_000})
    two, three = put_set(remote, {"s.csv": shared}), put_set(remote, {"3.csv": b"3" * 30_000})
    in_another_process(tmp_path / "node", remote, "one", one)
    cache = cache_of(tmp_path / "node", remote, 45_000, two=two, three=three)
    cache("two")
    cache("three")
    assert contents(cache("two").path) == {"s.csv": shared}
    assert sorted(len(data) for data in objects_in(tmp_path / "node").values() if len(data) > KIB) == [10_000, 30_000]


def test_a_disk_without_hard_links_holds_copies(tmp_path: Path, remote: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    pinned = a_set(remote, "c", 64)
    cache = cache_of(tmp_path / "node", remote, toy=pinned)
    files = list(cache("toy").path.iterdir())
    assert [(path.stat().st_nlink, path.stat().st_mode & 0o222) for path in files] == [(1, 0)] * 2
    files[0].chmod(0o644)
    files[0].write_bytes(b"rotten")
    assert sorted(map(len, contents(cache("toy").path).values())) == [8, 64 * KIB - 8]
    assert len(NotedOrigin(remote).fetched) == 3  # mended from the sound object


def test_the_folder_of_the_node_is_named_or_this_users_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("GATESWEEP_NODE_FOLDER", raising=False)
    folder = node_folder()
    assert folder == tmp_path / f"gatesweep-node-{os.getuid()}"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert node_folder() == folder
    folder.chmod(0o777)
    with pytest.raises(NodeDiskError, match="this user alone"):
        node_folder()
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(NodeDiskError, match="this user alone"):
        node_folder()
    monkeypatch.setenv("GATESWEEP_NODE_FOLDER", str(tmp_path / "scratch"))
    assert node_folder() == tmp_path / "scratch"
