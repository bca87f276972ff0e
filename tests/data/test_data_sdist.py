"""A set that rides in a source archive: its hash is checked before anything of it is opened or run."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from gatesweep.data import archives, catalogue, pins
from gatesweep.data.fetch import ensure
from gatesweep.data.readers import load_series
from gatesweep.errors import ConfigError, DataError

SDIST = "gatesweep_tiny_text-1.0.tar.gz"
TEXT = b"text,label\ngood,pos\nbad,neg\n"
SETUP = "from setuptools import setup\nsetup(name='gatesweep-tiny-text', version='1.0', packages=['tiny_text'])\n"
INFO = b"Metadata-Version: 2.1\nName: gatesweep-tiny-text\nVersion: 1.0\n"


def _file(name: str, data: bytes) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(f"gatesweep_tiny_text-1.0/{name}")
    info.size = len(data)
    return info, data


def _write(place: Path, members: Iterable[tuple[tarfile.TarInfo, bytes]]) -> None:
    with tarfile.open(place, "w:gz") as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))


def _link(name: str, target: str, kind: bytes) -> tuple[tarfile.TarInfo, bytes]:
    info, _ = _file(name, b"")
    info.type, info.linkname = kind, target
    return info, b""


@pytest.fixture
def notes(world: Any, tmp_path: Path) -> Path:
    """A file that the archive's setup.py writes to when it runs; the world has the set `words` in that archive."""
    ran = tmp_path / "setup-ran"
    _write(world.links / SDIST, [
        _file("setup.py", f"open({str(ran)!r}, 'a').write('ran')\n{SETUP}".encode()), _file("PKG-INFO", INFO),
        _file("tiny_text/__init__.py", b"raise RuntimeError('never imported')"), _file("tiny_text/words.csv", TEXT)])
    declared = yaml.safe_load(world.catalogue.read_text())
    archive = (world.links / SDIST).read_bytes()
    declared["sources"]["text"] = {"package": "gatesweep-tiny-text", "version": "1.0", "sdist": SDIST,
                                   "sha256": hashlib.sha256(archive).hexdigest(), "size_bytes": len(archive),
                                   "licence": "MIT"}
    member = {"member": "gatesweep_tiny_text-1.0/tiny_text/words.csv", "md5": hashlib.md5(TEXT).hexdigest(),
              "size_bytes": len(TEXT)}
    declared["sets"]["words"] = {"title": "words", "kind": "labelled-text", "source": "text", "licence": "CC0",
                                 "origin": "a test", "rows": 2, "files": {"words.csv": member}}
    world.catalogue.write_text(yaml.safe_dump(declared, sort_keys=False))
    catalogue._load.cache_clear()
    return ran


def test_a_set_in_a_source_archive_is_rebuilt_and_equals_its_pin(world: Any, notes: Path) -> None:
    dataset = ensure("words")
    assert (dataset.path / "words.csv").read_bytes() == TEXT
    assert dataset.md5 == pins.digest_of({"words.csv": hashlib.md5(TEXT).hexdigest()})
    assert dataset.files == ("words.csv",)


def test_nothing_of_an_archive_with_another_hash_is_run_or_opened(world: Any, notes: Path) -> None:
    _write(world.links / SDIST, [_file("setup.py", f"open({str(notes)!r}, 'a').write('ran')\n{SETUP}".encode()),
                                 _file("PKG-INFO", INFO), _file("tiny_text/words.csv", b"evil")])
    with pytest.raises(DataError, match="HASHES"):
        ensure("words")
    assert not notes.exists()
    assert not (world.home / "data" / "words").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_a_link_in_the_place_of_a_member_is_not_followed(world: Any, notes: Path, tmp_path: Path, kind: bytes) -> None:
    (tmp_path / "secret").write_bytes(TEXT)
    _write(tmp_path / SDIST, [_file("tiny_text/other.csv", TEXT),
                              _link("tiny_text/words.csv", str(tmp_path / "secret"), kind)])
    with pytest.raises(DataError, match="has no member"):
        archives.extract(catalogue.entry("words"), tmp_path / SDIST, tmp_path)
    assert not (tmp_path / "words.csv").exists()


def test_a_member_of_another_size_or_of_other_bytes_is_refused(world: Any, notes: Path, tmp_path: Path) -> None:
    for data, message in ((TEXT + b"x", f"has {len(TEXT) + 1} bytes, not {len(TEXT)}"),
                          (TEXT.replace(b"good", b"evil"), "has md5")):
        _write(tmp_path / SDIST, [_file("tiny_text/words.csv", data)])
        with pytest.raises(DataError, match=message):
            archives.extract(catalogue.entry("words"), tmp_path / SDIST, tmp_path)


def test_a_cut_archive_is_not_a_sound_one(world: Any, notes: Path, tmp_path: Path) -> None:
    whole = (world.links / SDIST).read_bytes()
    for damaged in (whole[:60], b"PK" + whole[2:]):
        (tmp_path / SDIST).write_bytes(damaged)
        with pytest.raises(DataError, match="not a sound archive"):
            archives.extract(catalogue.entry("words"), tmp_path / SDIST, tmp_path)


def test_a_set_without_series_says_so_where_one_is_asked_for(world: Any, notes: Path) -> None:
    with pytest.raises(DataError, match="holds no series: it is of the kind 'labelled-text'"):
        load_series(ensure("words"))


def test_a_source_is_one_archive_and_a_kind_has_series_or_not(world: Any, notes: Path, tmp_path: Path) -> None:
    text = world.catalogue.read_text()
    for old, new, message in [(f"sdist: {SDIST}", f"sdist: {SDIST}\n    wheel: a.whl", "either `wheel` or `sdist`"),
                              (f"    sdist: {SDIST}\n", "", "either `wheel` or `sdist`"),
                              ("kind: labelled-text", "kind: series", "lacks series"),
                              ("title: hours.csv", "title: hours.csv\n    kind: encoder", "declares series")]:
        assert old in text
        place = tmp_path / f"{abs(hash(old + new))}.yaml"
        place.write_text(text.replace(old, new))
        with pytest.raises(ConfigError, match=message):
            catalogue.load(place)
