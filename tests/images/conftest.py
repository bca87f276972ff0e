"""One engine, one copy of the project and one build of each image for all tests of this folder."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from engine import PLANTED, Engine, Image, host_mounts

SECRET_FILES = (".env", "docker/.env", "docker/secrets/ray_token", "configs/aws.key", "platform/gatesweep/id.pem")
KEPT = "GATESWEEP_IMAGES"
"""A folder that keeps images and layers from one run of the tests to the next."""


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    kept = os.environ.get(KEPT)
    made = Engine(Path(kept or tempfile.mkdtemp(prefix="gs-images-")))  # sockets need a short path
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # who ends the tests ends their containers too
    try:
        made.make_base()
        yield made
    finally:
        made.close(keep=bool(kept))
        signal.signal(signal.SIGTERM, before)


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
def builds(engine: Engine, project: Path, stores_context: Path, mounts: list[str],
           tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Image]]]:  # fmt: skip
    """Every image, two at a time, each once; ours from a project that is full of secrets."""
    revision = subprocess.run(["git", "-C", str(project), "rev-parse", "HEAD"], check=True, capture_output=True,
                              text=True).stdout.strip()  # fmt: skip
    planted = tmp_path_factory.mktemp("planted") / "project"
    shutil.copytree(project, planted)
    for name in SECRET_FILES:
        (planted / name).parent.mkdir(parents=True, exist_ok=True)
        (planted / name).write_text(f"{PLANTED}\n")

    def ours(target: str, *, after: Future[Image] | None = None) -> Image:
        if after:
            after.result()
        made = Image(f"localhost/gatesweep-{target}:test", revision)
        engine.build(planted, target, made.tag, file="docker/Dockerfile", mounts=mounts, VERSION="0.1.0",
                     REVISION=revision)  # fmt: skip
        return made

    def another(target: str) -> Image:
        engine.build(stores_context, target, tag := f"localhost/{target}:test", mounts=mounts)
        return Image(tag, "")

    two = ThreadPoolExecutor(2)  # what they start first, they take first: nothing waits for what comes later
    tools = two.submit(ours, "tools")
    stores = {name: two.submit(another, name) for name in ("postgres", "objects")}
    cpu, tracking = (two.submit(ours, name, after=tools) for name in ("cpu", "tracking"))
    try:
        yield {**stores, "cpu": cpu, "tracking": tracking, "gpu": two.submit(ours, "gpu", after=cpu)}
    finally:
        two.shutdown(cancel_futures=True)


@pytest.fixture(scope="session")
def image(builds: dict[str, Future[Image]]) -> Callable[[str], Image]:
    """A target of docker/Dockerfile, once it is built."""
    return lambda target: builds[target].result()


@pytest.fixture(scope="session")
def stores_context(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What stands in the place of the images of others that docker/compose.yaml names."""
    folder = tmp_path_factory.mktemp("stores")
    shutil.copytree(root / "tests/images/stores", folder, dirs_exist_ok=True)
    shutil.copy2(Path(sys.executable).with_name("weed"), folder / "weed")
    return folder
