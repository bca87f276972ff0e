"""Every error that gatesweep raises on purpose.

GatesweepError                 our fault                                      exit 1
├── UserError                  the user's mistake; nothing was started        exit 2
│   ├── ConfigError            a file, a key or a value of the configuration
│   ├── DataError              data missing, altered or unusable
│   │   ├── NodeDiskError      the node's disk for data is full, read-only or somebody else's
│   │   └── OriginError        where data come from did not answer; a retry may help
│   ├── ShapeError             a tensor or window of the wrong size
│   ├── StoreError             the tracking store: absent, damaged, not answering
│   ├── ClusterError           a cluster that does not answer, or refuses what was asked
│   ├── StorageError           shared storage: no rights, no credentials, no room, or no answer
│   │   └── StorageAway        it does not answer now
│   ├── LogError               a sweep's log: damaged, locked, or of another sweep
│   │   └── Fenced             another process has taken the log over: this one must not act any more
│   ├── NotFound               a run, trial, sweep or checkpoint that is not there
│   └── ResourceError          more CPUs, GPUs or disk than there are
├── TrialFailed                one training cannot go on; the sweep can        (never ends a process)
│   └── NotFinite              the loss or the watched metric is no number
├── Parted                     another worker of the same training is gone        exit 1
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


class NodeDiskError(DataError):
    """The folder that a node keeps its data in is full, read-only or somebody else's."""


class OriginError(DataError):
    """Where data come from did not answer, or broke off: the one error of data that a retry may mend."""


class ShapeError(UserError):
    """A tensor or a window of the wrong size."""


class StoreError(UserError):
    """The tracking store is absent, damaged or does not answer."""


class ClusterError(UserError):
    """A cluster does not answer, or refuses what was asked of it."""


class AttemptExists(ClusterError):
    """A driver of this name was sent already, by another process."""


class StorageError(UserError):
    """Storage that a sweep's folder lies on refuses: no rights, no credentials, no room, no library."""


class StorageAway(StorageError):
    """It does not answer now; asked again, it may."""


class LogError(UserError):
    """A sweep's log is damaged, locked by a live driver, or belongs to another sweep."""


class Fenced(LogError):
    """Another process has taken the log over. What was just written is not part of it; nobody may act on it."""


class NotFound(UserError):
    """No such run, trial, sweep or checkpoint."""


class ResourceError(UserError):
    """More CPUs, GPUs, memory or disk asked for than there are."""


class TrialFailed(GatesweepError):
    """One training cannot go on, for a reason that a retry would not change (a NaN loss)."""


class NotFinite(TrialFailed):
    """The loss or the watched metric is no number."""


class Parted(GatesweepError):
    """Another worker of the same training is gone: a symptom, what ended it is known elsewhere."""


class NegativeVerdict(GatesweepError):
    """The work was done, and its answer is no: a sweep without one completed trial, a check that failed."""

    exit_code = EXIT_VERDICT
