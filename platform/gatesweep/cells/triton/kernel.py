"""The generated kernels of one cell, loaded from the module that holds them.

Triton reads a kernel's source from its file, so the module is written to the cache of native code (`compiler.py`) under
a name that says its content; Triton itself keeps what it compiles from it. Kernels run on a GPU; Triton's interpreter
runs them on any tensor, slowly, where TRITON_INTERPRET=1 is set before triton is imported.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
import tempfile
from functools import lru_cache
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import torch

from gatesweep.cells.compiler import kept
from gatesweep.cells.description import Cell
from gatesweep.cells.triton.emit import module_source
from gatesweep.errors import ConfigError

BLOCK = 512
"""Units of one program of a kernel."""


class Kernels:
    """The two kernels of a cell, each called with what `emit.py` says, on contiguous tensors.

    Raises:
        ValueError: triton is not installed, or the cell's step does not work unit by unit.
    """

    def __init__(self, cell: Cell) -> None:
        source = module_source(cell)
        check_installed()
        module = _module(source, cell.name)
        self._step, self._step_back = module.step, module.step_back
        self._compiled = isinstance(module.step, importlib.import_module("triton").JITFunction)

    def check_device(self, device: torch.device) -> None:
        """Refuse tensors on which the kernels cannot run.

        Raises:
            ConfigError: they are not on a GPU, and nothing is interpreted.
        """
        if self._compiled and device.type != "cuda":
            raise ConfigError(
                f"it runs on a GPU, the tensors are on '{device}'", place="backend 'triton'",
                hint="move the model to a GPU or take backend auto; to try it without one, set TRITON_INTERPRET=1",
            )  # fmt: skip

    def step(self, tensors: list[torch.Tensor], n: int, batch: int, units: int) -> None:
        """Of the first n sequences of a batch."""
        _launch(self._step, tensors, n, batch, units)

    def step_back(self, tensors: list[torch.Tensor], n: int, batch: int, units: int) -> None:
        """Of the first n sequences of a batch."""
        _launch(self._step_back, tensors, n, batch, units)


@lru_cache
def kernels(cell: Cell) -> Kernels:
    """The cell's kernels, loaded once; errors as `Kernels`."""
    return Kernels(cell)


def check_installed() -> None:
    """Refuse to go on without triton.

    Raises:
        ValueError: with the command that installs it.
    """
    if find_spec("triton") is None:
        raise ValueError("backend 'triton': triton is not installed\n\nhint: pip install 'gatesweep[triton]'")


def _launch(kernel: Any, tensors: list[torch.Tensor], n: int, batch: int, units: int) -> None:
    with torch.cuda.device_of(tensors[0]):  # type: ignore[no-untyped-call]
        kernel[(-(-n * units // BLOCK),)](*tensors, n, batch * units, H=units, BLOCK=BLOCK)


def _module(source: str, name: str) -> Any:
    """The source as a module; a file that says anything else is written anew, never run."""
    stem = f"{name}-{hashlib.sha256(source.encode()).hexdigest()[:16]}"
    file = kept(f"{stem}.py", lambda path: _says(path, source), lambda target: _write(source, target))
    spec = spec_from_file_location(f"gatesweep_triton.{stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _says(path: Path, source: str) -> bool:
    try:
        return path.read_text(encoding="utf-8") == source
    except (OSError, UnicodeDecodeError):
        return False


def _write(source: str, target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".writing-") as folder:
        half = Path(folder, "module.py")
        half.write_text(source, encoding="utf-8")
        half.replace(target)
