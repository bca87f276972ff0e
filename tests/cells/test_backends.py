"""Which back end runs what, and what `auto` takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from cell_problems import problem

from gatesweep.cells import Recurrent, backends
from gatesweep.cells.backends import UNROLLS, resolve, supports, torch_unroll
from gatesweep.cells.compiler import library
from gatesweep.cells.names import BACKENDS, NAMES, check_backend
from gatesweep.cells.native.kernel import kernel
from gatesweep.cells.options import cell_norm, clip, recurrent_dropout, zoneout
from gatesweep.cells.variants import find
from gatesweep.cells.weights import Weights
from gatesweep.errors import ConfigError

VANILLA = find("vanilla")
CHANGED = [zoneout(VANILLA, ("h",)), recurrent_dropout(VANILLA, "candidate"), clip(VANILLA, 1.0)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("backend", UNROLLS)
def test_a_back_end_runs_what_it_supports_and_refuses_the_rest(name: str, backend: str) -> None:
    cell = find(name)
    task = problem(cell, T=2, B=2, D=3, H=4)
    assert supports(backend, cell) == supports(backend, cell, task.weights())
    if supports(backend, cell):
        assert task.run(UNROLLS[backend])[0].shape == (2, 2, 4)
        assert resolve(cell, backend) == backend
        check_backend(name, backend, None)
    else:
        with pytest.raises(ValueError, match=r"no kernel|unit by unit|no parallel form"):
            task.run(UNROLLS[backend])
        with pytest.raises(ValueError, match=f"cell '{name}'"):
            resolve(cell, backend)
        with pytest.raises(ValueError, match=f"cell '{name}'"):
            check_backend(name, backend, None)


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine that has none."""
    monkeypatch.setattr(backends, "_compiled", lambda kind: False)


@pytest.mark.parametrize("name", NAMES)
def test_auto_takes_the_native_loops_wherever_they_run(name: str) -> None:
    cell = find(name)
    weights = problem(cell, T=1, B=1, D=1, H=4).weights()
    assert resolve(cell, "auto", weights) == "native"
    for dtype, runs in ((torch.bfloat16, True), (torch.float64, True), (torch.float16, False)):
        converted = Weights(*(None if w is None else w.to(dtype) for w in weights))
        assert (resolve(cell, "auto", converted) == "native") == runs


@pytest.mark.parametrize(("name", "fastest"), [
    ("vanilla", "torch"), ("gru", "torch"), ("rnn", "torch"), ("peephole", "fused"), ("fgr", "fused"),
    ("slstm", "fused"), ("mingru", "parallel"), ("minlstm", "parallel"), ("gru_before", "reference"),
])  # fmt: skip
def test_without_a_compiler_auto_takes_the_fastest_that_can(no_compiler: None, name: str, fastest: str) -> None:
    cell = find(name)
    assert resolve(cell, "auto", problem(cell, T=1, B=1, D=1, H=4).weights()) == fastest


@pytest.mark.parametrize("cell", CHANGED, ids=lambda cell: cell.name)
def test_a_changed_vanilla_is_not_torchs(cell) -> None:
    assert not supports("torch", cell)
    assert supports("fused", cell)


@pytest.mark.parametrize(("cell", "options", "fastest"), [
    (VANILLA, {}, "torch"), (VANILLA, {"heads": 2}, "fused"), (VANILLA, {"norm": True}, "reference"),
    (VANILLA, {"projection": 2}, "reference"), (cell_norm(VANILLA), {}, "reference"),
])  # fmt: skip
def test_auto_looks_at_the_weights_too(no_compiler: None, cell, options, fastest: str) -> None:
    assert resolve(cell, "auto", problem(cell, T=1, B=1, D=1, H=4, **options).weights()) == fastest


@pytest.fixture
def no_kernels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """An empty cache and no compiler on the PATH."""
    monkeypatch.setenv("GATESWEEP_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("GATESWEEP_KERNELS", "CC"):
        monkeypatch.delenv(name, raising=False)
    made_before = (kernel, library, backends._compiled, backends._say_that_nothing_compiles)
    for cached in made_before:
        cached.cache_clear()
    yield
    for cached in made_before:
        cached.cache_clear()


def test_whoever_asks_for_native_loops_that_cannot_be_made_hears_why(no_kernels: None) -> None:
    with pytest.raises(ConfigError, match=r"none of cc, gcc, clang is on the PATH\n\nhint: install a C compiler"):
        Recurrent("nig", input_size=1, hidden_size=4, backend="native")


def test_that_nothing_compiles_is_said_once(no_kernels: None, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("peephole", "nig", "vanilla"):
        cell = find(name)
        assert resolve(cell, "auto", problem(cell, T=1, B=1, D=1, H=4).weights()) in ("torch", "fused")
    (said,) = [record.getMessage() for record in caplog.records if record.name == "gatesweep"]
    assert "none of cc, gcc, clang is on the PATH" in said


def test_torchs_kernels_know_no_masks() -> None:
    task = problem(CHANGED[0], T=1, B=1, D=1, H=2)
    with pytest.raises(ValueError, match="torch has no kernel"):
        torch_unroll(VANILLA, task.tensors[0], tuple(task.tensors[-2:]), task.weights(), None, task.masks)


def test_an_unknown_back_end_is_answered_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=f"unknown backend 'cuda': one of {', '.join(BACKENDS)}"):
        resolve(VANILLA, "cuda")
