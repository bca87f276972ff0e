"""What a trained module scores on any examples: Lightning's validation loop over a loader that the task gives."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from gatesweep.errors import NotFound
from gatesweep.train.checkpoint import state_file
from gatesweep.train.fit import PRECISION, quiet


def load_weights(module: torch.nn.Module, checkpoint: Path) -> None:
    """Put a committed checkpoint's weights into `module`.

    Raises:
        NotFound: not committed, damaged, of another model, or a pickle of anything but tensors.
    """
    try:
        saved = torch.load(state_file(checkpoint), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise NotFound("holds other objects than tensors and is not loaded: it may run code of whoever wrote it",
                       place=str(checkpoint)) from error
    try:
        module.load_state_dict(saved["state_dict"])
    except RuntimeError as error:
        raise NotFound(f"the checkpoint is of another model: {error}", place=str(checkpoint)) from None


def score(
    task: Any, split: str, *, path: Path | None = None, precision: str = "32", accelerator: str = "auto"
) -> dict[str, float]:
    """Metrics of the module as it stands, named `<split>/<name>`.

    Args:
        path: another file of the same layout, scaled as the training data was.
    """
    with quiet():
        trainer = pl.Trainer(
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            devices=1,
            enable_model_summary=False,
            accelerator=accelerator,
            precision=PRECISION[precision],
        )
        reported = trainer.validate(task.module, dataloaders=task.loader(split, path), verbose=False)[0]
    return {f"{split}/{name.partition('/')[2]}": float(value) for name, value in reported.items()}
