"""What the tests' Ray workers run: they have their data by way of the object store, and note every fetch."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from remotes import contents

from gatesweep.data.fetch import Dataset, ensure, use, user_data


class Driver:
    """Offers data from a process that can be killed."""

    def offer(self, datasets: list[Dataset]) -> dict[str, Any]:
        """See `gatesweep.sweep.objects.offer`."""
        from gatesweep.sweep.objects import offer

        return offer(datasets)


def read(given: dict[str, Any], node: str, notes: str, *names: str) -> tuple[int, dict[str, dict[str, bytes]]]:
    """Install what the driver gave, and read the sets (or own files, by their path).

    Returns:
        The process, and the files' bytes by set.
    """
    from gatesweep.sweep.node_data import install
    from gatesweep.sweep.objects import ObjectOrigin

    plain = ObjectOrigin.fetch

    def noted(self: ObjectOrigin, md5: str, target: Path) -> None:
        with open(notes, "a") as file:
            file.write(f"{md5}\n")
        plain(self, md5, target)

    ObjectOrigin.fetch = noted  # type: ignore[method-assign]
    try:
        install(None, given["objects"], Path(node), pinned=given["pinned"])
        found = {}
        for name in names:
            path = user_data(name).path if Path(name).is_absolute() else ensure(name).path
            found[name] = contents(path) if path.is_dir() else {path.name: path.read_bytes()}
        assert not [name for name in sys.modules if name.partition(".")[0] == "dvc"]
        return os.getpid(), found
    finally:
        ObjectOrigin.fetch = plain  # type: ignore[method-assign]
        use(None)
