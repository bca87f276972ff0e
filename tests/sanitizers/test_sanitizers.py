"""The native code reads and writes nothing but what is its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def _checked(root: Path, *arguments: str) -> str:
    """What the command says at its end."""
    command = [sys.executable, str(root / "tests" / "sanitizers" / "check.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("tool", ["address", "memcheck"])
def test_no_kind_of_native_code_touches_memory_but_its_own(root: Path, tool: str) -> None:
    assert ": 0 failures" in _checked(root, "--only", tool)
