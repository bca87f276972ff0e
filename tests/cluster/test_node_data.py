"""Data that no remote holds, through the object store of a real Ray: once to a node, whatever its workers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
import ray_workers
from ray._private import internal_api  # how full its store is Ray tells nowhere else
from remotes import FILES

from gatesweep.data import pins
from gatesweep.data.fetch import Dataset, user_file, user_folder
from gatesweep.errors import DataError, OriginError
from gatesweep.sweep import cluster, objects
from gatesweep.sweep.node_data import pinned_by

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]
BIG = bytes(range(256)) * 40_000


@pytest.fixture(scope="module")
def up() -> Iterator[Path]:
    with cluster.local(2) as folder:
        yield folder


@pytest.fixture
def datasets(tmp_path: Path) -> list[Dataset]:
    """Two sets that share a file, a user's own file, and a folder of the user's own."""
    made = []
    for name, files in {"toy": {**FILES, "big.bin": BIG}, "tiny": {"again.csv": FILES["a.csv"]}}.items():
        folder = tmp_path / "driver" / name
        for path, data in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        made.append(Dataset(name, folder, pins.digest_of(pins.md5s_in(folder)), 1, tuple(sorted(files))))
    (tmp_path / "driver/load.csv").write_bytes(b"time,load\n")
    (tmp_path / "driver/texts/deep").mkdir(parents=True)
    (tmp_path / "driver/texts/deep/train.txt").write_bytes(b"a b\n")
    return [*made, user_file(tmp_path / "driver/load.csv"), user_folder(tmp_path / "driver/texts")]


def test_two_workers_of_a_node_fetch_every_object_once_in_chunks(up: Path, datasets: list[Dataset], tmp_path: Path,
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "CHUNK_BYTES", 3_000_000)
    given = ray.put({"objects": objects.offer(datasets), "pinned": pinned_by(datasets)})
    own, texts, notes = str(datasets[2].path), str(datasets[3].path), tmp_path / "notes"
    datasets[2].path.unlink()  # workers do not see the driver's folder
    datasets[3].path.rename(tmp_path / "gone")
    read = ray.remote(num_cpus=1)(ray_workers.read)
    asked = (given, str(tmp_path / "node"), str(notes), "toy", "tiny", own, texts)
    answers = ray.get([read.remote(*asked) for _ in range(2)])
    assert len({process for process, _ in answers}) == 2
    expected = {"toy": {**FILES, "big.bin": BIG}, "tiny": {"again.csv": FILES["a.csv"]},
                own: {"load.csv": b"time,load\n"}, texts: {"deep/train.txt": b"a b\n"}}
    assert [found for _, found in answers] == [expected, expected]
    fetched = notes.read_text().split()
    # files, listings, own file, own folder with its listing; the shared one once
    assert len(fetched) == len(set(fetched)) == len(FILES) + 1 + 2 + 1 + 2


def test_a_folder_altered_since_it_was_verified_is_not_offered(up: Path, datasets: list[Dataset]) -> None:
    (datasets[3].path / "deep/train.txt").write_bytes(b"a c\n")
    with pytest.raises(DataError, match="altered since it was verified"):
        objects.offer(datasets[3:])


def test_what_is_offered_takes_room_until_it_is_withdrawn(up: Path, datasets: list[Dataset]) -> None:
    def used_bytes() -> int:
        state = internal_api.get_state_from_address(ray.get_runtime_context().gcs_address)
        return int(internal_api.get_memory_info_reply(state).store_stats.object_store_bytes_used)

    def empty_in_time() -> bool:
        ends = time.monotonic() + 20  # Ray frees what nobody holds any more a little later
        while used_bytes() and time.monotonic() < ends:
            time.sleep(0.1)
        return not used_bytes()

    assert empty_in_time()  # of what the tests before this one offered
    offered = objects.offer(datasets)
    assert used_bytes() >= len(BIG)
    objects.withdraw(offered)
    assert empty_in_time()


def test_objects_whose_driver_died_and_objects_that_nobody_offered_are_told_apart(up: Path, datasets: list[Dataset],
                                                                                  tmp_path: Path) -> None:
    driver = ray.remote(num_cpus=0)(ray_workers.Driver).remote()
    offered = ray.get(driver.offer.remote(datasets[2:3]))
    origin = objects.ObjectOrigin(offered, wait_s=5)
    with pytest.raises(DataError, match="does not hold"):
        origin.fetch("a" * 32, tmp_path / "target")
    origin.fetch(datasets[2].md5, tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == b"time,load\n"
    ray.kill(driver)

    def go_on_fetching() -> None:
        ends = time.monotonic() + 30  # what lies on this node already is swept out a little later
        while time.monotonic() < ends:
            origin.fetch(datasets[2].md5, tmp_path / "target")
            time.sleep(0.1)

    with pytest.raises(OriginError, match="did not deliver"):
        go_on_fetching()
