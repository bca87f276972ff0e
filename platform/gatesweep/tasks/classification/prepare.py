"""From labelled texts to numbers, shared out and checked. Kept for the process: a sweep trains on them many times.

Letters: N texts, T tokens, K labels.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from gatesweep.config.digest import digest
from gatesweep.data.text import refuse_unseen
from gatesweep.errors import DataError
from gatesweep.tasks.classification.baselines import Bigrams
from gatesweep.tasks.classification.config import ClassificationData
from gatesweep.tasks.classification.reading import Ids, Reader, Words, shortened, unknowns
from gatesweep.tasks.classification.splitting import SPLITS, part_of, share_out, without_copies, without_seen

KEPT = 4
MOST_UNKNOWN = 0.5
_cache: OrderedDict[str, Prepared] = OrderedDict()


@dataclass(frozen=True)
class Texts:
    """One split."""

    texts: Sequence[str]
    rows: Sequence[Ids]
    """Every token of each text, without the reader's ends."""

    label_N: Ids

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, longest: int, data: ClassificationData, reader: Reader) -> list[Ids]:
        """What the model reads of each."""
        return [shortened(ids_T, longest, data.cut, reader.ends) for ids_T in self.rows]

    def cut(self, longest: int, reader: Reader) -> tuple[int, int]:
        """Texts that are longer, and their tokens that are left out."""
        room = longest - sum(map(len, reader.ends))
        over = [len(ids_T) - room for ids_T in self.rows if len(ids_T) > room]
        return len(over), sum(over)


@dataclass(frozen=True)
class Prepared:
    """Shared between trainings of a process: nobody writes to it."""

    data: ClassificationData
    reader: Reader
    labels: tuple[str, ...]
    """In order; a label's place is its number."""

    sides: Mapping[str, Texts]
    place: str
    """Names the data in messages."""

    dropped: Mapping[str, int] = field(default_factory=dict)
    """What -> how many texts went."""

    distinct: int = 0
    """Different words of the training texts."""

    @cached_property
    def bigrams(self) -> Bigrams:
        """The linear baseline, fitted on train when it is first asked for."""
        train = self.sides["train"]
        return Bigrams(train.rows, train.label_N, words=len(self.reader.vocabulary), labels=len(self.labels))

    def longest(self, split: str) -> int:
        """Tokens that are read of each text of a split."""
        return self.data.max_length if split == "train" else self.data.eval_max_length

    def side(self, split: str) -> Texts:
        """The texts of a split; `all`: every one.

        Raises:
            DataError: it has none.
        """
        if split == "all":
            sides = list({id(each): each for each in self.sides.values() if len(each)}.values())
            return Texts([t for each in sides for t in each.texts], [r for each in sides for r in each.rows],
                         np.concatenate([each.label_N for each in sides]))  # fmt: skip
        if not len(self.sides[split]):
            raise DataError(f"'{split}' has no text", place=self.place, hint="other data.splits, or more texts")
        return self.sides[split]


def prepare(
    frame: pd.DataFrame, data: ClassificationData, *, place: str, reader: Reader | None = None
) -> Prepared:
    """Share out, check and number.

    Args:
        frame: columns text and label; split and film where they are known.
        reader: of a BERT-type encoder; none takes the words of the training texts.

    Raises:
        DataError: fewer than two labels, a label in val or test that train has not, a split without a text.
    """
    account = frame.attrs.get("account")
    frame, dropped = _shared_out(frame, data)
    dropped = {**({f"texts ({what})": count for what, count in account.dropped.items()} if account else {}), **dropped}
    parts = {split: frame[frame["split"] == split] for split in SPLITS}
    labels = _labels(parts, place)
    number = {label: place_K for place_K, label in enumerate(labels)}
    label_N: dict[str, Ids] = {split: _numbers(part, number) for split, part in parts.items()}
    chosen = part_of(label_N["train"], data.fraction, data.split_seed)
    parts["train"], label_N["train"] = parts["train"].iloc[chosen], label_N["train"][chosen]
    rows, distinct = {}, 0
    if reader is None:
        reader, rows["train"], distinct = Words.fit(parts["train"]["text"], lower=data.lower, min_count=data.min_count,
                                                    max_size=data.max_vocabulary)  # fmt: skip
    sides = {split: Texts(list(part["text"]), rows.get(split) or reader.read(part["text"]), label_N[split])
             for split, part in parts.items()}  # fmt: skip
    made = Prepared(data, reader, labels, sides, place, dropped, distinct)
    for split in SPLITS:
        made.side(split)
    _refuse_other_words(made)
    return made


