"""gatesweep doctor: one line a check, exit code 3 if anything is broken, and never a traceback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from gatesweep.cli import doctor as room
from gatesweep.cli.doctor import Finding
from gatesweep.errors import DataError

ALL = ["Python", "versions", "disk", "CPU", "GPU", "Ray", "store", "runs", "DVC", "data", "compiler"]


def call(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(room.doctor)
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch):
    """Replace the checks by the given findings."""
    return lambda **checks: monkeypatch.setattr(room, "CHECKS", checks)


def test_a_healthy_machine_gets_every_check_and_a_ray_that_really_started(own_home: Path) -> None:
    result = call("--json")
    document = json.loads(result.stdout)
    lines = {line["check"]: line for line in document["checks"]}
    assert list(lines) == ALL
    assert lines["Ray"]["level"] == "ok", lines["Ray"]
    assert lines["store"]["level"] == "ok", lines["store"]
    assert result.exit_code == (0 if document["ok"] else 3)
    assert not own_home.exists()


def test_a_failed_check_ends_in_3_and_says_what_to_do(only) -> None:
    only(disk=lambda: Finding("fail", "0.1 GiB free", "gatesweep clean"), CPU=lambda: Finding("ok", "2"))
    result = call()
    assert result.exit_code == 3
    assert result.stdout.splitlines() == ["fail  disk      0.1 GiB free", " " * 15 + " -> gatesweep clean",
                                          "ok    CPU       2"]


def test_a_warning_alone_ends_in_0(only) -> None:
    only(compiler=lambda: Finding("warn", "none", "install one"))
    assert call().exit_code == 0


def test_a_check_that_breaks_is_a_line_and_the_others_still_run(only) -> None:
    def ours() -> Finding:
        raise DataError("altered", place="data/traffic", hint="gatesweep data pull traffic --force")

    def vendors() -> Finding:
        raise RuntimeError("no socket")

    only(data=ours, Ray=vendors, CPU=lambda: Finding("ok", "2"))
    result = call("--json")
    assert result.exit_code == 3
    assert [(line["check"], line["level"], line["found"]) for line in json.loads(result.stdout)["checks"]] == [
        ("data", "fail", "data/traffic: altered"), ("Ray", "fail", "RuntimeError: no socket"), ("CPU", "ok", "2")]


def test_versions_are_held_against_the_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"torch": "2.13.0", "ray": "2.59.0"}
    monkeypatch.setattr(room, "_required", lambda: ["torch"])
    monkeypatch.setattr(room, "_installed", versions.get)
    finding = room._versions()
    assert finding.level == "warn"
    assert finding.found == "not as locked: ray 2.59.0 (lock: 2.60.0)"


def test_a_missing_dependency_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_required", lambda: ["torch", "no-such-package"])
    assert room._versions() == Finding("fail", "not installed: no-such-package", room.INSTALL)


def test_a_full_disk_is_a_failure(monkeypatch: pytest.MonkeyPatch, own_home: Path) -> None:
    class Usage:
        free = 2**29

    monkeypatch.setattr(room.shutil, "disk_usage", lambda place: Usage)
    assert room._disk().level == "fail"


def _compilers(folder: Path, script: str) -> None:
    for name in ("cc", "gcc", "clang"):
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)


def test_a_compiler_that_compiles_is_named_with_its_version(own_home: Path) -> None:
    finding = room._compiler()
    assert finding.level == "ok"
    assert "compiles what it should: " in finding.found
    assert not own_home.exists()


@pytest.mark.parametrize(("script", "found"), [
    ("exit 127", "exit code 127"),
    ("[ $1 = --version ] && echo fine && exit 0; echo no headers >&2; exit 1", "cannot compile check.so: no headers"),
    ('while [ $1 != -o ]; do shift; done; echo nonsense > "$2"', "makes libraries that do not load"),
])  # fmt: skip
def test_a_compiler_that_cannot_compile_is_no_compiler(monkeypatch, tmp_path: Path, script: str, found: str) -> None:
    _compilers(tmp_path, script)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    finding = room._compiler()
    assert finding.level == "warn"
    assert found in finding.found
    assert finding.remedy == "Debian: apt-get install gcc libc6-dev"


def test_a_compiler_that_cc_names_and_that_is_absent_is_what_the_line_names(monkeypatch) -> None:
    monkeypatch.setenv("CC", "nosuchcc")
    assert room._compiler().found == "the cells run on torch alone: CC names 'nosuchcc', which is not here"
