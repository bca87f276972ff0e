"""A sweep is checked here, packed, sent, and remembered; nothing is sent that the cluster would find wrong later."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gatesweep.config.places import PIN_FILE, find_root
from gatesweep.config.secrets import Reference, value_of
from gatesweep.data.pins import read_pins
from gatesweep.errors import AttemptExists, ClusterError, ConfigError, ResourceError, StorageError, StoreError
from gatesweep.launch import package
from gatesweep.launch.checks import check_data, check_warm_start
from gatesweep.launch.followed import LOG, Followed, number_of, place_of, surroundings
from gatesweep.launch.kuberay import KubeRayCluster
from gatesweep.launch.runner import Order, Runner, runner_of
from gatesweep.launch.sections import ClusterConfig, RayCluster
from gatesweep.launch.submitted import Attempt, Submitted, file_of, forget, job_id_of, now, recall, remember
from gatesweep.sweep.spec import SweepSpec
from gatesweep.track.git import SENT
from gatesweep.track.lineage import Lock, collect
from gatesweep.track.vendor import must_answer

Say = Callable[[str], None]
Remote = RayCluster | KubeRayCluster
"""Clusters to which the working tree travels."""
PREFIX = "gatesweep-package-"


@dataclass(frozen=True)
class Sent:
    """What was sent."""

    sweep_id: str
    job_id: str
    cluster: str
    package_bytes: int | None = None
    """Before compression; none where nothing had to be packed."""

    def as_dict(self) -> dict[str, Any]:
        """What `gatesweep submit --json` prints."""
        return dict(vars(self))


def submit(spec: SweepSpec, cluster: ClusterConfig, sweep_id: str, home: Path, say: Say) -> Sent:
    """Send a new sweep.

    Raises:
        UserError: before anything was sent.
    """
    runner = runner_of(cluster, home)
    _refuse_a_file(cluster)
    _refuse_in_use(sweep_id, cluster, home)
    check_resources(spec, cluster)
    check_data(spec, cluster)
    check_warm_start(spec, cluster, home)
    say(f"{cluster.name}: {runner.must_answer()}")
    _tell_of_tracking(cluster, say)
    return _send(Submitted(sweep_id, spec.name, cluster, spec.as_dict()), spec, runner, home, 1, (), say)


def preview(spec: SweepSpec, cluster: ClusterConfig, sweep_id: str, home: Path, say: Say) -> dict[str, Any]:
    """What `submit` would apply to Kubernetes, checked as it would be; nothing is sent, and nobody asked.

    Raises:
        UserError: as `submit` would, before it asks the cluster.
    """
    if not isinstance(cluster, KubeRayCluster):
        raise ConfigError(f"a cluster of kind {cluster.kind} is sent no manifest", place="--dry-run",
                          hint="a file of kind kuberay; gatesweep validate checks a file of any kind")
    from gatesweep.launch.kube import rules
    from gatesweep.launch.kube.manifest import rayjob
    from gatesweep.launch.kube.ship import address_of

    check_resources(spec, cluster)
    check_data(spec, cluster)
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder:
        archive, _ = _packed(spec, cluster, home, Path(folder), say)
        order = Order(sweep_id, 1, job_id_of(sweep_id, 1), _words(Path(SENT), "{}", sweep_id, ()), archive)
        manifest = rayjob(cluster, order, address_of(archive, cluster))
    rules.refuse(manifest, cluster.name)
    return manifest


def again(followed: Followed, spec: SweepSpec, words: Sequence[str], say: Say) -> Sent:
    """Send another driver for a sweep that has none: it resumes from the log.

    Args:
        words: further arguments of jobs/sweep.py, e.g. `--set budget.trials=40`.

    Raises:
        ClusterError: an attempt is alive.
    """
    assert followed.cluster is not None, "a sweep without a cluster is resumed here"
    runner = runner_of(followed.cluster, followed.home)
    say(f"{followed.cluster.name}: {runner.must_answer()}")
    known = runner.attempts(followed.sweep_id)
    sent = followed.submitted.attempts if followed.submitted else ()
    alive = [job for job in (*known, *(runner.job(attempt) for attempt in sent[-1:])) if job.alive]
    if alive:
        raise ClusterError(f"{alive[0].job_id} is {alive[0].state}", place=followed.sweep_id,
                           hint=f"gatesweep stop {followed.sweep_id} ends it; gatesweep status {followed.sweep_id}")
    number = 1 + max([0, *(number_of(job.job_id) for job in known), *(attempt.number for attempt in sent)])
    was = followed.submitted or Submitted(followed.sweep_id, spec.name, followed.cluster, spec.as_dict())
    seen = 0
    with suppress(StorageError):  # out of sight from here: its log tells nothing of a new driver then
        seen = followed.progress().records
    return _send(replace(was, cluster=followed.cluster), spec, runner, followed.home, number, words, say, seen)


def _refuse_a_file(cluster: ClusterConfig) -> None:
    storage = cluster.storage
    if storage and "://" not in storage and Path(storage).is_file():
        raise ConfigError(f"'{storage}' is a file here", place="storage", hint="name a folder that every host sees")


def _tell_of_tracking(cluster: ClusterConfig, say: Say) -> None:
    """Only said: the head may reach what this machine does not."""
    if isinstance(cluster, RayCluster):
        try:
            with surroundings(cluster):
                must_answer(cluster.tracking)
        except StoreError as error:
            say(f"note: {error.message}, from this machine ({error.place}); the head may find another answer")


def _refuse_in_use(sweep_id: str, cluster: ClusterConfig, home: Path) -> None:
    hint = f"`gatesweep resume {sweep_id}` goes on with it; leave --id out for a new one"
    in_use = recall(sweep_id, home) is not None or place_of(sweep_id, None, home).exists(LOG)
    if not in_use:
        with surroundings(cluster), suppress(StorageError):  # storage that this machine does not see: the driver looks
            in_use = place_of(sweep_id, cluster, home).exists(LOG)
    if in_use:
        raise ConfigError(f"the sweep '{sweep_id}' is there already", place="--id", hint=hint)


def check_resources(spec: SweepSpec, cluster: ClusterConfig) -> None:
    """Refuse trials that no node of the cluster can hold.

    Raises:
        ResourceError: more CPUs or GPUs than the cluster's file admits, or than this machine has.
    """
    limit, asked = cluster.resources.trial, spec.resources
    for name, wanted, most in (("cpus", asked.cpus, limit.cpus), ("gpus", asked.gpus, limit.gpus)):
        if most is not None and wanted > most:
            raise ResourceError(f"resources.{name}: one trial asks for {wanted:g}, and {cluster.name} has at most"
                                f" {most:g} a trial", hint=f"--set resources.{name}={most:g}")  # fmt: skip
    if isinstance(cluster, KubeRayCluster) and not cluster.holds(asked.cpus, asked.gpus):
        raise ResourceError(f"resources: a trial asks for {asked.cpus:g} CPUs and {asked.gpus:g} GPUs of one pod, and"
                            f" no group of {cluster.name} has them", hint="`workers:` of the cluster's file")
    if cluster.kind == "local":
        from gatesweep.sweep.cluster import check

        check(asked.cpus, asked.gpus)


def _send(submitted: Submitted, spec: SweepSpec, runner: Runner, home: Path, number: int, words: Sequence[str],
          say: Say, seen: int = 0) -> Sent:  # fmt: skip
    """Remembered first, so that a driver that runs is never unknown here; forgotten where nothing was sent."""
    sweep_id, cluster = submitted.sweep_id, submitted.cluster
    job_id = job_id_of(sweep_id, number)
    remember(submitted.with_attempt(Attempt(number, job_id, now(), seen)), home)
    size_bytes = None
    try:
        if isinstance(cluster, RayCluster | KubeRayCluster):
            with tempfile.TemporaryDirectory(prefix=PREFIX) as folder:
                archive, size_bytes = _packed(spec, cluster, home, Path(folder), say)
                order = Order(sweep_id, number, job_id, _words(Path(SENT), "{}", sweep_id, words), archive)
                attempt = runner.start(order)
        else:
            names = _laid_out(submitted, home)
            attempt = runner.start(Order(sweep_id, number, job_id, _words(*names, sweep_id, words)))
    except AttemptExists:
        raise  # another process has sent it: what it remembers must stay
    except BaseException:
        if submitted.attempts:
            remember(submitted, home)
        else:
            forget(sweep_id, home)
        raise
    remember(submitted.with_attempt(replace(attempt, seen=seen)), home)
    return Sent(sweep_id, job_id, cluster.name, size_bytes)


def _words(folder: Path, name: str, sweep_id: str, further: Sequence[str]) -> tuple[str, ...]:
    """The arguments of jobs/sweep.py; `name` has a place for `sweep` and `cluster`."""
    spec, cluster = (str(folder / f"{name.format(kind)}.yaml") for kind in ("sweep", "cluster"))
    return (spec, "--id", sweep_id, "--cluster", cluster, *further)


def _laid_out(submitted: Submitted, home: Path) -> tuple[Path, str]:
    """The driver's two files on this machine."""
    folder = file_of(submitted.sweep_id, home).parent
    for kind, content in (("sweep", submitted.spec), ("cluster", submitted.cluster.as_dict())):
        (folder / f"{submitted.sweep_id}.{kind}.yaml").write_text(json.dumps(content, indent=1) + "\n")
    return folder, f"{submitted.sweep_id}.{{}}"


