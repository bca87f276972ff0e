"""Native code: compiled once, kept by content, and never half-written, foreign or alone."""

from __future__ import annotations

import ctypes
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from gatesweep.cells import compiler, levels

ADD = "long add(long a, long b) { return a + b; }"


@pytest.fixture(autouse=True)
def kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own."""
    monkeypatch.setenv("GATESWEEP_HOME", str(tmp_path))
    monkeypatch.delenv("GATESWEEP_KERNELS", raising=False)
    compiler.library.cache_clear()
    return tmp_path / "cache" / "kernels"


def _no_compiler(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("CC", raising=False)


def test_a_library_is_compiled_once_and_then_found_without_a_compiler(kernels: Path, monkeypatch) -> None:
    assert compiler.library(ADD, "add").add(2, 3) == 5
    (made,) = kernels.iterdir()
    compiler.library.cache_clear()
    _no_compiler(monkeypatch, kernels)
    assert compiler.built(ADD, "add") == made


def test_other_source_flags_or_processors_give_another_file(monkeypatch) -> None:
    first = compiler.built(ADD, "add")
    assert compiler.built(ADD + "\n", "add") != first
    monkeypatch.setattr(compiler, "FLAGS", (*compiler.FLAGS, "-g"))
    assert compiler.built(ADD, "add") != first
    monkeypatch.undo()
    monkeypatch.setattr(compiler, "processor", lambda: "another")
    assert compiler._digest(ADD) not in first.name


def test_without_a_compiler_the_reason_is_said(monkeypatch, tmp_path: Path) -> None:
    _no_compiler(monkeypatch, tmp_path)
    with pytest.raises(compiler.NoCompiler, match="none of cc, gcc, clang is on the PATH"):
        compiler.built(ADD, "add")


def test_a_compiler_that_is_named_and_absent_is_what_the_reason_names(monkeypatch) -> None:
    monkeypatch.setenv("CC", "nosuchcc")
    with pytest.raises(compiler.NoCompiler, match="CC names 'nosuchcc', which is not here"):
        compiler.built(ADD, "add")


def test_a_damaged_library_is_made_anew(kernels: Path) -> None:
    made = compiler.built(ADD, "add")
    made.unlink()
    made.write_text("junk")
    assert ctypes.CDLL(str(compiler.built(ADD, "add"))).add(2, 2) == 4


def test_a_compiler_that_fails_leaves_nothing_behind(kernels: Path, monkeypatch, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\nexit 127\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CC", str(broken))
    with pytest.raises(compiler.NoCompiler, match="exit code 127"):
        compiler.built(ADD, "add")
    monkeypatch.delenv("CC")
    with pytest.raises(compiler.NoCompiler, match="error"):
        compiler.built("no C at all", "add")
    assert list(kernels.iterdir()) == []


def test_a_given_folder_is_looked_into_first_and_may_be_filled(tmp_path: Path, kernels: Path, monkeypatch) -> None:
    given = tmp_path / "image"
    monkeypatch.setenv("GATESWEEP_KERNELS", str(given))
    assert compiler.built(ADD, "add").parent == given
    assert not kernels.exists()


V3 = "avx avx2 bmi1 bmi2 f16c fma abm movbe xsave"
V4 = f"{V3} avx512f avx512bw avx512cd avx512dq avx512vl"


@pytest.mark.skipif(platform.machine() != "x86_64", reason="levels are those of x86-64")
@pytest.mark.parametrize(("flags", "level"), [(f"{V4} avx512_bf16", "x86-64-v4"), (V4, "x86-64-v4"), (V3, "x86-64-v3")])
def test_code_for_a_level_serves_each_processor_that_has_it_where_nothing_can_be_compiled(
        tmp_path: Path, monkeypatch, flags: str, level: str) -> None:
    monkeypatch.setenv("GATESWEEP_KERNELS", str(tmp_path / "image"))
    made = {each: compiler.built(ADD, "add", each) for each in levels.portable()}
    assert len(set(made.values())) == 2
    _no_compiler(monkeypatch, tmp_path)
    monkeypatch.setattr(compiler, "processor", lambda: f"flags : fpu {flags}")
    assert compiler.built(ADD, "add") == made[level]
    assert ctypes.CDLL(str(made["x86-64-v3"])).add(2, 3) == 5
    monkeypatch.setattr(compiler, "processor", lambda: f"flags : fpu {flags}".replace(" fma", ""))
    with pytest.raises(compiler.NoCompiler):
        compiler.built(ADD, "add")


def test_code_for_this_very_processor_is_taken_before_that_for_its_level(kernels: Path, monkeypatch) -> None:
    own = compiler.built(ADD, "add")
    for level in levels.portable():
        assert compiler.built(ADD, "add", level) != own
    assert compiler.built(ADD, "add") == own


def test_where_nothing_can_be_written_a_folder_of_the_process_serves(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GATESWEEP_HOME", str(tmp_path / "file"))
    assert ctypes.CDLL(str(compiler.built(ADD, "add"))).add(1, 1) == 2


COMPILE = f"""
from gatesweep.cells import compiler
print(compiler.built({ADD!r}, "add"))
"""


def test_processes_that_compile_the_same_thing_at_once_do_not_disturb_each_other(kernels: Path) -> None:
    racing = [subprocess.Popen([sys.executable, "-c", COMPILE], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    files = [process.communicate(timeout=60)[0].strip() for process in racing]
    assert [process.returncode for process in racing] == [0] * 4
    assert len(set(files)) == 1
    assert [path.name for path in kernels.iterdir()] == [Path(files[0]).name]
