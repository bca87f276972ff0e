"""Ray for one sweep: a cluster of this machine's own, started here and always shut down; or one that is joined.

Both speak only to who knows the token (RAY_AUTH_MODE=token): that of RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH, else, for
a cluster of this machine's own, one that is made for it and never written down.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import secrets
import shutil
import signal
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from gatesweep.errors import ResourceError
from gatesweep.sweep.fitting import KIND, Node, check_fits, nodes_of
from gatesweep.sweep.handshake import agree_on_tls
from gatesweep.sweep.options import Resources

MODE, TOKENS = "RAY_AUTH_MODE", ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
_OWN_TOKEN = secrets.token_hex(32)
"""Of every cluster that this process starts."""
JOIN_S = 60.0
"""How long a cluster may take until it has room for a trial."""

ENVIRONMENT = {
    MODE: "token",
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
}

WORKERS = (
    "RAY_USAGE_STATS_ENABLED",
    "TUNE_FUNCTION_THREAD_TIMEOUT_S",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS",
    "RAY_AIR_NEW_OUTPUT",
    "RAY_CHDIR_TO_TRIAL_DIR",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO",
    "PL_DISABLE_FORK",
)
"""Those of them that a worker on another host must have too."""

WARM = "gatesweep.sweep.warm"


def check(wanted: Resources) -> None:
    """Refuse what this machine cannot give.

    Raises:
        ResourceError: more than there is.
    """
    there = {"CPU": float(os.cpu_count() or 1)}
    if wanted.gpus > 0:
        import torch

        there["GPU"] = float(torch.cuda.device_count())
        kinds = {torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())}
        if wanted.accelerator and any(wanted.accelerator in kind for kind in kinds):
            there[f"{KIND}{wanted.accelerator}"] = 1.0
    check_fits(wanted, [Node(there)], whole="this machine")


def logical_cpus(wanted: Resources, at_once: int) -> int:
    """Of a Ray of this machine's own: what so many trials ask for, whatever there is; where their number of workers is
    open, no more of these than there are cores."""
    least, most = (at_once * wanted.cpus * workers for workers in (wanted.least_workers, wanted.most_workers))
    return max(least, min(most, os.cpu_count() or 1))


@contextlib.contextmanager
def local(cpus: int, pending: int = 1, *, warm: bool = False) -> Iterator[Path]:
    """A running Ray of this machine with `cpus` logical CPUs; gives its temporary folder, removed afterwards.

    Args:
        pending: trials that may wait for their process at once.
        warm: the workers import what a trial needs as soon as they start, while the driver is busy with its checks.
    """
    ours = [MODE] if MODE not in os.environ else []
    _set_environment(pending)
    if not any(os.environ.get(name) for name in TOKENS):
        os.environ[TOKENS[0]] = _OWN_TOKEN
        ours.append(TOKENS[0])
    import ray

    read_token_again()
    # socket paths end at 107 bytes, so the folder's own path is short
    base = Path("/tmp") if os.path.isdir("/tmp") else Path(tempfile.gettempdir())
    _remove_orphans(base)
    folder = Path(tempfile.mkdtemp(prefix=f"gs-{os.getpid()}-", dir=base))
    logging.getLogger("ray").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="ray")
    on_term = signal.getsignal(signal.SIGTERM)
    try:
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
        except Exception as error:  # Ray raises Exception itself here
            said = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ResourceError(
                f"Ray did not start: {said}",
                place="this machine",
                hint="a very busy machine needs another try; gatesweep doctor starts Ray alone",
            ) from error
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, on_term)  # Ray puts a handler of its own there
        with _one_environment():
            yield folder
    finally:
        _shut_down()
        for name in ours:  # this process may join or submit to another cluster next
            os.environ.pop(name, None)
        read_token_again()
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def joined(address: str, wanted: Resources, pending: int = 1) -> Iterator[None]:
    """A running cluster, joined by this process as a driver and left afterwards.

    Args:
        address: of its head, or `auto` within one of its jobs.
        wanted: what one trial asks for.

    Raises:
        ResourceError: it does not hold one; it does not let us in.
        ConfigError: RAY_USE_TLS without its files.
    """
    _set_environment(pending)
    agree_on_tls(address)
    import ray

    read_token_again()
    logging.getLogger("ray").setLevel(logging.ERROR)
    on_term = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env={"env_vars": {name: os.environ[name] for name in WORKERS}},
        )
    except (ConnectionError, RuntimeError, ray.exceptions.AuthenticationError) as error:
        raise ResourceError(
            f"cannot join the Ray cluster: {str(error).strip().splitlines()[0]}",
            place=address,
            hint="is it running, of the same Ray version, and is RAY_AUTH_TOKEN_PATH, else ~/.ray/auth_token, the file"
            " of its token? A cluster without tokens: `environment: {RAY_AUTH_MODE: disabled}` in its file",
        ) from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_term)
    try:
        _wait_for_room(ray, address, wanted)
        with _one_environment():
            yield
    finally:
        _shut_down()


def read_token_again() -> None:
    """Ray keeps the first mode and token that its process has read; what the environment says now is what counts."""
    from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


def _wait_for_room(ray: Any, address: str, wanted: Resources) -> None:
    """Workers may join a little after their head."""
    deadline_s = time.monotonic() + JOIN_S
    while True:
        try:
            return check_fits(wanted, nodes_of(ray.nodes()), place=address)
        except ResourceError:
            if time.monotonic() > deadline_s:
                raise
        time.sleep(1.0)


def _set_environment(pending: int) -> None:
    """What Ray and Tune read, where the user has not said otherwise. Before the first `import ray`."""
    os.environ.update({name: os.environ.get(name, value) for name, value in ENVIRONMENT.items()})
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(max(1, pending))


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
