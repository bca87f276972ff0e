"""A worker process gets warm before its first trial comes: importing torch and Lightning takes 4 s of a core.

Ray's workers import this module as they start (`preload_python_modules`), while the driver is still proving a batch.
What Tune itself needs is imported at once; torch and Lightning follow in a thread, for Ray hands a trial only to a
process that is through with its start, and would start another in its place. `ready` waits for that thread, so that no
two threads ever import the same things.
"""

from __future__ import annotations

import importlib
import threading

import ray.tune.trainable.function_trainable  # noqa: F401

HEAVY = ("gatesweep.runs.build", "gatesweep.runs.retention", "gatesweep.tasks.forecasting.task")
"""What a trial imports. A task of the user's own is imported with the first trial's configuration."""


def _import() -> None:
    for name in HEAVY:
        importlib.import_module(name)


_thread = threading.Thread(target=_import, name="gatesweep-warm", daemon=True)
_thread.start()


def ready() -> None:
    """Wait until everything is imported."""
    _thread.join()
