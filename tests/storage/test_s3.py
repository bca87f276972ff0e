"""What only an object store has: conditions, parts, an endpoint that may be away, rights."""

from __future__ import annotations

import builtins
import os
import socket
import time
from pathlib import Path

import pytest

from gatesweep.errors import StorageAway, StorageError
from gatesweep.storage import place, s3_client
from gatesweep.storage.s3 import PART_BYTES, S3Place


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys, and nobody who listens."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")


@pytest.mark.services
def test_a_swap_changes_only_the_version_that_it_names(s3: str):
    where = S3Place(s3.removeprefix("s3://"))
    first = where.swap("x", b"1", None, "a")
    assert first is not None
    assert where.swap("x", b"2", None, "b") is None
    second = where.swap("x", b"22", first, "c")
    assert second not in (None, first)
    assert where.swap("x", b"3", first, "d") is None
    assert where.swap("none", b"3", first, "e") is None
    assert where.read("x") == b"22"


@pytest.mark.services
def test_a_put_whose_answer_was_lost_finds_itself(s3: str):
    where = S3Place(s3.removeprefix("s3://"))
    first = where.swap("x", b"1", None, "a")
    assert where.swap("x", b"1", None, "a") == first
    second = where.swap("x", b"22", first, "b")
    assert where.swap("x", b"22", first, "b") == second
    assert where.swap("x", b"1", None, "a") is None


@pytest.mark.services
def test_a_file_of_many_parts_comes_back_as_it_went(s3: str, tmp_path: Path):
    (tmp_path / "there").mkdir()
    data = os.urandom(2 * PART_BYTES + 12_345)
    (tmp_path / "there" / "state.ckpt").write_bytes(data)
    place(s3).upload(tmp_path / "there", "e1")
    place(s3).download("e1", tmp_path / "back")
    assert (tmp_path / "back" / "state.ckpt").read_bytes() == data
    assert [path.name for path in (tmp_path / "back").iterdir()] == ["state.ckpt"]


@pytest.mark.services
def test_more_files_than_one_page_are_listed_and_deleted(s3: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gatesweep.storage.s3._BATCH", 10)
    where = place(s3)
    for number in range(25):
        where.write(f"many/{number:04d}", b"")
    assert where.names("many") == [f"many/{number:04d}" for number in range(25)]
    where.delete("many")
    assert where.names() == []


@pytest.mark.services
def test_wrong_keys_are_told_as_no_rights(s3: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    for call in (lambda: place(s3).read("x"), lambda: place(s3).write("x", b""), lambda: place(s3).create("x", b""),
                 lambda: place(s3).names(), lambda: place(s3).exists("x")):
        with pytest.raises(StorageError, match="no rights") as refused:
            call()
        assert "AWS_ACCESS_KEY_ID" in str(refused.value)
        assert not isinstance(refused.value, StorageAway)


@pytest.mark.services
def test_a_store_that_comes_back_is_used_again_by_the_same_process(object_store, s3: str):
    where = place(s3)
    where.write("x", b"1")
    object_store.stop()
    with pytest.raises(StorageAway):
        where.read("x")
    object_store.start()
    assert where.read("x") == b"1"


def test_an_endpoint_that_refuses_is_away_after_seconds(nobody: None):
    started = time.monotonic()
    for call in (lambda: place("s3://bucket/x").read("x"), lambda: place("s3://bucket/x").create("x", b"")):
        with pytest.raises(StorageAway, match="does not answer") as away:
            call()
        assert "AWS_ENDPOINT_URL" in str(away.value)
    assert time.monotonic() - started < 20


def test_an_endpoint_that_never_answers_is_away_after_seconds(nobody: None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(s3_client, "CALL_S", 2.0)
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{deaf.getsockname()[1]}")
        started = time.monotonic()
        for call in (lambda: place("s3://bucket/x").write("x", b"1"), lambda: place("s3://bucket/x").read("x")):
            with pytest.raises(StorageAway):
                call()
    assert time.monotonic() - started < 10


def test_no_credentials_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(StorageError, match="no credentials") as refused:
        place("s3://bucket/x").write("x", b"1")
    assert "AWS_ACCESS_KEY_ID" in str(refused.value)


def test_a_missing_library_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch, nobody: None):
    real = builtins.__import__

    def without(name: str, *rest: object, **named: object) -> object:
        if name == "s3fs":
            raise ImportError("No module named 's3fs'", name="s3fs")
        return real(name, *rest, **named)

    s3_client._client.cache_clear()
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(StorageError) as refused:
        place("s3://bucket/x").read("x")
    assert "pip install 'gatesweep[s3]'" in str(refused.value)
