"""What an image or an environment is made of: a bill of materials in CycloneDX's JSON, on standard output.

    python sbom.py /opt/gatesweep debian > sbom.cdx.json     # an environment, and what dpkg's file `debian` says
    python sbom.py .venv > sbom.cdx.json

Run by a Python that has cyclonedx-bom, which reads the metadata of whatever the environment has installed. The same
contents give the same bytes: no time and no serial number stand in it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

SPECIFICATION = "1.6"
OWN = "gatesweep"


def bill(environment: Path, status: Path | None = None) -> dict[str, Any]:
    """The bill; its subject is gatesweep, installed there or served there."""
    command = [sys.executable, "-m", "cyclonedx_py", "environment", "--spec-version", SPECIFICATION, "--no-validate",
               "--output-reproducible", str(environment / "bin" / "python")]  # fmt: skip
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    made: dict[str, Any] = json.loads(told, object_hook=without_pages)
    parts = made.setdefault("components", [])
    own = next((each for each in parts if each["name"] == OWN), {"name": OWN, "bom-ref": "environment"})
    made["metadata"]["component"] = {**own, "type": "application"}
    made["components"] = [each for each in parts if each is not own]
    if status is not None:
        made["components"] += debian(status.read_text(encoding="utf-8"))
    return made


def without_pages(part: dict[str, Any]) -> dict[str, Any]:
    """Addresses of projects' pages, and the builder's folder among them; a package is named by its `purl`."""
    return {key: value for key, value in part.items() if key != "externalReferences"}


def debian(status: str) -> Iterator[dict[str, str]]:
    """Every package that is installed, of dpkg's own record."""
    for paragraph in status.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and line[0] != " ")
        if fields.get("Status", "").endswith(" installed"):
            name, version = fields["Package"], fields["Version"]
            address = f"pkg:deb/debian/{quote(name)}@{quote(version)}?arch={fields['Architecture']}"
            yield {"type": "library", "name": name, "version": version, "purl": address, "bom-ref": address}


if __name__ == "__main__":
    json.dump(bill(*map(Path, sys.argv[1:3])), sys.stdout, indent=1, sort_keys=True)
