"""Take out of an environment what no container reads; run while an image is built.

    python trim.py /opt/gatesweep

Packages' own tests, headers and C sources (an image has no compiler), torch's test programs, Ray's Java and its
reinforcement learning, source maps, the symbol tables of the largest libraries, and the bytecode of what is imported
seldom or never. Together a quarter of the environment; what is left computes the same.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

FOLDERS = ("torch/include", "torch/share", "torch/test", "pyarrow/include", "pyarrow/src", "ray/jars", "ray/cpp",
           "ray/rllib", "ray/llm")
TESTS = frozenset({"tests", "test"})
IMPORTED_TESTS = ("torch/",)
"""`torch/**/test*` below torch's Python packages is imported by them."""
SUFFIXES = frozenset({".a", ".c", ".cc", ".cpp", ".cu", ".cuh", ".h", ".hpp", ".map", ".pxd", ".pyx"})
PROGRAMS_OF_TORCH = "torch_shm_manager"
WITHOUT_BYTECODE = ("networkx", "pip", "plotly/graph_objs", "setuptools", "torch/_inductor", "virtualenv")
STRIPPED = ("torch/lib/*.so", "pyarrow/*.so*", "ray/_raylet.so", "ray/core/src/ray/*/*")
"""Not the libraries in `*.libs`: patchelf has moved their tables, and strip would break them."""
ELF = b"\x7fELF"


def main(environment: Path) -> None:
    (packages,) = environment.glob("lib/python3*/site-packages")
    before = size_bytes(environment)
    for folder in (*(packages / name for name in FOLDERS), *tests(packages), *bytecode(packages)):
        shutil.rmtree(folder, ignore_errors=not folder.exists())
    for file in (*sources(packages), *programs(packages)):
        file.unlink()
    for file in libraries(packages):
        subprocess.run(["strip", "--strip-unneeded", file], check=True)
    after = size_bytes(environment)
    print(f"{before / 1e6:.0f} MB, {after / 1e6:.0f} MB after trimming")


def tests(packages: Path) -> Iterator[Path]:
    """The outermost folders of tests."""
    for folder in sorted(packages.rglob("*")):
        name = folder.relative_to(packages).as_posix()
        if folder.is_dir() and folder.name in TESTS and not name.startswith(IMPORTED_TESTS):
            yield folder


def bytecode(packages: Path) -> Iterator[Path]:
    for name in WITHOUT_BYTECODE:
        yield from (packages / name).rglob("__pycache__")


def sources(packages: Path) -> list[Path]:
    return [file for file in packages.rglob("*") if file.suffix in SUFFIXES and file.is_file()]


def programs(packages: Path) -> list[Path]:
    """torch's compilers and test programs."""
    return [file for file in (packages / "torch/bin").rglob("*") if file.is_file() and file.name != PROGRAMS_OF_TORCH]


def libraries(packages: Path) -> Iterator[Path]:
    for pattern in STRIPPED:
        for file in packages.glob(pattern):
            if file.is_file() and not file.is_symlink() and file.read_bytes()[:4] == ELF:
                yield file


def size_bytes(folder: Path) -> int:
    return sum(file.lstat().st_size for file in folder.rglob("*"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
