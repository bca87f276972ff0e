"""A training again, in a process of its own: the old code, the recorded configuration, threads and settings.

The process is the command line of the old tree, so that nothing of today's code takes part; it records an ordinary run
in the same store.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gatesweep
from gatesweep.errors import EXIT_INTERRUPTED, EXIT_USER, GatesweepError, UserError
from gatesweep.track.machine import VARIABLES
from gatesweep.track.store import Store

SOURCE_ROOT = Path("platform") / "gatesweep"
_NOT_SET = frozenset(("LD_PRELOAD", "CUDA_VISIBLE_DEVICES"))  # places of another machine
_CLI = "from gatesweep.cli import main; main()"


def train_again(config: Path, folder: Path, store: Store, *, environment: Mapping[str, str], epochs: int | None = None,
                overrides: Sequence[str] = (), python: str = sys.executable, top: Path | None = None,
                instead_of: Path | None = None) -> str:  # fmt: skip
    """Run `gatesweep run CONFIG` in `folder` and return the new run's id.

    Args:
        config: the experiment's file.
        environment: the variables that the run had, of those that a lock records; others of them are unset.
        epochs: of the schedule's, the first ones.
        overrides: `key=value`, what is to be another.
        python: the interpreter.
        top: of the tree; where it holds the platform itself, that is what runs.
        instead_of: the top of the repository that the tree stands for: what PYTHONPATH names below it is the tree's.

    Raises:
        UserError: what the old command line refused, in its words.
        GatesweepError: it failed.
    """
    words = ["run", str(config), "--json", *(["--epochs", str(epochs)] if epochs else []),
             *(word for each in overrides for word in ("--set", each))]  # fmt: skip
    return str(answer_of(words, config, folder, store, environment=environment, python=python, top=top,
                         instead_of=instead_of)["run_id"])


def answer_of(words: Sequence[str], config: Path, folder: Path, store: Store, *, environment: Mapping[str, str],
              python: str = sys.executable, top: Path | None = None,
              instead_of: Path | None = None) -> dict[str, Any]:  # fmt: skip
    """What the old tree's command line answers to these words, with `--json` among them; as of `train_again`."""
    process = subprocess.Popen([python, "-c", _CLI, *words], cwd=folder, stdin=subprocess.DEVNULL,
                               env=_environment(environment, store, top, instead_of),
                               stdout=subprocess.PIPE, text=True, start_new_session=True)  # fmt: skip
    answered = _heard(process)
    if process.returncode == EXIT_INTERRUPTED:
        raise KeyboardInterrupt
    if process.returncode == EXIT_USER:
        raise UserError("the training was refused; the message above says why", place=str(config))
    if process.returncode:
        raise GatesweepError(f"the training failed with exit code {process.returncode}", place=str(config))
    answer: dict[str, Any] = json.loads(answered)
    return answer


def _heard(process: subprocess.Popen[str]) -> str:
    """What it prints. An interrupt goes on to it, once, and is waited for: it ends its epoch and closes its run."""
    try:
        return process.communicate()[0]
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        try:
            process.communicate()
        finally:
            process.kill()
        raise


def _environment(recorded: Mapping[str, str], store: Store, top: Path | None,
                 instead_of: Path | None = None) -> dict[str, str]:  # fmt: skip
    """This process's own, with the recorded settings, the same store, and the old tree's code first."""
    found = {key: value for key, value in os.environ.items() if key not in VARIABLES or key in _NOT_SET}
    found |= {key: value for key, value in recorded.items() if key in VARIABLES and key not in _NOT_SET}
    found |= {"GATESWEEP_HOME": str(store.home), "MLFLOW_TRACKING_URI": store.uri,
              "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"}  # old trees let MLflow print beside the answer
    found.pop("GATESWEEP_ROOT", None)
    whole = top is not None and (top / SOURCE_ROOT).is_dir()
    platform = top / SOURCE_ROOT.parent if top is not None and whole else Path(gatesweep.__file__).parents[1]
    entries = [entry for entry in found.get("PYTHONPATH", "").split(os.pathsep) if entry]
    if top is not None and instead_of is not None:
        entries = [_moved(Path(entry), instead_of, top) for entry in entries]
    found["PYTHONPATH"] = os.pathsep.join([str(platform), *entries])
    return found


def _moved(entry: Path, root: Path, top: Path) -> str:
    """An absolute path below `root` is the same one below `top`; a relative one counts from where the process stands.
    """
    if not entry.is_absolute() or not entry.resolve().is_relative_to(root.resolve()):
        return str(entry)
    return str(top / entry.resolve().relative_to(root.resolve()))
