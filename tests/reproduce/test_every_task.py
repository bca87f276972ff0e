"""Every task: trained twice, and once with a kill in the middle; the same bits. Minutes, so outside of `make test`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TASKS = ("forecasting, traffic", "forecasting, stocks", "language modelling", "sentiment", "translation",
         "speech, strings", "speech, vowels", "music", "synthetic")  # fmt: skip


@pytest.fixture(scope="module")
def benchmark(root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmark_of_reproduction", root / "benchmarks" / "reproduce.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_all_of_them_are_here(benchmark: ModuleType) -> None:
    assert tuple(benchmark.RUNS) == TASKS


@pytest.mark.parametrize("name", TASKS)
def test_trained_again_and_killed_and_resumed_gives_the_same_bits(
        benchmark: ModuleType, name: str, tmp_path: Path) -> None:
    whole = benchmark.trained(name, tmp_path)
    again, killed = benchmark.again(name, whole, tmp_path), benchmark.killed(name, whole, tmp_path)
    assert (again["verdict"], again["first_difference"]) == ("bitwise", None)
    assert (killed["verdict"], killed["first_difference"]) == ("bitwise", None)
    assert killed["epochs_before"] >= 1, "or there was nothing to go on from"
    assert killed["compared"] == again["compared"] > 10
