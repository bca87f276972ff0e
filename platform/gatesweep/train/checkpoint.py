"""Checkpoints that are there whole or not at all.

    e0003/ state.ckpt       weights, optimizer, schedule, loops, generators (Lightning's own dictionary)
           COMMIT           written last: the epoch, the file's size and its SHA-256, and that of the weights

A folder without its COMMIT is not a checkpoint. It is made under a temporary name, synced, renamed, and the
folder above synced: a power cut leaves the old state or the new one.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Trainer

from gatesweep.errors import NotFound

STATE, COMMIT = "state.ckpt", "COMMIT"


def save(trainer: Trainer, folder: Path, epoch: int) -> Path:
    """Write the trainer's state as `folder/e<epoch>` and return that path."""
    target, temporary = folder / f"e{epoch:04d}", folder / f".e{epoch:04d}.tmp"
    for leftover in (temporary, target):
        if leftover.exists():
            shutil.rmtree(leftover)
    temporary.mkdir(parents=True)
    trainer.save_checkpoint(temporary / STATE)
    _sync(temporary / STATE)
    mark = {"epoch": epoch, "size_bytes": (temporary / STATE).stat().st_size, "sha256": _sha256(temporary / STATE),
            "weights": weights_digest(trainer.lightning_module.state_dict())}  # fmt: skip
    (temporary / COMMIT).write_text(json.dumps(mark))
    _sync(temporary / COMMIT)
    _sync(temporary)
    temporary.rename(target)
    _sync(folder)
    return target


def state_file(checkpoint: Path) -> Path:
    """The state inside a committed checkpoint.

    Raises:
        NotFound: no commit marker, or other bytes than the marker says.
    """
    hint = "take another checkpoint of the run, or train again"
    if not (checkpoint / COMMIT).is_file():
        raise NotFound("is not a committed checkpoint", place=str(checkpoint), hint=hint)
    mark = json.loads((checkpoint / COMMIT).read_text())
    state = checkpoint / STATE
    if not state.is_file() or state.stat().st_size != mark["size_bytes"] or _sha256(state) != mark["sha256"]:
        raise NotFound(
            "the checkpoint is damaged: its bytes differ from its commit marker", place=str(state), hint=hint
        )
    return state


def commit_of(checkpoint: Path) -> dict[str, Any]:
    """What the commit marker says: `epoch`, `size_bytes`, `sha256` of the file, `weights` (see `weights_digest`)."""
    found: dict[str, Any] = json.loads((checkpoint / COMMIT).read_text())
    return found


def weights_digest(state: Mapping[str, Any]) -> str:
    """SHA-256 over a module's tensors in the order of their names: name, type, shape and bytes of each.

    Equal digests are equal weights, bit for bit, whatever wrote the file around them.
    """
    made = hashlib.sha256()
    for name in sorted(state):
        if isinstance(state[name], torch.Tensor):
            tensor = state[name].detach().cpu().contiguous()
            made.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            made.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return made.hexdigest()


def committed(folder: Path) -> list[Path]:
    """The committed checkpoints in a folder, oldest epoch first."""
    return sorted(path.parent for path in folder.glob(f"e*/{COMMIT}"))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
