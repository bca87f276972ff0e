"""The images of docker/Dockerfile: small, without root, compilers, caches or secrets, at work on a read-only disk."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from engine import PLANTED, Engine, Image
from packageurl import PackageURL

pytestmark = [pytest.mark.images, pytest.mark.timeout(1700)]

MOST_BYTES = {"cpu": 1_900_000_000, "tracking": 1_000_000_000}
HARDENED = ("--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges", "--network", "none", "--tmpfs",
            "/tmp:size=1g,mode=1777,exec")  # fmt: skip
TARGETS = ("cpu", "tracking", "gpu")
COMPILERS = {"gcc", "cc", "g++", "c++", "clang", "ld", "as", "make", "cpp"}
IMPORTS = ("torch", "pytorch_lightning", "torchmetrics", "ray.tune", "ray.train.torch", "ray.dashboard.head", "mlflow",
           "dvc.repo", "dvc_s3", "optuna", "plotly.graph_objects", "sklearn.ensemble", "scipy.stats", "gatesweep.api")
KERNELS = "/opt/gatesweep/kernels"
ELSEWHERE = """
from gatesweep.cells import building, compiler, variants
compiler.processor = lambda: "flags : avx avx2 bmi1 bmi2 f16c fma abm movbe xsave of-another-maker"
print(*{each.path.parent for each in building.build([variants.find("peephole")])})
"""
BUILDERS = ("/root/.cache", "/root/.config", "/root/.pip", "/root/local", "/build", "/var/lib/apt/lists/",
            "/var/cache/apt/", "/home/gatesweep/.cache")
TOOLS = re.compile(r".*-dev|(gcc|cpp|g\+\+|clang)(-\d+)?|binutils.*|make|python3-venv|python3-pip")


def in_image(engine: Engine, image: Image, *command: str, options: tuple[str, ...] = HARDENED) -> str:
    """What a command says in a container of its own, hardened as ours are."""
    return engine("run", "--rm", *options, "--entrypoint", command[0], image.tag, *command[1:])


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_is_small_says_what_it_is_and_runs_as_nobody_in_particular(
        engine: Engine, image: Callable[[str], Image], target: str) -> None:
    made = image(target)
    told = engine.inspect(made.tag)
    config = told["Config"]
    assert told["Size"] <= MOST_BYTES.get(target, MOST_BYTES["cpu"])
    assert config["User"] == "1000:1000"
    assert config["Labels"]["org.opencontainers.image.revision"] == made.revision
    assert config["Labels"]["org.opencontainers.image.version"] == "0.1.0"
    assert told["Healthcheck"]["Test"][0] == "CMD"
    assert config["Entrypoint"] == ["gatesweep-tracking" if target == "tracking" else "gatesweep"]
    assert in_image(engine, made, "id", "-un").strip() == "gatesweep"
    print(f"{target}: {told['Size'] / 1e6:.0f} MB")


@pytest.mark.parametrize("target", ["cpu", "tracking"])
def test_no_compiler_cache_header_or_way_of_the_builder_is_left(
        engine: Engine, image: Callable[[str], Image], target: str) -> None:
    left = []
    for layer in engine.layers(image(target).tag):
        for path in filter(Path.is_file, layer.rglob("*")):
            name = "/" + path.relative_to(layer).as_posix()
            compiler = path.name in COMPILERS and "/bin/" in name
            if compiler or name.startswith(BUILDERS) or name.endswith(("/pip.conf", "/.netrc", "99host")):
                left.append(name)
    assert left == []
    packages = in_image(engine, image(target), "dpkg-query", "-W", "-f", "${Package}\n").split()
    assert "git" in packages
    assert [name for name in packages if TOOLS.fullmatch(name)] == []


@pytest.mark.parametrize("target", ["cpu", "tracking"])
def test_a_secret_beside_the_sources_is_in_no_layer_no_history_and_no_variable(
        engine: Engine, image: Callable[[str], Image], target: str) -> None:
    made = image(target)
    told = engine("image", "inspect", made.tag) + engine("history", "--no-trunc", "--format", "json", made.tag)
    assert PLANTED not in told
    places = [str(layer) for layer in engine.layers(made.tag)]
    assert len(places) >= 4
    found = subprocess.run(["grep", "-rlF", PLANTED, *places], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (1, "")
    variables = {each.partition("=")[0] for each in engine.inspect(made.tag)["Config"]["Env"]}
    assert [name for name in variables if any(word in name for word in ("PIP", "TOKEN", "PASSWORD", "SECRET"))] == []


def test_what_was_trimmed_is_missed_by_nothing_that_is_imported(
        engine: Engine, image: Callable[[str], Image]) -> None:
    every = f"import {', '.join(IMPORTS)}; print('all')"
    assert in_image(engine, image("cpu"), "python", "-c", every).strip() == "all"
    mlflow = "import mlflow.server.auth, psycopg, boto3, flask_wtf, mlflow.db; print('all')"
    assert in_image(engine, image("tracking"), "python", "-c", mlflow).strip() == "all"


def test_a_container_of_any_processor_of_the_kind_finds_its_kernels_compiled(
        engine: Engine, image: Callable[[str], Image]) -> None:
    words = ("cells", "build", "peephole", "gru", "--portable", "--json")
    told = json.loads(in_image(engine, image("cpu"), "gatesweep", *words))
    assert {str(Path(each["path"]).parent) for each in told["libraries"]} == {KERNELS}
    assert in_image(engine, image("cpu"), "python", "-c", ELSEWHERE).strip() == KERNELS


@pytest.mark.parametrize("target", ["cpu", "tracking"])
def test_its_bill_of_materials_is_valid_and_names_every_package_of_python_and_debian(
        engine: Engine, image: Callable[[str], Image], target: str) -> None:
    made = image(target)
    place = engine.inspect(made.tag)["Config"]["Labels"]["org.gatesweep.sbom"]
    text = in_image(engine, made, "cat", place)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    named = {each["purl"].partition("?")[0] for each in bill["components"]}
    listed = json.loads(in_image(engine, made, "python", "-m", "pip", "list", "--format", "json"))
    python = {PackageURL("pypi", None, each["name"], each["version"]) for each in listed if each["name"] != "gatesweep"}
    words = in_image(engine, made, "dpkg-query", "-W", "-f", "${Package} ${Version}\n").splitlines()
    debian = {PackageURL("deb", "debian", *line.split()) for line in words}
    assert len(python) > 60
    assert len(debian) > 80
    assert {PackageURL.from_string(each) for each in named} == python | debian
    assert bill["metadata"]["component"]["name"] == "gatesweep"