def contents_of(cluster: Remote, home: Path) -> package.Contents:
    """The files that a sweep's driver gets with it, measured.

    Raises:
        UserError: more than the cluster takes.
    """
    contents = package.measure(find_root() or Path.cwd(), exclude=cluster.package.exclude,
                               private=_private_files(cluster), away=[home, *_storage_here(cluster)])  # fmt: skip
    package.refuse_large(contents, cluster.package.limit_mb)
    return contents


def _packed(spec: SweepSpec, cluster: Remote, home: Path, folder: Path, say: Say) -> tuple[Path, int]:
    root = find_root() or Path.cwd()
    contents = contents_of(cluster, home)
    say(f"package: {len(contents.entries)} files, {contents.size_bytes / package.MB:.1f} MB; the largest:")
    for line in package.sizes(contents, 3):
        say(line)
    if contents.left_out:
        say(f"not sent, for they look like secrets: {', '.join(contents.left_out)}")
    lock = _lock(spec, root)
    extra = {
        f"{SENT}/sweep.yaml": json.dumps(_portable(spec, root), indent=1).encode(),
        f"{SENT}/cluster.yaml": json.dumps(cluster.as_dict(), indent=1).encode(),
        f"{SENT}/lock.json": lock.text().encode(),
        **({f"{SENT}/diff.patch": lock.diff.encode()} if lock.diff else {}),
    }
    archive = package.pack(contents, extra, folder / "package.zip", _values_here(cluster))
    return archive, contents.size_bytes


