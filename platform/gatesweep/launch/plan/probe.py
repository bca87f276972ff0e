"""A few real steps of one configuration in a process of its own: its memory is measured, and it may break.

The process reads a configuration on stdin and writes its answer, or its error, to the file that it is given.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatesweep import errors
from gatesweep.errors import GatesweepError, ResourceError, UserError
from gatesweep.runs.experiment import ExperimentConfig, experiment_from

if TYPE_CHECKING:
    from gatesweep.train.stopwatch import Timed

TIMEOUT_S = 900.0
"""The data are loaded in it too."""
_COMMAND = "from gatesweep.launch.plan.probe import main; main()"


def probe(config: ExperimentConfig, what: str, timeout_s: float = TIMEOUT_S) -> Timed:
    """Measure a configuration.

    Args:
        what: it in words: `the largest corner`.

    Raises:
        UserError: what its training raised, or that it was killed or took too long.
    """
    from gatesweep.train.stopwatch import Timed

    with tempfile.TemporaryDirectory(prefix="gatesweep-plan-") as folder:
        answer = Path(folder) / "answer.json"
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        try:
            done = subprocess.run(
                [sys.executable, "-c", _COMMAND, str(answer)], input=json.dumps(config.as_dict()), text=True,
                capture_output=True, timeout=timeout_s, env=environment, check=False)  # fmt: skip
        except subprocess.TimeoutExpired:
            raise UserError(f"{what}: a few steps took longer than {timeout_s:g} s", place="plan",
                            hint="a smaller space, or --timeout") from None
        told = json.loads(answer.read_text()) if answer.is_file() else {}
    if "error" in told:
        raise _error_of(told["error"], what)
    if not told:
        raise _without_a_word(done, what)
    return Timed(**told)


def _error_of(told: dict[str, Any], what: str) -> GatesweepError:
    kind = getattr(errors, told["kind"], UserError)
    kind = kind if issubclass(kind, UserError) else UserError  # a training that fails is the configuration's mistake
    made: GatesweepError = kind(f"{what}: {told['message']}", place=told["place"], hint=told["hint"])
    return made


def _without_a_word(done: subprocess.CompletedProcess[str], what: str) -> UserError:
    if done.returncode in (-9, 137):
        return ResourceError(f"{what}: its process was killed, as those are that need more memory than there is",
                             place="plan", hint="draw the space's bounds in, or a smaller trainer.batch_size")
    last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    return UserError(f"{what}: {last}", place="plan", hint="gatesweep run trains one configuration alone")


def main() -> None:
    """In the process of its own."""
    answer = Path(sys.argv[1])
    with contextlib.suppress(OSError):  # if memory ends, this process is to go and no other
        Path("/proc/self/oom_score_adj").write_text("1000")
    try:
        told = asdict(_measured(experiment_from(json.load(sys.stdin), place="plan")))
    except GatesweepError as error:
        told = {"error": {"kind": type(error).__name__, "message": error.message, "place": error.place,
                          "hint": error.hint}}  # fmt: skip
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not _is_of_memory(error):
            raise
        told = {"error": {"kind": "ResourceError", "message": str(error).splitlines()[0] or "no memory is left",
                          "place": "plan", "hint": "draw the space's bounds in, or a smaller trainer.batch_size"}}
    answer.write_text(json.dumps(told))


def _is_of_memory(error: RuntimeError) -> bool:
    return "out of memory" in str(error).lower() or "allocate" in str(error).lower()


def _measured(config: ExperimentConfig) -> Timed:
    from gatesweep.runs.build import prepare
    from gatesweep.train.stopwatch import timed

    task, recipe = prepare(config)
    return timed(task, recipe)
