"""Why a rerun differs: what is not as it was, the likeliest cause first."""

from __future__ import annotations

from collections.abc import Sequence

from gatesweep.reproduce.differences import Difference

LIKELIHOOD = (
    "code.commit", "code.dirty", "code.captured", "code.outside", "code", "data.", "seeds", "torch.threads",
    "torch.interop", "environment.OMP_NUM_THREADS", "environment.MKL_NUM_THREADS", "torch.cpu_capability", "torch.gpus",
    "torch.", "packages.torch", "machine.cpu", "machine.arch", "environment.", "machine.compiler", "packages.numpy",
    "packages.pytorch-lightning", "packages.scipy", "packages.pandas", "packages.sentencepiece",
    "packages.kaldi-native-fbank", "python", "machine.libc", "machine.", "packages.",
)  # fmt: skip
"""Beginnings of keys, from what changes a training's numbers to what hardly can."""


def ranked(found: Sequence[Difference]) -> list[Difference]:
    """The differences in the order of `LIKELIHOOD`; within one place as they came. The configuration's come first."""
    return sorted(found, key=_place)


def _place(difference: Difference) -> int:
    if difference.part == "config":
        return -1
    return next((place for place, start in enumerate(LIKELIHOOD) if difference.key.startswith(start)), len(LIKELIHOOD))
