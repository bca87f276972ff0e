"""Pieces in padded batches, and the data module.

A sampler gives whole batches to a loader that makes none itself: as lists of (piece, semitones), so that which key a
piece is in is a function of (seed, epoch) like the order. Shape suffixes: B batch, T frames, K the 88 notes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from gatesweep.data.music.rolls import HIGHEST, LOWEST, NOTES, Piece
from gatesweep.tasks.text.batches import Buckets

EVAL_BATCH = 32
Key = tuple[int, int]


class MusicBatch(NamedTuple):
    """B pieces; what is read before frame t is frame t - 1, and silence before the first."""

    roll_BTK: Tensor
    """0 and 1, as float; 0 where it is padding."""
    lengths_B: Tensor
    index_B: Tensor
    """Which pieces of the split these are."""


class PieceSet(Dataset[MusicBatch]):
    """One split, asked for by the batch."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self.pieces = tuple(pieces)
        self.lengths_N = np.array([len(piece) for piece in self.pieces], np.int64)

    def __len__(self) -> int:
        return len(self.pieces)

    def __getitem__(self, keys: list[Key]) -> MusicBatch:  # type: ignore[override]
        moved = [self.pieces[i].moved(semitones).roll_TK for i, semitones in keys]
        lengths = [len(roll_TK) for roll_TK in moved]
        roll_BTK = torch.zeros(len(moved), max(lengths), NOTES)
        for row, roll_TK in enumerate(moved):
            roll_BTK[row, : len(roll_TK)] = torch.from_numpy(roll_TK)
        return MusicBatch(roll_BTK, torch.tensor(lengths), torch.tensor([i for i, _ in keys]))


class InKeys(Buckets):
    """Batches whose pieces are moved by semitones drawn anew in every epoch; by none where `most` is 0."""

    def __init__(self, pieces: PieceSet, batch_size: int, most: int = 0, **more: Any) -> None:
        super().__init__(pieces.lengths_N, batch_size, **more)
        ranges = [piece.range() or (LOWEST, HIGHEST) for piece in pieces.pieces]
        self.down_N = np.array([min(most, low - LOWEST) for low, _ in ranges], np.int64)
        self.up_N = np.array([min(most, HIGHEST - high) for _, high in ranges], np.int64)

    def __iter__(self) -> Iterator[list[Key]]:  # type: ignore[override]
        # a generator, as in `Buckets`: nothing is drawn before the epoch is set
        moves_N = np.random.default_rng((self.seed, self.epoch, 1)).integers(-self.down_N, self.up_N + 1)
        for batch in super().__iter__():
            yield [(i, int(moves_N[i])) for i in batch]


def as_it_is(batch: Any) -> Any:
    """The loader's collate function: the set has made the batch."""
    return batch


def in_order(pieces: Sequence[Piece], batch_size: int) -> DataLoader[MusicBatch]:
    """Every piece once, in its key, from the longest to the shortest."""
    made = PieceSet(pieces)
    sampler = InKeys(made, batch_size, shuffle=False)
    return DataLoader(made, batch_size=None, sampler=sampler, collate_fn=as_it_is)


def cut(pieces: Sequence[Piece], window: int | None) -> list[Piece]:
    """Parts of at most `window` frames; a last frame that would stand alone goes with the part before."""
    if window is None:
        return list(pieces)
    parts = []
    for piece in pieces:
        count = max(1, -(-len(piece) // window))
        borders = np.linspace(0, len(piece), count + 1).round().astype(int)
        parts += [Piece(piece.name, piece.roll_TK[a:b]) for a, b in pairwise(borders)]
    return parts


class MusicModule(pl.LightningDataModule):
    """Loaders of the splits that there are."""

    def __init__(self, splits: dict[str, Sequence[Piece]], *, batch_size: int, seed: int, transpose: int,
                 window: int | None) -> None:
        super().__init__()
        self.splits, self.batch_size, self.seed, self.transpose = splits, batch_size, seed, transpose
        self.training = cut(splits["train"], window)

    def train_dataloader(self) -> DataLoader[MusicBatch]:
        """Shuffled and transposed, as a function of (seed, epoch)."""
        pieces = PieceSet(self.training)
        sampler = InKeys(pieces, self.batch_size, self.transpose, seed=self.seed)
        return DataLoader(pieces, batch_size=None, sampler=sampler, collate_fn=as_it_is)

    def val_dataloader(self) -> DataLoader[MusicBatch]:
        return in_order(self.splits["val"], max(self.batch_size, EVAL_BATCH))
