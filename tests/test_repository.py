"""What the repository as a whole promises: its layout, its layers, its lock, and that light things stay light."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "platform"
PACKAGE = SOURCE / "gatesweep"
HEAVY = ("torch", "ray", "mlflow", "pandas", "pytorch_lightning", "torchmetrics", "dvc", "optuna", "pyarrow", "sklearn")
TEXT = {".py", ".yaml", ".yml", ".toml", ".c", ".h", ".cpp", ".js", ".css", ".html", ".sh"}
LONGEST_FILE = 450
MODULES = sorted(PACKAGE.rglob("*.py"))


def run_python(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter that finds gatesweep the way this one did."""
    path = os.pathsep.join(filter(None, (str(SOURCE), os.environ.get("PYTHONPATH"))))
    return subprocess.run([sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, timeout=120,
                          env={**os.environ, "PYTHONPATH": path})


def imported_by(statement: str) -> set[str]:
    """The heavy packages that a fresh interpreter has loaded after `statement`."""
    found = run_python("-c", f"import sys\n{statement}\nprint(*(name for name in {HEAVY!r} if name in sys.modules))")
    assert found.returncode == 0, found.stderr
    return set(found.stdout.split())


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def locked() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonical(name): version for name, version in pins.items()}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def dotted(file: Path) -> str:
    parts = file.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


# The source root is called platform, like a module of the standard library.


def test_nothing_in_the_tree_shadows_the_standard_librarys_platform() -> None:
    assert not (SOURCE / "__init__.py").exists()
    assert not (ROOT / "platform.py").exists()


def test_the_standard_librarys_platform_works_from_the_root() -> None:
    found = run_python("-c", "import platform; print(platform.system())")
    assert found.stdout.strip() == os.uname().sysname, found.stderr


# Light things stay light.


def test_help_imports_nothing_heavy() -> None:
    statement = """
import contextlib, io
from gatesweep.cli import main
sys.argv = ["gatesweep", "--help"]
with contextlib.redirect_stdout(io.StringIO()) as said:
    try:
        main()
    except SystemExit as end:
        assert not end.code, end.code
assert "sweep" in said.getvalue()
"""
    assert imported_by(statement) == set()


def light_modules() -> list[str]:
    """Every module that declares a configuration section, every room's own front, and the modules below them all."""
    light = ("__init__.py", "config.py", "errors.py")
    return [dotted(file) for file in MODULES
            if file.name in light or file.parent.name == "config" or declares_section(file)]


def declares_section(file: Path) -> bool:
    classes = (node for node in ast.walk(ast.parse(file.read_bytes())) if isinstance(node, ast.ClassDef))
    return any(isinstance(base, ast.Name) and base.id == "Section" for each in classes for base in each.bases)


def test_modules_with_configuration_sections_import_nothing_heavy() -> None:
    blame = f"""
import importlib, json, sys
blame, seen = {{}}, set()
for module in {light_modules()!r}:
    importlib.import_module(module)
    new = {{name for name in {HEAVY!r} if name in sys.modules}} - seen
    seen |= new
    if new:
        blame[module] = sorted(new)
print(json.dumps(blame))
"""
    found = run_python("-c", blame)
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout) == {}


# Layers.


def designed_layers() -> list[set[str]]:
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if re.match(r"\s+cli / ", line))
    return rooms_of(line.split("/"))


def rooms_of(layers: list[str]) -> list[set[str]]:
    """`api`, the rooms' face in Python, is a module beside them: the design may leave it out."""
    found = [{room.strip(" ()`") for room in layer.split("|")} - {"api"} for layer in layers]
    return [layer for layer in found if layer]


def test_the_layers_of_the_design_are_those_that_import_linter_holds() -> None:
    contracts = project()["tool"]["importlinter"]["contracts"]
    held = next(contract for contract in contracts if contract["type"] == "layers")
    assert held["containers"] == ["gatesweep"]
    assert held["exhaustive"] is True
    assert rooms_of(held["layers"]) == designed_layers()


# Readable code.


@pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_no_exception_is_swallowed(file: Path) -> None:
    handlers = [node for node in ast.walk(ast.parse(file.read_bytes())) if isinstance(node, ast.ExceptHandler)]
    silent = [f"{file.name}:{each.lineno}" for each in handlers if all(is_nothing(line) for line in each.body)]
    bare = [f"{file.name}:{each.lineno}" for each in handlers if each.type is None]
    assert (silent, bare) == ([], [])


def is_nothing(line: ast.stmt) -> bool:
    return isinstance(line, ast.Pass) or (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant))


def test_no_file_is_longer_than_a_reader_can_hold() -> None:
    files = [file for file in SOURCE.rglob("*") if file.suffix in TEXT and ".egg-info" not in str(file)]
    assert len(files) > 50
    lengths = {str(file.relative_to(ROOT)): len(file.read_text(encoding="utf-8").splitlines()) for file in files}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}


# The lock.


def test_the_lock_names_no_build_of_a_package() -> None:
    assert {name: version for name, version in locked().items() if "+" in version} == {}


def all_requirements() -> Iterator[Requirement]:
    table = project()["project"]
    extras = table["optional-dependencies"].values()
    for text in [*table["dependencies"], *(each for extra in extras for each in extra)]:
        if not text.startswith("gatesweep["):
            yield Requirement(text)


def test_the_lock_pins_every_dependency_within_its_bounds() -> None:
    pins = locked()
    wrong = [str(each) for each in all_requirements()
             if canonical(each.name) not in pins or pins[canonical(each.name)] not in each.specifier]
    assert wrong == []


@pytest.mark.parametrize("name", ["ray", "mlflow", "torch"])
def test_what_a_cluster_and_a_store_must_agree_on_is_held_to_the_minor(name: str) -> None:
    pin = locked()[name]
    major, minor = pin.split(".")[:2]
    bounds = next(each.specifier for each in all_requirements() if each.name == name)
    assert pin in bounds
    assert f"{major}.{int(minor) + 1}.0" not in bounds


# What the pages for people say.


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_every_make_target_that_a_page_names_exists(page: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)\s*make ([a-z]+)", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE))
    assert named
    assert named <= targets


def test_every_link_between_the_pages_leads_somewhere() -> None:
    broken = []
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text(encoding="utf-8")):
            if not (page.parent / target).exists():
                broken.append(f"{page.name}: {target}")
    assert broken == []
