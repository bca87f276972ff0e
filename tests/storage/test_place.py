"""Shared storage keeps the same promises on a folder and on an object store."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest

from gatesweep.errors import StorageError
from gatesweep.storage import Place, place

KINDS = ["folder", pytest.param("s3", marks=pytest.mark.services)]


@pytest.fixture(params=KINDS)
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return place(request.getfixturevalue("s3") if request.param == "s3" else tmp_path / "shared" / "sweep")


def test_what_is_written_is_read_and_replaced(where: Place):
    for data in (b"", b"one", bytes(range(256)) * 1000):
        where.write("a/b.bin", data)
        assert where.read("a/b.bin") == data
    assert where.child("a").read("b.bin") == data
    assert place(where.address).read("a/b.bin") == data


def test_what_is_not_there_is_not_read(where: Place):
    where.write("there", b"1")
    assert where.exists("there")
    for name in ("none", "none/below", "ther"):
        assert not where.exists(name)
        with pytest.raises(FileNotFoundError):
            where.read(name)
    with pytest.raises(FileNotFoundError):
        where.download("none", Path("never"))


def test_a_folder_is_no_file(where: Place):
    where.write("folder/file", b"1")
    assert not where.exists("folder")


def test_an_absent_file_that_appears_is_seen_at_once(where: Place):
    other = place(where.address)
    assert not where.exists("late")
    assert where.names() == []
    other.write("late", b"1")
    assert where.exists("late")
    assert where.names() == ["late"]
    other.write("late", b"22")
    assert where.read("late") == b"22"
    other.delete("late")
    assert not where.exists("late")
    assert where.names() == []


def test_files_are_listed_with_their_bytes(where: Place):
    where.write("b/two", b"22")
    where.write("a", b"")
    where.write("b/c/three", b"333")
    assert where.sizes() == {"a": 0, "b/c/three": 3, "b/two": 2}
    assert list(where.sizes()) == where.names()
    assert where.sizes("b") == {"b/c/three": 3, "b/two": 2}
    assert where.sizes("none") == {}


def test_creating_is_exclusive_and_the_first_content_stays(where: Place):
    assert where.create("claim", b"first")
    assert not where.create("claim", b"second")
    assert where.read("claim") == b"first"
    where.write("replaced", b"x")
    assert not where.create("replaced", b"y")


def test_of_many_creators_at_once_exactly_one_wins(where: Place):
    for turn in range(6):
        results: dict[int, bool] = {}
        start = threading.Barrier(6)

        def create(number: int, turn: int = turn, results: dict[int, bool] = results, start=start) -> None:
            own = place(where.address)
            start.wait()
            results[number] = own.create(f"claim-{turn}", str(number).encode())

        threads = [threading.Thread(target=create, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        winners = [number for number, won in results.items() if won]
        assert len(winners) == 1
        assert where.read(f"claim-{turn}") == str(winners[0]).encode()


def test_names_are_all_files_below_in_order_and_nothing_half_made(where: Place):
    for name in ("b", "a/2", "a/1", "a/c/3", "ab/4"):
        where.write(name, b"x")
    assert where.names() == ["a/1", "a/2", "a/c/3", "ab/4", "b"]
    assert where.names("a") == ["a/1", "a/2", "a/c/3"]
    assert where.child("a").names() == ["1", "2", "c/3"]
    assert where.names("none") == []


def test_deleting_takes_a_file_or_all_below_and_nothing_beside(where: Place):
    for name in ("t/1/state", "t/1/COMMIT", "t/10/state", "t/1.txt"):
        where.write(name, b"x")
    where.delete("t/1")
    where.delete("t/1")
    assert where.names() == ["t/1.txt", "t/10/state"]
    where.delete("t/1.txt")
    assert where.names() == ["t/10/state"]


def test_a_folder_comes_back_as_it_went(where: Place, tmp_path: Path):
    there, back = tmp_path / "there", tmp_path / "back"
    (there / "deep").mkdir(parents=True)
    content = {"COMMIT": b"{}", "state.ckpt": os.urandom(3_000_000), "deep/empty": b"", "z": b"z"}
    for name, data in content.items():
        (there / name).write_bytes(data)
    where.upload(there, "trials/t0001/e0003")
    assert where.names("trials") == sorted(f"trials/t0001/e0003/{name}" for name in content)
    where.download("trials/t0001/e0003", back)
    found = {path.relative_to(back).as_posix(): path.read_bytes() for path in back.rglob("*") if path.is_file()}
    assert found == content


def test_the_last_file_of_an_upload_is_there_only_when_all_others_are(where: Place, tmp_path: Path):
    (tmp_path / "there").mkdir()
    for name in ("COMMIT", "a", "b"):
        (tmp_path / "there" / name).write_bytes(b"1")
    (tmp_path / "there" / "b").unlink()
    (tmp_path / "there" / "b").symlink_to("b")  # cannot be read
    with pytest.raises(StorageError):
        where.upload(tmp_path / "there", "e1")
    assert "e1/COMMIT" not in where.names()


@pytest.mark.parametrize("address", ["gs://bucket/x", "http://host/x", "s3://"])
def test_an_address_of_no_known_kind_is_refused(address: str):
    with pytest.raises(StorageError) as refused:
        place(address)
    assert "s3://bucket/prefix" in str(refused.value)


def test_a_path_and_its_file_address_are_one_place(tmp_path: Path):
    place(f"file://{tmp_path}").write("x", b"1")
    assert place(tmp_path).read("x") == b"1"
    assert place(tmp_path).address == str(tmp_path)
    assert place(tmp_path).local == tmp_path


def test_a_file_of_a_folder_is_never_seen_half_written(tmp_path: Path):
    where, torn, over = place(tmp_path), [], threading.Event()
    contents = [hashlib.sha256(bytes([n])).digest() * 4096 for n in range(2)]
    where.write("x", contents[0])

    def look() -> None:
        while not over.is_set():
            data = where.read("x")
            if data not in contents or where.names() != ["x"]:
                torn.append(data)

    reader = threading.Thread(target=look)
    reader.start()
    for turn in range(60):
        where.write("x", contents[turn % 2])
    over.set()
    reader.join()
    assert torn == []


def test_what_a_killed_writer_left_is_not_among_the_names(tmp_path: Path):
    where = place(tmp_path)
    where.write("x", b"1")
    (tmp_path / ".tmp-0123456789abcdef").write_bytes(b"ha")
    assert where.names() == ["x"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="file") as refused:
        place(tmp_path / "file").write("x", b"1")
    assert refused.value.hint


def test_a_full_disk_is_named_and_nothing_of_the_file_is_left(tmp_path: Path, monkeypatch):
    where = place(tmp_path)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="no space left") as refused:
        where.write("x", b"1")
    assert "free disk space" in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_a_link_whose_answer_was_lost_counts_as_made(tmp_path: Path, monkeypatch):
    """A file server that makes the link, loses the answer and refuses the client's second request."""
    real = os.link

    def lossy(source, target) -> None:
        real(source, target)
        real(source, target)

    monkeypatch.setattr(os, "link", lossy)
    assert place(tmp_path).create("claim", b"mine")
    assert not place(tmp_path).create("claim", b"other")
    assert place(tmp_path).read("claim") == b"mine"
