"""git, asked: without optional locks, pagers, prompts, hooks of anybody's, or translations."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def ask(folder: Path, *words: str, given: bytes | None = None, index: Path | None = None,
        timeout_s: float = 20.0) -> subprocess.CompletedProcess[bytes]:  # fmt: skip
    """One call in a folder, whatever its exit code.

    Args:
        given: its standard input.
        index: a file in the place of the repository's own index.

    Raises:
        FileNotFoundError: there is no git, or no such folder.
        subprocess.TimeoutExpired: it does not end.
    """
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    if index is not None:
        environment["GIT_INDEX_FILE"] = str(index)
    command = ["git", "-c", "core.hooksPath=/dev/null", "-c", "advice.detachedHead=false", "-C", str(folder), *words]
    return subprocess.run(command, env=environment, input=given or b"", capture_output=True, timeout=timeout_s,
                          check=False)  # fmt: skip
