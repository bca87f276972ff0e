"""Utterances in batches of similar length, and the data module.

A sampler gives whole batches, as lists of indices, to a loader that makes none itself (`batch_size=None`): so Lightning
tells it the epoch. What an epoch hears (which strings, at which speed, under which noise and masks) is a function of
(seed, epoch, utterance): a resumed training hears the same.

Shape suffixes: B batch, T frames, D features, U symbols of a text, N samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from gatesweep.tasks.speech.augment import changed_sound, drawn_speed, masked, with_noise
from gatesweep.tasks.speech.features import Features, Frontend, at_least
from gatesweep.tasks.speech.prepare import Corpus
from gatesweep.tasks.speech.strings import Utterance, put_together
from gatesweep.tasks.speech.targets import Targets
from gatesweep.tasks.text.batches import Buckets, pad

EVAL_BATCH = 64


class SpeechBatch(NamedTuple):
    """B utterances."""

    x_BTD: Tensor
    lengths_B: Tensor
    wanted_BU: Tensor
    """Numbers of the text's symbols, 0 after them; of labels one each."""

    sizes_B: Tensor
    """How many of them."""

    said_BT: Tensor
    """Which symbol each frame is of, -1 after the end; only where the model answers frame by frame."""

    index_B: Tensor
    """Which utterances of the split these are."""


class Heard(NamedTuple):
    """One utterance as the model hears it."""

    x_TD: Features
    part_T: NDArray[np.int64]
    """Which of its recordings each frame is of, -1 in a pause."""


class Utterances(Dataset[SpeechBatch]):
    """One split, asked for by the batch.

    Args:
        training: whether sound and features are changed.
        noise_snr_db: noise of a split that is not trained on; none takes the configuration's.
    """

    def __init__(self, corpus: Corpus, targets: Targets, split: str, *, training: bool, seed: int = 0,
                 noise_snr_db: float | None = None) -> None:
        self.corpus, self.targets, self.split, self.seed, self.training = corpus, targets, split, seed, training
        self.noise_snr_db = corpus.data.noise_snr_db if noise_snr_db is None else noise_snr_db
        self.frontend = Frontend(corpus.data.features, corpus.data.rate) if corpus.sounds is not None else None
        self.epoch, self.said = 0, list[Utterance]()
        self.hear_epoch(0)

    def hear_epoch(self, epoch: int) -> None:
        """What training hears in an epoch; the other splits are always the same."""
        self.epoch = epoch
        if self.training:
            self.said = self.corpus.utterances(self.split, epoch=epoch, seed=self.seed)
        elif not self.said:
            self.said = self.corpus.utterances(self.split)

    def __len__(self) -> int:
        return len(self.said)

    @property
    def lengths_N(self) -> NDArray[np.int64]:
        """Frames of every utterance before its speed is changed."""
        return np.array([self._frames(each) for each in self.said], np.int64)

    @property
    def references(self) -> list[str]:
        """What each utterance should be answered with."""
        return [self.targets.answer(each) for each in self.said]

    def __getitem__(self, indices: list[int]) -> SpeechBatch:  # type: ignore[override]
        heard = [self.heard(i) for i in indices]
        wanted_BU, sizes_B = pad([self.targets.encode(self.said[i]) for i in indices])
        lengths_B = torch.tensor([len(each.x_TD) for each in heard])
        x_BTD = torch.zeros(len(heard), int(lengths_B.max()), heard[0].x_TD.shape[1])
        said_BT = torch.full(x_BTD.shape[:2], -1)
        for row, (i, each) in enumerate(zip(indices, heard, strict=True)):
            x_BTD[row, : len(each.x_TD)] = torch.from_numpy(each.x_TD)
            said_BT[row, : len(each.x_TD)] = torch.from_numpy(self.targets.of_frames(self.said[i], each.part_T))
        return SpeechBatch(x_BTD, lengths_B, wanted_BU, sizes_B, said_BT, torch.tensor(indices))

    def heard(self, number: int) -> Heard:
        """One utterance, changed and scaled."""
        utterance, config = self.said[number], self.corpus.data.augment
        rng = np.random.default_rng((self.seed, self.epoch, number) if self.training else (0, 0, number))
        if self._as_recorded(utterance):
            x_TD = self.corpus.frames[utterance.parts[0]]
            part_T = np.zeros(len(x_TD), np.int64)
            speed = 1.0
        else:
            speed = drawn_speed(config, rng) if self.training else 1.0
            x_TD, part_T = self._made(utterance, rng, speed)
        x_TD = self.corpus.scaled(x_TD, utterance.speaker, speed)
        return Heard(masked(x_TD, config, rng) if self.training else x_TD, part_T)

    def _as_recorded(self, utterance: Utterance) -> bool:
        changed = self.corpus.data.augment.of_sound if self.training else self.noise_snr_db is not None
        return self.corpus.sounds is None or (not utterance.pauses_s and not changed)

    def _made(self, utterance: Utterance, rng: np.random.Generator, speed: float) -> tuple[Features, NDArray[np.int64]]:
        """From the sound."""
        sounds, frontend = self.corpus.sounds, self.frontend
        assert sounds is not None
        assert frontend is not None
        pieces = [sounds.samples(i) for i in utterance.parts]
        samples_N, place_N = put_together(pieces, utterance.pauses_s, sounds.rate, rng)
        before = len(samples_N)
        if self.training:
            samples_N = changed_sound(samples_N, self.corpus.data.augment, rng, speed=speed)
        elif self.noise_snr_db is not None:
            samples_N = with_noise(samples_N, self.noise_snr_db, rng)
        samples_N = at_least(samples_N, frontend.window)
        x_TD = frontend(samples_N)
        centre_T = frontend.centres(len(x_TD)) * before // len(samples_N)
        return x_TD, place_N[centre_T.clip(max=before - 1)]

    def _frames(self, utterance: Utterance) -> int:
        if self.corpus.sounds is None:
            return len(self.corpus.frames[utterance.parts[0]])
        assert self.frontend is not None
        samples = sum(self.corpus.sounds.findings[i].samples for i in utterance.parts)
        pauses = sum(round(pause_s * self.corpus.data.rate) for pause_s in utterance.pauses_s)
        return max(1, self.frontend.frames(samples + pauses))


