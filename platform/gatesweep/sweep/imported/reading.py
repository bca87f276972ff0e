"""From a file of another tool's to ours: read, mapped, checked by the loader that will read it, then written."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatesweep.config.loader import build
from gatesweep.config.places import check_target
from gatesweep.config.yaml_file import parse, read_mapping
from gatesweep.errors import ConfigError
from gatesweep.runs.experiment import load_experiment, name_of
from gatesweep.storage.folder import FolderPlace
from gatesweep.sweep.imported.draft import Draft
from gatesweep.sweep.imported.found import Foreign, Report, Unmapped
from gatesweep.sweep.imported.katib import is_katib, read_katib
from gatesweep.sweep.imported.mapping import mapped
from gatesweep.sweep.imported.settling import settled
from gatesweep.sweep.imported.target import Target
from gatesweep.sweep.imported.wandb import is_wandb, read_wandb
from gatesweep.sweep.imported.writing import written
from gatesweep.sweep.options import Budget, SchedulerConfig, SearchConfig
from gatesweep.sweep.spec import spec_in


@dataclass(frozen=True)
class Imported:
    """A sweep's file, and what is to be told of it."""

    text: str
    kind: str
    values: dict[str, Any]
    mapped: dict[str, str]
    report: Report
    checked: bool
    """Whether the loader has read it: it can where there is an experiment."""

    @property
    def unmapped(self) -> list[Unmapped]:
        """Keys of theirs that have no place in it."""
        return self.report.unmapped


def import_sweep(
    file: Path, *, experiment: Path | None = None, out: Path | None = None, renames: Sequence[str] = ()
) -> Imported:
    """Our sweep for a W&B sweep or a Katib Experiment; nothing is written.

    Args:
        experiment: what the sweep varies; the space is tried on it.
        out: where the file will stand, from which the experiment's path counts; by default the working folder.
        renames: `theirs=ours`, of parameters and of the metric.

    Raises:
        ConfigError: neither kind of file, values that its own tool would refuse, nothing that could be searched.
    """
    raw = read_mapping(file)
    target = Target(load_experiment(experiment), experiment) if experiment else Target()
    found = _read(raw, str(file))
    draft = settled(mapped(found, target, _renames(renames)), found, target)
    draft.name = name_of(Path(f"{found.name}.yaml".replace("/", "-"))) if found.name else None
    if experiment is not None:
        draft.experiment = os.path.relpath(experiment.absolute(), (out or Path("sweep.yaml")).absolute().parent)
    text = written(draft, str(file))
    _check(text, draft, target, out or Path("sweep.yaml"))
    return Imported(text, found.kind, draft.values, draft.mapped, found.report, checked=experiment is not None)


def write_sweep(imported: Imported, out: Path, *, source: Path, force: bool = False) -> None:
    """Write it, all or nothing.

    Raises:
        ConfigError: the file is there already and `force` is not given, or it is the one that was imported.
        UserError: its folder is not there.
    """
    check_target(out)
    if out.exists() and source.exists() and out.samefile(source):
        raise ConfigError("is the file that is imported", place=str(out), hint="name another one for --out")
    folder, data = FolderPlace(out.absolute().parent), imported.text.encode()
    if force:
        folder.write(out.name, data)
    elif not folder.create(out.name, data):
        raise ConfigError("is there already", place=str(out), hint="name another file, or --force to replace it")


def _read(raw: dict[str, Any], place: str) -> Foreign:
    if is_katib(raw):
        return read_katib(raw, place)
    if is_wandb(raw):
        return read_wandb(raw, place)
    ours = "experiment" in raw and "space" in raw
    message = "is a sweep of ours already" if ours else "is neither a Weights & Biases sweep nor a Katib Experiment"
    hint = f"gatesweep sweep {place}" if ours else (
        "the one has `method:` and `parameters:`, the other `apiVersion: kubeflow.org/v1beta1` and `kind: Experiment`")
    raise ConfigError(message, place=place, hint=hint)


def _renames(given: Sequence[str]) -> Mapping[str, str]:
    renames: dict[str, str] = {}
    for each in given:
        theirs, equals, ours = (part.strip() for part in each.rpartition("="))
        if not equals or not theirs or not ours:
            raise ConfigError(f"'{each}' is not THEIRS=OURS", place="--rename", hint="e.g. width=model.hidden_size")
        if theirs in renames:
            raise ConfigError(f"'{theirs}' is renamed twice", place="--rename", hint="leave one of them out")
        renames[theirs] = ours
    return renames


def _check(text: str, draft: Draft, target: Target, out: Path) -> None:
    """The file read back: whole by the sweep's loader where there is an experiment, else part by part."""
    try:
        raw = parse(text, str(out))
        for key, section in (("search", SearchConfig), ("scheduler", SchedulerConfig), ("budget", Budget)):
            build(section, raw.get(key, {}), place=key)
        if target.file is not None:
            spec_in(raw, out)
    except ConfigError as error:
        raise ConfigError(f"would be no valid sweep: {error.message}", place=draft.report.place,
                          hint="mend it there, or leave the key out of that file") from None  # fmt: skip
