"""How commands speak: progress and words on stderr, results on stdout, one message and one exit code for an error."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from gatesweep.errors import EXIT_INTERRUPTED, EXIT_USER, GatesweepError


def _set(example: str) -> Any:
    return typer.Option("--set", metavar="KEY=VALUE", help=f"Override one value, e.g. --set {example}. Repeatable.")


SetOption = Annotated[list[str] | None, _set("optimizer.lr=0.003")]
SweepSetOption = Annotated[list[str] | None, _set("experiment.optimizer.lr=0.003")]
ResumeSetOption = Annotated[list[str] | None, _set("budget.trials=40")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")]


def say(line: str) -> None:
    """A line for the person at the terminal."""
    print(line, file=sys.stderr, flush=True)


def print_json(value: Mapping[str, Any]) -> None:
    """One object on stdout."""
    print(json.dumps(value, default=str, allow_nan=True))


def libraries_on_stderr() -> contextlib.AbstractContextManager[object]:
    """While the work is done, what libraries print (Ray Tune tells of dead workers) does not reach stdout."""
    return contextlib.redirect_stdout(sys.stderr)


@contextlib.contextmanager
def answering(resume: str | None = None) -> Iterator[None]:
    """Errors of ours as one message and their exit code; an interruption as 130."""
    _terminate_like_interrupt()
    try:
        yield
    except GatesweepError as error:
        say(f"{_short(error)}")
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        say(f"\ninterrupted{f'; go on with: gatesweep resume {resume}' if resume else ''}")
        raise SystemExit(EXIT_INTERRUPTED) from None
    except OSError as error:
        if error.errno not in (28, 30, 13):  # no space left, read-only, permission denied
            raise
        say(f"{error.filename or 'disk'}: {error.strerror}")
        say("\nhint: free space or rights there, or point GATESWEEP_HOME elsewhere")
        raise SystemExit(EXIT_USER) from None


def _short(error: GatesweepError) -> str:
    """The message, with paths below the working folder as people type them."""
    return str(error).replace(f"{Path.cwd()}{os.sep}", "")


def _terminate_like_interrupt() -> None:
    """SIGTERM (a scheduler, a container's stop) ends a command as Ctrl-C does: cleanly and resumably."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    with contextlib.suppress(ValueError):  # only the main thread may
        signal.signal(signal.SIGTERM, interrupt)
