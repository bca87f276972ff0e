"""`lock.json`: everything that a run's numbers depend on, so that they can be had again, or the difference named.

Code (commit, branch, dirty, patch), configuration and its digest, data pins, every package's version, Python, machine,
torch's settings, seeds. No secrets: remotes lose their credentials, and only listed environment variables are read.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gatesweep.config.digest import digest
from gatesweep.track import git
from gatesweep.track import machine as here
from gatesweep.track.inputs import Pinned, describe

_NOT_THE_TRAINING = ("name", "keep")  # as in ExperimentConfig.digest


@dataclass(frozen=True)
class Lock:
    """What a run's numbers depend on. `as_dict` is the content of `lock.json`."""

    config: Mapping[str, Any]
    tree: git.Tree
    data: tuple[Mapping[str, Any], ...] = ()
    seeds: Mapping[str, int] = field(default_factory=dict)
    python: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)
    torch: Mapping[str, Any] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def commit(self) -> str | None:
        return self.tree.commit

    @property
    def diff(self) -> str | None:
        """The content of `diff.patch`; none in a clean tree."""
        return self.tree.patch

    @property
    def config_digest(self) -> str:
        return config_digest(self.config)

    @property
    def digest(self) -> str:
        """SHA-256 of `lock.json`."""
        return hashlib.sha256(self.text().encode()).hexdigest()

    def with_config(self, config: Mapping[str, Any], seeds: Mapping[str, int] | None = None) -> Lock:
        """The same surroundings, another configuration: a trial of a sweep."""
        return replace(self, config=config, seeds=self.seeds if seeds is None else seeds)

    def as_dict(self) -> dict[str, Any]:
        tree = self.tree
        code = {"commit": tree.commit, "branch": tree.branch, "dirty": tree.dirty, "remote": tree.remote,
                "untracked": list(tree.untracked), "patch": tree.patch is not None, "patch_cut": tree.patch_cut,
                "patch_sha256": None if tree.patch is None else hashlib.sha256(tree.patch.encode()).hexdigest(),
                "why_not": tree.lost, "captured": list(tree.captured), "folder": tree.folder,
                "outside": dict(tree.outside)}
        return {"code": code, "config": dict(self.config), "config_digest": self.config_digest,
                "data": [dict(pin) for pin in self.data], "seeds": dict(self.seeds), "python": self.python,
                "machine": dict(self.machine), "torch": None if self.torch is None else dict(self.torch),
                "environment": dict(self.environment), "packages": dict(self.packages)}

    def text(self) -> str:
        """`lock.json`, readable and in a fixed order."""
        return json.dumps(self.as_dict(), indent=1, ensure_ascii=False) + "\n"


@dataclass(frozen=True)
class LockedSet:
    """A pinned set as a `lock.json` tells of it."""

    name: str
    md5: str
    path: str


def read_lock(text: str, patch: str | None = None) -> tuple[Lock, list[LockedSet]]:
    """The lock that `Lock.text` wrote, and the sets that it names.

    Args:
        patch: the content of its `diff.patch`.
    """
    told = json.loads(text)
    lock = Lock(told["config"], git.tree_from(told["code"], patch), tuple(told["data"]), told["seeds"], told["python"],
                told["packages"], told["machine"], told["torch"], told["environment"])
    return lock, [LockedSet(pin["name"], pin["md5"], pin["path"]) for pin in told["data"]]


def told_in(text: str) -> dict[str, Any] | None:
    """What a `lock.json` tells, of whatever version; None where it was altered into something that is no lock."""
    try:
        told = json.loads(text)
        pins = [(str(pin["name"]), str(pin["md5"])) for pin in told["data"]]
    except (ValueError, KeyError, TypeError):
        return None
    parts = all(isinstance(told.get(part), dict) for part in ("code", "config"))
    return told if parts and len(pins) == len(told["data"]) else None


def config_digest(config: Mapping[str, Any]) -> str:
    """The digest of a training's configuration: its name, and what is kept of it, do not count."""
    return digest({key: value for key, value in config.items() if key not in _NOT_THE_TRAINING})


def collect(config: Mapping[str, Any], datasets: Sequence[Pinned] = (), seeds: Mapping[str, int] | None = None, *,
            root: Path | None = None) -> Lock:
    """The lock of this process, here and now, in well under 0.2 s.

    Args:
        config: the whole configuration as plain JSON.
        datasets: the pins of the data it reads.
        seeds: by default the configuration's own `seed`.
        root: a folder of the source tree, by default the working folder; outside a repository the commit is none.
    """
    if seeds is None:
        seeds = {"seed": config["seed"]} if isinstance(config.get("seed"), int) else {}
    return Lock(config=config, tree=git.read_tree(root or Path.cwd()), data=tuple({"name": d.name, **describe(d)}
                                                                                  for d in datasets),
                seeds=seeds, python=f"{platform.python_implementation()} {platform.python_version()}",
                packages=here.packages(), machine=here.machine(), torch=here.torch_settings(),
                environment=here.environment())
