"""A node's cache: one fetch a node, the pinned bytes in every process, nothing half-made whatever is killed."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from remotes import FILES, PROCESSES, NotedOrigin, bring, bring_until, contents, objects_in, put, put_set

from gatesweep.data import dataset, fetch, hashing, pins
from gatesweep.data.fetch import ensure, user_file
from gatesweep.data.node import NodeCache, Pinned
from gatesweep.errors import DataError


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    return tmp_path / "remote"


@pytest.fixture
def node(tmp_path: Path) -> Path:
    return tmp_path / "node"


@pytest.fixture
def cache(remote: Path, node: Path) -> NodeCache:
    """A cache to which `toy` is pinned."""
    return NodeCache(node, NotedOrigin(remote), pinned={"toy": put_set(remote)})


def fetched(cache: NodeCache) -> list[str]:
    assert isinstance(cache.origin, NotedOrigin)
    return cache.origin.fetched


def overwrite(path: Path, data: bytes) -> None:
    """As root or by accident: into the same inode, although it is read-only."""
    path.chmod(0o644)
    path.write_bytes(data)


def test_a_set_arrives_with_its_bytes_read_only_and_as_links_to_its_objects(cache: NodeCache, node: Path) -> None:
    dataset = cache("toy")
    assert contents(dataset.path) == FILES
    assert dataset.path.relative_to(node).as_posix() == f"data/sets/{dataset.md5}/toy"
    assert (dataset.files, dataset.size_bytes) == (tuple(sorted(FILES)), sum(map(len, FILES.values())))
    assert pins.digest_of(pins.md5s_in(dataset.path)) == dataset.md5
    for path in dataset.path.rglob("*.csv"):
        found = path.stat()
        assert (found.st_mode & 0o222, found.st_nlink) == (0, 2)
    assert all(hashlib.md5(data).hexdigest() == md5.removesuffix(".dir") for md5, data in objects_in(node).items())


def test_a_second_trial_and_a_second_sweep_on_the_node_download_nothing(cache: NodeCache, node: Path,
                                                                        remote: Path) -> None:
    assert cache("toy").road == "node"
    before = fetched(cache)
    assert len(before) == len(FILES) + 1
    assert cache("toy").road == "present"
    other = NodeCache(node, NotedOrigin(remote), pinned={"same-bytes": Pinned(cache("toy").md5)})
    assert contents(other("same-bytes").path) == FILES
    worker = PROCESSES.Process(target=bring, args=(node, NotedOrigin(remote), {"toy": Pinned(cache("toy").md5)}))
    worker.start()
    worker.join()
    assert worker.exitcode == 0
    assert fetched(cache) == before


def test_eight_processes_that_start_at_once_fetch_each_object_once(remote: Path, node: Path, tmp_path: Path) -> None:
    origin, pinned = NotedOrigin(remote, pause_s=0.02), put_set(remote)
    (tmp_path / "answers").mkdir()
    workers = [PROCESSES.Process(target=bring, args=(node, origin, {"toy": pinned}, tmp_path / "answers"))
               for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 8
    assert len(origin.fetched) == len(set(origin.fetched)) == len(FILES) + 1
    answers = [path.read_text() for path in (tmp_path / "answers").iterdir()]
    assert answers == [repr(sorted(FILES.items()))] * 8


def test_a_new_version_of_a_set_fetches_only_what_changed(cache: NodeCache, remote: Path, node: Path) -> None:
    cache("toy")
    before = len(fetched(cache))
    changed = {**FILES, "a.csv": b"time,load\n0,2\n"}
    newer = NodeCache(node, NotedOrigin(remote), pinned={"toy": put_set(remote, changed)})
    assert contents(newer("toy").path) == changed
    assert contents(cache("toy").path) == FILES
    assert len(fetched(cache)) == before + 2  # the listing and one file


def test_a_warm_process_hashes_a_set_once_for_a_hundred_trials(cache: NodeCache,
                                                               monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[Path] = []
    real = pins.md5_of
    monkeypatch.setattr(hashing, "SETTLED_S", 0.0)
    cache("toy")
    time.sleep(0.1)
    monkeypatch.setattr(pins, "md5_of", lambda path: hashed.append(path) or real(path))
    for _ in range(100):
        cache("toy")
    assert len(hashed) == len(FILES)


@pytest.mark.parametrize("settled_s", [0.0, 2.0], ids=["remembered", "just fetched"])
def test_bytes_altered_between_two_trials_are_seen_although_size_and_mtime_are_the_old_ones(
        cache: NodeCache, monkeypatch: pytest.MonkeyPatch, settled_s: float) -> None:
    monkeypatch.setattr(hashing, "SETTLED_S", settled_s)
    file = cache("toy").path / "a.csv"
    if not settled_s:
        time.sleep(0.1)
        cache("toy")
    stamps = file.stat()
    overwrite(file, FILES["a.csv"].replace(b"1", b"7"))
    os.utime(file, ns=(stamps.st_atime_ns, stamps.st_mtime_ns))
    said: list[str] = []
    assert contents(cache("toy", say=said.append).path) == FILES
    assert [line for line in said if f"{file} was altered" in line]
    said.clear()
    cache("toy", say=said.append)
    assert said == []


def test_a_set_is_mended_file_by_file_and_what_is_not_part_of_it_goes(cache: NodeCache, tmp_path: Path) -> None:
    place = cache("toy").path
    sound = (place / "deep/er/b.csv").stat().st_ino
    (place / "extra.csv").write_text("more")
    (place / "aside").symlink_to(tmp_path)
    (place / "empty.csv").unlink()
    (place / "a.csv").rename(tmp_path / "outside.csv")
    (place / "a.csv").symlink_to(tmp_path / "outside.csv")  # the right bytes, by way of a link
    before = len(fetched(cache))
    assert contents(cache("toy").path) == FILES
    assert not any(path.is_symlink() for path in place.rglob("*"))
    assert (place / "deep/er/b.csv").stat().st_ino == sound
    assert len(fetched(cache)) == before
    assert tmp_path.is_dir()
    assert (tmp_path / "outside.csv").exists()


def test_other_bytes_from_the_origin_are_refused_by_name_and_never_kept(cache: NodeCache, remote: Path,
                                                                        node: Path) -> None:
    md5 = hashlib.md5(FILES["a.csv"]).hexdigest()
    theirs = remote / "files/md5" / md5[:2] / md5[2:]
    theirs.write_bytes(b"evil")
    with pytest.raises(DataError) as caught:
        cache("toy")
    for told in (md5, hashlib.md5(b"evil").hexdigest(), "a noted origin"):
        assert told in str(caught.value)
    assert b"evil" not in objects_in(node).values()
    assert not list((node / "data").glob("sets/*/*"))
    assert not list((node / "data/tmp").iterdir())
    theirs.write_bytes(FILES["a.csv"])
    assert contents(cache("toy").path) == FILES


def test_a_damaged_object_of_the_cache_is_replaced_and_that_is_said_once(cache: NodeCache, node: Path,
                                                                         remote: Path) -> None:
    md5 = hashlib.md5(FILES["a.csv"]).hexdigest()
    overwrite(cache("toy").path / "a.csv", b"rotten")  # the object's own inode
    assert objects_in(node)[md5] == b"rotten"
    said: list[str] = []
    other = NodeCache(node, NotedOrigin(remote), pinned={"again": Pinned(cache("toy", say=said.append).md5)})
    assert contents(other("again", say=said.append).path) == FILES
    assert objects_in(node)[md5] == FILES["a.csv"]
    assert len([line for line in said if "is damaged" in line]) == 1
    assert fetched(cache).count(md5) == 2


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/etc/x", ".", "..", "", "./x", "a//x", "a/", "x\0y"])
def test_a_listing_that_leads_out_of_the_set_is_refused(path: str, remote: Path, node: Path, tmp_path: Path) -> None:
    cache = NodeCache(node, NotedOrigin(remote), pinned={"toy": put_set(remote, {path: b"evil", "z.csv": b"1"})})
    with pytest.raises(DataError, match="outside the set"):
        cache("toy")
    assert not list(tmp_path.rglob("x"))
    assert not list((node / "data").glob("sets/*"))


@pytest.mark.parametrize("listing", ["{}", "[]", "[1]", "nothing", '[{"md5": "../../x", "relpath": "x"}]',
                                     '[{"md5": "%s", "relpath": "x", "symlink": "/etc/passwd"}]',
                                     '[{"md5": "%s", "relpath": "x"}, {"md5": "%s", "relpath": "x"}]',
                                     '[{"md5": "%s", "relpath": "x"}, {"md5": "%s", "relpath": "x/y"}]'])
def test_what_is_no_listing_as_dvc_writes_it_is_refused(listing: str, remote: Path, node: Path) -> None:
    md5 = put(remote, listing.replace("%s", put(remote, b"1")).encode(), ".dir")
    with pytest.raises(DataError, match=md5):
        NodeCache(node, NotedOrigin(remote), pinned={"toy": Pinned(md5)})("toy")
    assert not list((node / "data").glob("sets/*"))


def test_a_fetch_killed_at_any_moment_leaves_nothing_half_made_and_the_next_goes_on(remote: Path, node: Path) -> None:
    files = {f"{number}.csv": bytes([number]) * 50_000 for number in range(12)}
    origin, pinned, draw = NotedOrigin(remote, pause_s=0.004), put_set(remote, files), random.Random(1)
    kills, place = 0, node / "data/sets" / pinned.md5 / "toy"
    while not place.exists() and kills < 200:
        worker = PROCESSES.Process(target=bring, args=(node, origin, {"toy": pinned}))
        worker.start()
        noted = len(origin.fetched)
        while worker.is_alive() and len(origin.fetched) == noted and not place.exists():
            time.sleep(0.001)
        time.sleep(draw.uniform(0, 0.03))
        worker.kill()
        worker.join()
        kills += 1
        assert all(hashlib.md5(data).hexdigest() == md5.removesuffix(".dir") for md5, data in objects_in(node).items())
        assert not place.exists() or contents(place) == files
    assert 3 <= kills < 200
    assert contents(NodeCache(node, origin, pinned={"toy": pinned})("toy").path) == files
    assert len(origin.fetched) <= len(files) + 1 + kills  # each kill costs at most the object in hand


@pytest.mark.parametrize("altered", [False, True], ids=["fetching", "mending"])
def test_a_kill_before_any_single_change_of_the_disk_leaves_only_whole_objects_and_sets(
        altered: bool, remote: Path, node: Path, tmp_path: Path) -> None:
    origin, pinned, step, exitcode = NotedOrigin(remote), put_set(remote), 0, -signal.SIGKILL
    while exitcode == -signal.SIGKILL:
        step += 1
        folder = tmp_path / f"node-{step}"
        cache = NodeCache(folder, origin, pinned={"toy": pinned})
        if altered:
            overwrite(cache("toy").path / "a.csv", b"rotten")
            (folder / "data/sets" / pinned.md5 / "toy/empty.csv").unlink()
        worker = PROCESSES.Process(target=bring_until, args=(step, folder, origin, {"toy": pinned}))
        worker.start()
        worker.join()
        exitcode = worker.exitcode or 0
        whole = {md5.removesuffix(".dir"): hashlib.md5(data).hexdigest() for md5, data in objects_in(folder).items()}
        assert altered or all(name == digest for name, digest in whole.items())
        place = folder / "data/sets" / pinned.md5 / "toy"
        assert altered or not place.exists() or contents(place) == FILES
        assert contents(cache("toy").path) == FILES
    assert exitcode == 0
    assert step > 10


def test_a_process_that_waits_for_another_says_so(remote: Path, node: Path) -> None:
    origin, pinned = NotedOrigin(remote, pause_s=0.1), put_set(remote)
    worker = PROCESSES.Process(target=bring, args=(node, origin, {"toy": pinned}))
    worker.start()
    while not origin.fetched:
        time.sleep(0.005)
    said: list[str] = []
    NodeCache(node, origin, pinned={"toy": pinned})("toy", say=said.append)
    worker.join()
    assert [line for line in said if "another process is bringing data" in line]
    assert len(origin.fetched) == len(FILES) + 1


def test_ensure_asks_the_fetcher_in_use_for_the_pins_of_this_repository(cached_wheel: Any, node: Path, remote: Path,
                                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    own = ensure("hours")
    assert put_set(remote, contents(own.path)).md5 == own.md5
    monkeypatch.setattr(dataset, "_fetcher", None)  # undone whatever happens
    fetch.use(NodeCache(node, NotedOrigin(remote)))
    assert ensure("hours").path == node / "data/sets" / own.md5 / "hours"
    with pytest.raises(DataError, match="did you mean 'hours'"):
        ensure("hour")
    fetch.use(None)
    assert ensure("hours").path == own.path


def test_a_users_own_file_comes_by_its_digest_where_the_worker_does_not_have_it(
        node: Path, remote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver, here = tmp_path / "driver/project/load.csv", tmp_path / "worker"
    driver.parent.mkdir(parents=True)
    here.mkdir()
    driver.write_bytes(FILES["a.csv"])
    offered = user_file(driver)
    put(remote, FILES["a.csv"])
    driver.unlink()
    monkeypatch.chdir(here)
    monkeypatch.setattr(dataset, "_fetcher", None)
    fetch.use(NodeCache(node, NotedOrigin(remote), pinned={str(driver): Pinned(offered.md5)}))
    for asked in (str(driver), "load.csv", "project/load.csv"):
        brought = user_file(asked)
        assert (brought.name, brought.md5, brought.files) == (offered.name, offered.md5, offered.files)
        assert brought.path.read_bytes() == FILES["a.csv"]
        assert brought.size_bytes == offered.size_bytes
    for other in ("other.csv", "elsewhere/load.csv", str(here / "load.csv"), "../project/load.csv"):
        with pytest.raises(DataError, match="no such file"):
            user_file(other)
    (here / "load.csv").write_text("of this machine")
    assert user_file("load.csv").path == here / "load.csv"


@pytest.mark.parametrize(("name", "md5"), [("..", "0" * 32), ("a/b", "0" * 32), ("toy", "../x"), ("toy", "0" * 31)])
def test_names_and_digests_that_are_none_never_become_paths(name: str, md5: str, node: Path, remote: Path) -> None:
    with pytest.raises(DataError, match="cannot be called"):
        NodeCache(node, NotedOrigin(remote), pinned={name: Pinned(md5)})(name)
    assert not node.exists()
