"""Where things lie: the root (the folder of `data.dvc`) and the home (everything that runs write).

    root = GATESWEEP_ROOT, else the nearest folder upward from here that holds `data.dvc`, else none
    home = GATESWEEP_HOME, else `.gatesweep/` in the root,                              else `./.gatesweep`

`dvc exp run --temp` and `--queue` work in a copy of the repository that is deleted afterwards: there the home is the
repository's own.

Both are only named here: nothing is created before somebody writes.
"""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import ConfigError, UserError

PIN_FILE = "data.dvc"
_DVC_COPIES = (".dvc", "tmp", "exps")


def find_root(start: Path | None = None) -> Path | None:
    """The folder of the nearest `data.dvc`, looked for upward from `start` (default: the working directory).

    Raises:
        ConfigError: GATESWEEP_ROOT names a folder without `data.dvc`.
    """
    named = os.environ.get("GATESWEEP_ROOT")
    if named and start is None:
        root = Path(named).expanduser().resolve()
        if not (root / PIN_FILE).is_file():
            raise ConfigError(
                f"no {PIN_FILE} in {root}",
                place="GATESWEEP_ROOT",
                hint=f"name the folder that holds {PIN_FILE}, or unset GATESWEEP_ROOT",
            )
        return root
    here = (start or Path.cwd()).resolve()
    return next((folder for folder in (here, *here.parents) if (folder / PIN_FILE).is_file()), None)


def home(root: Path | None = None) -> Path:
    """The home folder, absolute. `root` saves the search when the caller knows it."""
    named = os.environ.get("GATESWEEP_HOME")
    if named:
        return Path(named).expanduser().resolve()
    return _lasting((root or find_root() or Path.cwd()).resolve()) / ".gatesweep"


def _lasting(root: Path) -> Path:
    """The repository, where `root` is a copy that DVC made of it below `.dvc/tmp/exps`."""
    return next((above.parents[2] for above in root.parents if above.parts[-3:] == _DVC_COPIES), root)


def check_target(file: Path) -> None:
    """Refuse a place where no file can be written, before the work whose result it would hold.

    Raises:
        UserError: it is a folder, or its folder is not there: a mistyped path makes no folders.
    """
    if file.is_dir():
        raise UserError("is a folder", place=str(file), hint="name a file in it")
    if not file.parent.is_dir():
        raise UserError("its folder is not there", place=str(file), hint=f"mkdir -p {file.parent}")
