"""Every error that gatesweep raises on purpose.

GatesweepError                 our fault                                      exit 1
├── UserError                  the user's mistake; nothing was started        exit 2
│   ├── ConfigError            a file, a key or a value of the configuration
│   ├── DataError              data missing, altered or unusable
│   ├── ShapeError             a tensor or window of the wrong size
│   ├── StoreError             the tracking store: absent, damaged, not answering
│   ├── LogError               a sweep's log: damaged, locked, or of another sweep
│   ├── NotFound               a run, trial, sweep or checkpoint that is not there
│   └── ResourceError          more CPUs, GPUs or disk than there are
├── TrialFailed                one training cannot go on; the sweep can        (never ends a process)
└── NegativeVerdict            the work was done and the answer is no         exit 3
"""

from __future__ import annotations

EXIT_OK, EXIT_OURS, EXIT_USER, EXIT_VERDICT, EXIT_INTERRUPTED = 0, 1, 2, 3, 130


class GatesweepError(Exception):
    """The root: `message` says what, `place` says where, `hint` says what to do."""

    exit_code = EXIT_OURS

    def __init__(self, message: str, *, place: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message, self.place, self.hint = message, place, hint

    def __str__(self) -> str:
        text = f"{self.place}: {self.message}" if self.place else self.message
        return f"{text}\n\nhint: {self.hint}" if self.hint else text

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.message, self.place, self.hint)


def _rebuild(kind: type[GatesweepError], message: str, place: str | None, hint: str | None) -> GatesweepError:
    return kind(message, place=place, hint=hint)


class UserError(GatesweepError):
    """The user can mend it; nothing was started and nothing is half-written."""

    exit_code = EXIT_USER


class ConfigError(UserError):
    """A configuration file, key or value."""


class DataError(UserError):
    """Data that is missing, altered or unusable."""


class ShapeError(UserError):
    """A tensor or a window of the wrong size."""


class StoreError(UserError):
    """The tracking store is absent, damaged or does not answer."""


class LogError(UserError):
    """A sweep's log is damaged, locked by a live driver, or belongs to another sweep."""


class NotFound(UserError):
    """No such run, trial, sweep or checkpoint."""


class ResourceError(UserError):
    """More CPUs, GPUs, memory or disk asked for than there are."""


class TrialFailed(GatesweepError):
    """One training cannot go on, for a reason that a retry would not change (a NaN loss)."""


class NegativeVerdict(GatesweepError):
    """The work was done, and its answer is no: a sweep without one completed trial, a check that failed."""

    exit_code = EXIT_VERDICT