def _lock(spec: SweepSpec, root: Path) -> Lock:
    """Commit, difference, versions, and every pin of `data.dvc`."""
    pins = list(read_pins(root).values()) if (root / PIN_FILE).is_file() else []
    seeds = {"search": spec.search.seed, "experiment": spec.experiment.seed}
    return collect(spec.as_dict(), pins, seeds, root=root)


def _portable(spec: SweepSpec, root: Path) -> dict[str, Any]:
    """The spec with a file of the project named as it is called in the package."""
    values = spec.as_dict()
    given = values["experiment"]["data"].get("path")
    if isinstance(given, str) and Path(given).is_relative_to(root.resolve()):
        values["experiment"]["data"]["path"] = Path(given).relative_to(root.resolve()).as_posix()
    return values


def _storage_here(cluster: Remote) -> list[Path]:
    """Its storage and its nodes' folder, where they lie within the project."""
    return [Path(folder) for folder in (cluster.where.storage, cluster.node.folder) if folder and "://" not in folder]


def _private_files(cluster: Remote) -> list[Path]:
    files = [reference.file for reference in _references(cluster).values()]
    files += [cluster.tls.key] if isinstance(cluster, RayCluster) else []
    return [Path(file) for file in files if file]


def _values_here(cluster: Remote) -> dict[str, bytes]:
    """Secrets that this machine has, to be looked for in what is sent."""
    found = {}
    for name, reference in _references(cluster).items():
        with suppress(ConfigError):
            found[name] = value_of(reference.as_dict(), name).encode()
    return found


def _references(cluster: Remote) -> dict[str, Reference]:
    token = cluster.auth.token if isinstance(cluster, RayCluster) else None
    return {**cluster.secrets, **({"auth.token": token} if token else {})}


def leftovers(older_than_s: float) -> list[Path]:
    """Temporary folders of submissions that were killed."""
    base = Path(tempfile.gettempdir())
    found = [path for path in base.glob(f"{PREFIX}*") if path.is_dir()]
    return [path for path in found if time.time() - path.stat().st_mtime > older_than_s]