def _refuse_other_words(made: Prepared) -> None:
    """Words of another run that are cut otherwise fit nothing: a network of unknown words learns nothing."""
    rows = made.sides["train"].rows
    share = unknowns(rows, made.reader.vocabulary) / max(1, sum(map(len, rows)))
    if made.data.words is not None and share > MOST_UNKNOWN:
        raise DataError(f"{share:.0%} of the training texts' tokens are unknown to the other run's words",
                        place=made.data.words, hint="a language model that is to be started from reads with"
                                                    " data.tokens=words; or vocabulary: own")


def like(frame: pd.DataFrame, trained: Prepared, *, place: str) -> Prepared:
    """Texts that a training never saw, read as its own: where they say no split they count whole, in every split.

    Raises:
        DataError: a label that the training did not have.
    """
    number = {label: place_K for place_K, label in enumerate(trained.labels)}
    refuse_unseen(frame["label"], trained.labels, place)
    def numbered(part: pd.DataFrame) -> Texts:
        return Texts(list(part["text"]), trained.reader.read(part["text"]), _numbers(part, number))

    if "split" in frame:
        sides = {split: numbered(frame[frame["split"] == split]) for split in SPLITS}
    else:
        sides = dict.fromkeys(SPLITS, numbered(frame))
    return Prepared(trained.data, trained.reader, trained.labels, sides, place)


def _numbers(part: pd.DataFrame, number: Mapping[str, int]) -> Ids:
    return np.array([number[label] for label in part["label"]], np.int64)


def kept(data: ClassificationData, key: str, load: Callable[[], Prepared]) -> Prepared:
    """What this process has prepared for the same settings and bytes, or what `load` makes now."""
    elsewhere = {"class_weights", "label_smoothing", "batch_tokens", "path", "words"}
    shaping = data.model_dump(mode="json", exclude=elsewhere)
    key = digest([shaping, key])
    if key not in _cache:
        _cache[key] = load()
        while len(_cache) > KEPT:
            _cache.popitem(last=False)
    _cache.move_to_end(key)
    return _cache[key]


def lines(made: Prepared) -> list[str]:
    """For the log: what went, the texts of each split, what is read of them."""
    told = [f"{made.place}: {count:,} {what} left out" for what, count in made.dropped.items() if count]
    told += [_line(made, split) for split in SPLITS]
    said = f" of {made.distinct:,} different ones" if made.distinct else ""
    told.append(f"vocabulary: {len(made.reader.vocabulary):,} words{said}")
    return told


def _line(made: Prepared, split: str) -> str:
    side, longest = made.sides[split], made.longest(split)
    counts = np.bincount(side.label_N, minlength=len(made.labels))
    shares = ", ".join(f"{label} {count:,}" for label, count in zip(made.labels, counts, strict=True))
    total, unknown = sum(map(len, side.rows)), unknowns(side.rows, made.reader.vocabulary)
    texts, tokens = side.cut(longest, made.reader)
    return (f"{split}: {len(side):,} texts ({shares}), {total:,} tokens, {unknown / total:.1%} of them unknown;"
            f" {texts:,} texts longer than {longest} lose {tokens:,} tokens")


def _shared_out(frame: pd.DataFrame, data: ClassificationData) -> tuple[pd.DataFrame, dict[str, int]]:
    if "split" not in frame:
        frame, dropped = without_copies(frame)
        return frame.assign(split=share_out(frame, data.splits.model_dump(), data.split_seed)), dropped
    if not (frame["split"] == "val").any():
        train_N = (frame["split"] == "train").to_numpy()
        shares = {"train": 1.0 - data.splits.val, "val": data.splits.val, "test": 0.0}
        split_N = frame["split"].to_numpy(dtype="<U5", copy=True)
        split_N[train_N] = share_out(frame[train_N].reset_index(drop=True), shares, data.split_seed)
        frame = frame.assign(split=split_N)
    return without_seen(frame)


def _labels(parts: Mapping[str, pd.DataFrame], place: str) -> tuple[str, ...]:
    labels = tuple(sorted(set(parts["train"]["label"]), key=lambda label: (len(label), label)
                          if label.lstrip("-").isdigit() else (0, label)))  # fmt: skip
    if len(labels) < 2:
        raise DataError(f"train has {len(labels)} label{'s' * (len(labels) != 1)}, and two are the least", place=place)
    for split in ("val", "test"):
        refuse_unseen(parts[split]["label"], labels, f"{place}: {split}")
    return labels