class EpochBuckets(Buckets):
    """Training batches over what an epoch hears."""

    def __init__(self, utterances: Utterances, batch_size: int, **more: Any) -> None:
        super().__init__(utterances.lengths_N, batch_size, **more)
        self.utterances = utterances

    def _batches(self) -> list[list[int]]:
        if self.utterances.epoch != self.epoch:
            self.utterances.hear_epoch(self.epoch)
            self.lengths_N = self.utterances.lengths_N
        return super()._batches()


def as_it_is(batch: Any) -> Any:
    """The loader's collate function: the set has made the batch."""
    return batch


def in_order(corpus: Corpus, targets: Targets, split: str, batch_size: int, *, noise_snr_db: float | None = None,
             only: Sequence[int] | None = None) -> DataLoader[SpeechBatch]:
    """Every utterance once, from the longest to the shortest; `only`: these alone."""
    utterances = Utterances(corpus, targets, split, training=False, noise_snr_db=noise_snr_db)
    if only is not None:
        utterances.said = [utterances.said[i] for i in only]
    sampler = Buckets(utterances.lengths_N, batch_size, shuffle=False)
    return DataLoader(utterances, batch_size=None, sampler=sampler, collate_fn=as_it_is)


class SpeechDataModule(pl.LightningDataModule):
    """Loaders of one corpus."""

    def __init__(self, corpus: Corpus, targets: Targets, *, batch_size: int, seed: int) -> None:
        super().__init__()
        self.corpus, self.targets, self.batch_size, self.seed = corpus, targets, batch_size, seed

    def train_dataloader(self) -> DataLoader[SpeechBatch]:
        """Shuffled, as a function of (seed, epoch)."""
        utterances = Utterances(self.corpus, self.targets, "train", training=True, seed=self.seed)
        sampler = EpochBuckets(utterances, self.batch_size, seed=self.seed)
        return DataLoader(utterances, batch_size=None, sampler=sampler, collate_fn=as_it_is)

    def val_dataloader(self) -> DataLoader[SpeechBatch]:
        return self._in_order("val")

    def test_dataloader(self) -> DataLoader[SpeechBatch]:
        return self._in_order("test")

    def _in_order(self, split: str) -> DataLoader[SpeechBatch]:
        return in_order(self.corpus, self.targets, split, max(self.batch_size, EVAL_BATCH))
