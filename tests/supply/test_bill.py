"""The bill of materials of an environment that this test made, and the Dockerfiles."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

DPKG = """Package: git
Status: install ok installed
Architecture: amd64
Version: 1:2.39.5-0+deb12u2
Description: fast
 Status: in a description

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1
"""


def test_it_is_valid_names_what_is_installed_and_is_the_same_each_time(root: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=False, symlinks=True)
    (packages,) = (tmp_path / "env").glob("lib/python3*/site-packages")
    for name, version in {"gatesweep": "0.1.0", "torch": "2.13.0+cpu"}.items():
        folder = packages / f"{name}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n"
                                         "License-Expression: Apache-2.0\n")  # fmt: skip
    (tmp_path / "status").write_text(DPKG)
    command = [sys.executable, "docker/sbom.py", str(tmp_path / "env"), str(tmp_path / "status")]
    text, again = (subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout for _ in "12")
    assert text == again
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    assert {each["purl"] for each in bill["components"]} == {
        "pkg:pypi/torch@2.13.0%2Bcpu", "pkg:deb/debian/git@1%3A2.39.5-0%2Bdeb12u2?arch=amd64"}  # fmt: skip
    assert (bill["metadata"]["component"]["name"], bill["metadata"]["component"]["version"]) == ("gatesweep", "0.1.0")


def test_hadolint_finds_nothing_in_the_dockerfiles(root: Path) -> None:
    command = [str(Path(sys.executable).with_name("hadolint")), "docker/Dockerfile", "tests/images/stores/Dockerfile"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
