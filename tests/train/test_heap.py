"""A training keeps the memory that its steps free, and new tensors are not filled first."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest
import torch

from gatesweep.train import seeds

FAULTS = """
import resource
import sys

import numpy as np

from gatesweep.train.heap import keep_freed_memory

if sys.argv[1] == "kept":
    keep_freed_memory()
for step in range(9):
    if step == 1:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(16 << 20, np.uint8)
    np.ones(64 << 20, np.uint8)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _faults(how: str) -> int:
    """Pages that the system had to hand out again while eight steps made and freed two large arrays."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    command = [sys.executable, "-c", FAULTS, how]
    return int(subprocess.run(command, capture_output=True, text=True, check=True, env=plain).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's malloc is told anything")
def test_a_later_step_gets_the_pages_that_an_earlier_one_freed() -> None:
    assert _faults("kept") < _faults("as it is") / 10


def test_deterministic_trainings_do_not_fill_new_tensors() -> None:
    seeds.set_up(1, threads=torch.get_num_threads(), deterministic=True)
    try:
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    finally:
        torch.use_deterministic_algorithms(False)
