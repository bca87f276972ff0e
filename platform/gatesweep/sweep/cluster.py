"""A Ray cluster of this machine's own, for one sweep: started here, never joined, always shut down."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import shutil
import signal
import tempfile
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import psutil

from gatesweep.errors import ResourceError

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",  # Tune's own snapshots are of no use to us
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is the sweep's to answer
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": "20",  # a batch may be slow; below this the warm process is thrown away
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # a worker looks for data and modules where its driver does
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "PL_DISABLE_FORK": "1",  # what Tune would set in its own processes (ray#28197)
    # workers keep the memory of large temporary tensors instead of giving it back to the system at every step
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TRIM_THRESHOLD_": "8589934592",
    "MALLOC_TOP_PAD_": "268435456",
}

WARM = "gatesweep.sweep.warm"


def check(cpus: float, gpus: float) -> None:
    """Refuse what this machine cannot give.

    Raises:
        ResourceError: more CPUs or GPUs than there are.
    """
    there = os.cpu_count() or 1
    if cpus > there:
        raise ResourceError(
            f"resources.cpus: one trial asks for {cpus:g} CPUs and this machine has {there}",
            hint=f"set resources.cpus to at most {there}",
        )
    if gpus > 0:
        import torch

        if gpus > torch.cuda.device_count():
            raise ResourceError(
                f"resources.gpus: one trial asks for {gpus:g} GPUs and this machine has {torch.cuda.device_count()}",
                hint="set resources.gpus to 0 to train on the CPU",
            )


@contextlib.contextmanager
def local(cpus: int, pending: int = 1, *, warm: bool = False) -> Iterator[Path]:
    """A running Ray of this machine with `cpus` logical CPUs; gives its temporary folder, removed afterwards.

    Args:
        pending: trials that may wait for their process at once.
        warm: the workers import what a trial needs as soon as they start, while the driver is busy with its checks.
    """
    os.environ.update({name: os.environ.get(name, value) for name, value in ENVIRONMENT.items()})
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(max(1, pending))
    import ray

    # socket paths end at 107 bytes, so the folder's own path is short
    base = Path("/tmp") if os.path.isdir("/tmp") else Path(tempfile.gettempdir())
    _remove_orphans(base)
    folder = Path(tempfile.mkdtemp(prefix=f"gs-{os.getpid()}-", dir=base))
    logging.getLogger("ray").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="ray")
    on_term = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(
            address="local",
            num_cpus=cpus,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            _temp_dir=str(folder),
            _system_config={"preload_python_modules": [WARM] if warm else []},
        )
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, on_term)  # Ray puts a handler of its own there
        with _one_environment():
            yield folder
    finally:
        _shut_down()
        shutil.rmtree(folder, ignore_errors=True)


def _shut_down() -> None:
    """End Ray with no collection of garbage in between.

    An object reference that any thread frees while Ray's core worker goes down ends the process, with exit code 1.
    """
    import ray

    gc.collect()
    was_on = gc.isenabled()
    gc.disable()
    try:
        ray.shutdown()
    finally:
        if was_on:
            gc.enable()


@contextlib.contextmanager
def _one_environment() -> Iterator[None]:
    """Let trials run in the processes that Ray starts ahead.

    Tune asks for variables of its own in its processes, and a process that is already there does not fit any more: Ray
    would start others, each by way of a second interpreter. Here the workers have inherited the driver's environment,
    with those variables in it.
    """
    from ray.tune.execution import class_cache

    kept = class_cache.DEFAULT_ENV_VARS, class_cache.ENV_VARS_TO_PROPAGATE
    class_cache.DEFAULT_ENV_VARS, class_cache.ENV_VARS_TO_PROPAGATE = {}, set()
    try:
        yield
    finally:
        class_cache.DEFAULT_ENV_VARS, class_cache.ENV_VARS_TO_PROPAGATE = kept


def _remove_orphans(base: Path) -> None:
    """Temporary folders of sweeps whose process is gone: one that was killed cannot tidy up."""
    for folder in base.glob("gs-*-*"):
        owner = folder.name.split("-")[1]
        if owner.isdigit() and not psutil.pid_exists(int(owner)) and folder.stat().st_uid == os.getuid():
            shutil.rmtree(folder, ignore_errors=True)


def can_start() -> str:
    """Start and stop a small one; Ray's version where that worked."""
    with local(1):
        import ray

        return str(ray.__version__)
