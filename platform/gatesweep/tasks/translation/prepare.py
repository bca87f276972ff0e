"""From pairs to numbers: symbols learnt on train, sentences encoded, overlong ones left out or cut, all counted.

Kept for the process: a sweep trains on it many times.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gatesweep.config.digest import digest
from gatesweep.errors import DataError
from gatesweep.tasks.translation.config import TranslationData
from gatesweep.tasks.translation.source import chosen, some
from gatesweep.tasks.translation.subwords import UNKNOWN, Subwords

if TYPE_CHECKING:
    from gatesweep.data.text.pairs import Pairs

KEPT = 2
Ids = NDArray[np.int64]
_cache: OrderedDict[str, Prepared] = OrderedDict()


@dataclass(frozen=True)
class Encoded:
    """One split in numbers."""

    pairs: Pairs
    """As they are, for scores: capitals and all."""

    source: tuple[Ids, ...]
    target: tuple[Ids, ...]
    notes: tuple[str, ...]
    """What of it was left out or cut, one line for the log each."""

    def __len__(self) -> int:
        return len(self.source)

    @cached_property
    def sources(self) -> list[str]:
        """Running text."""
        return [pair.source for pair in self.pairs]

    @cached_property
    def references(self) -> list[str]:
        """Running text, as it is: what a translation is held against."""
        return [pair.target for pair in self.pairs]


@dataclass(frozen=True)
class Prepared:
    """Pairs ready to be learnt from. Shared between trainings of a process: nobody writes to it."""

    data: TranslationData
    splits: Mapping[str, Encoded]
    of_source: Subwords
    of_target: Subwords
    notes: tuple[str, ...]


def prepare(pairs: Mapping[str, Pairs], data: TranslationData, *, place: str,
            notes: tuple[str, ...] = ()) -> Prepared:
    """Learn the symbols and encode every split.

    Raises:
        DataError: too little text, or no training pair that is short enough.
    """
    train = some(pairs["train"], data.fraction) if data.fraction < 1 else pairs["train"]
    symbols = learn(train, data, place=place)
    splits = {name: encode(part, data, *symbols, training=name == "train", split=name)
              for name, part in {**pairs, "train": train}.items()}  # fmt: skip
    if not len(splits["train"]):
        raise DataError(f"no training pair has at most {data.max_length} symbols on both sides", place=place,
                        hint="a larger data.max_length, or data.units other than char")
    return Prepared(data, splits, *symbols, notes)


def learn(train: Pairs, data: TranslationData, *, place: str) -> tuple[Subwords, Subwords]:
    """The symbols of both sides, from these pairs alone."""
    source = [read_as(pair.source, data) for pair in train]
    target = [read_as(pair.target, data) for pair in train]
    if data.joint:
        both = Subwords.learn([*source, *target], units=data.units, size=data.vocabulary, place=place)
        return both, both
    return (Subwords.learn(source, units=data.units, size=data.vocabulary, place=f"{place}: source"),
            Subwords.learn(target, units=data.units, size=data.vocabulary, place=f"{place}: target"))  # fmt: skip


def read_as(line: str, data: TranslationData) -> str:
    """What the model reads of a line."""
    return line.lower() if data.lower else line


def encode(pairs: Pairs, data: TranslationData, of_source: Subwords, of_target: Subwords, *, training: bool,
           split: str) -> Encoded:
    """Numbers of both sides; overlong pairs are left out of a training, overlong sources cut in val and test."""
    source = of_source.encode([read_as(pair.source, data) for pair in pairs])
    target = of_target.encode([read_as(pair.target, data) for pair in pairs])
    most, strange = data.max_length, sum(int((ids == UNKNOWN).sum()) for ids in source)
    notes = [f"{split}: {strange:,} symbols of the source are unknown"] if strange else []
    if training:
        kept = [i for i in range(len(pairs)) if 0 < len(source[i]) <= most and 0 < len(target[i]) <= most]
        if len(kept) < len(pairs):
            notes.append(f"{split}: {len(pairs) - len(kept):,} pairs of over {most} symbols on a side left out")
        return Encoded(chosen(pairs, kept), tuple(source[i] for i in kept), tuple(target[i] for i in kept),
                       tuple(notes))  # fmt: skip
    most = data.max_source
    cut = sum(len(ids) > most for ids in source)
    if cut:
        notes.append(f"{split}: {cut:,} sources of over {most} symbols are cut")
    return Encoded(pairs, tuple(ids[:most] for ids in source), tuple(target), tuple(notes))


def kept(data: TranslationData, key: str, load: Callable[[], Prepared]) -> Prepared:
    """What this process has prepared for the same settings and bytes, or what `load` makes now."""
    key = digest([data.model_dump(mode="json", exclude={"val_share"}), key])
    if key not in _cache:
        _cache[key] = load()
        while len(_cache) > KEPT:
            _cache.popitem(last=False)
    _cache.move_to_end(key)
    return _cache[key]
