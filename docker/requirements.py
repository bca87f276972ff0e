"""What pyproject.toml asks for, a requirement a line: all its dependencies (`project`), one of them, or an extra.

    python requirements.py project s3 cluster > requirements.txt
    python requirements.py mlflow tracking > requirements.txt
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path


def requirements(project: dict, names: Sequence[str]) -> list[str]:
    """The lines, in the order of the names.

    Raises:
        SystemExit: pyproject.toml knows nothing of a name.
    """
    own: list[str] = project["dependencies"]
    single = {re.split(r"[^\w.-]", line)[0]: [line] for line in own}
    groups = single | project["optional-dependencies"] | {"project": own}
    if unknown := [name for name in names if name not in groups]:
        sys.exit(f"pyproject.toml: neither a dependency nor an extra: {', '.join(unknown)}")
    return [line for name in names for line in groups[name]]


if __name__ == "__main__":
    told = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
    print(*requirements(told["project"], sys.argv[1:]), sep="\n")
