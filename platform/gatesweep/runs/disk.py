"""Room on disk, asked for before anything starts."""

from __future__ import annotations

import shutil
from pathlib import Path

from gatesweep.errors import ResourceError

MIN_FREE_BYTES = 256 << 20
"""Below this much free disk nothing is started."""


def check_disk(folder: Path) -> None:
    """Refuse to start on a full disk.

    Raises:
        ResourceError: less than `MIN_FREE_BYTES` free.
    """
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(there).free
    if free < MIN_FREE_BYTES:
        raise ResourceError(
            f"only {free >> 20} MiB are free and a run wants at least {MIN_FREE_BYTES >> 20}",
            place=str(there),
            hint="free some disk, or name another one: GATESWEEP_HOME, on a cluster its file's `storage`",
        )
