"""One engine, one copy of the project and one build of each image for all tests of this folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from engine import PLANTED, Engine, Image, host_mounts

SECRET_FILES = (".env", "docker/.env", "docker/secrets/ray_token", "configs/aws.key", "platform/gatesweep/id.pem")
KEPT = "GATESWEEP_IMAGES"
"""A folder that keeps images and layers from one run of the tests to the next."""


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    kept = os.environ.get(KEPT)
    made = Engine(Path(kept or tempfile.mkdtemp(prefix="gs-images-", dir="/tmp")))  # sockets need a short path
    try:
        made.make_base()
        yield made
    finally:
        made.close(keep=bool(kept))


@pytest.fixture(scope="session")
def mounts(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """How builds, and a head that fetches data, come to packages on this machine."""
    folder = tmp_path_factory.mktemp("host")
    for each in (folder, *folder.parents[:2]):
        each.chmod(0o755)
    return host_mounts(folder)


@pytest.fixture(scope="session")
def project(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tracked files as they are, in a repository with one commit: what somebody has who cloned it."""
    folder = tmp_path_factory.mktemp("clone") / "project"
    listed = subprocess.run(["git", "-C", str(root), "ls-files", "-z"], check=True, capture_output=True, text=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (root / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, folder / name)
    identity = ["-c", "user.name=A", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "first"]):
        subprocess.run(["git", "-C", str(folder), *words], check=True)
    return folder


@pytest.fixture(scope="session")
def image(engine: Engine, project: Path, mounts: list[str]) -> Callable[[str], Image]:
    """Builds a target of docker/Dockerfile, once, while the project is full of secrets."""
    revision = subprocess.run(["git", "-C", str(project), "rev-parse", "HEAD"], check=True, capture_output=True,
                              text=True).stdout.strip()  # fmt: skip
    built: dict[str, Image] = {}

    def build(target: str) -> Image:
        if target not in built:
            made = Image(f"localhost/gatesweep-{target}:test", revision)
            planted = [file for name in SECRET_FILES if not (file := project / name).exists()]
            for file in planted:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(f"{PLANTED}\n")
            try:
                engine.build(project, target, made.tag, file="docker/Dockerfile", mounts=mounts, VERSION="0.1.0",
                             REVISION=revision)  # fmt: skip
            finally:
                for file in planted:
                    file.unlink()
            built[target] = made
        return built[target]

    return build


@pytest.fixture(scope="session")
def stores(engine: Engine, root: Path, mounts: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Images of PostgreSQL and of an S3 store, in the place of those that docker/compose.yaml names."""
    folder = tmp_path_factory.mktemp("stores")
    shutil.copytree(root / "tests/images/stores", folder, dirs_exist_ok=True)
    shutil.copy2(Path(sys.executable).with_name("weed"), folder / "weed")
    tags = {target: f"localhost/{target}:test" for target in ("postgres", "objects")}
    for target, tag in tags.items():
        engine.build(folder, target, tag, mounts=mounts)
    return tags
