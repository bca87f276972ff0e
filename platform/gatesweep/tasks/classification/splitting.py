"""Which text is for what: no text, and no film where films are known, on two sides of the split.

Letters: N texts, G groups.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gatesweep.data.text.normal import text_key

SPLITS = ("train", "val", "test")
UNUSED = ""
UNTOLD = -1
"""What stands in the column film where it cannot be told."""


def without_copies(frame: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """Each text once, and how many rows went: later copies; and all copies where their labels differ."""
    key_N = frame["text"].map(text_key)
    labels_N = frame.groupby(key_N)["label"].transform("nunique")
    at_odds_N, copy_N = labels_N > 1, key_N.duplicated()
    dropped = {"copies of other texts": int((copy_N & ~at_odds_N).sum()),
               "copies with another label": int(at_odds_N.sum())}  # fmt: skip
    return frame[~(copy_N | at_odds_N)].reset_index(drop=True), dropped


def without_seen(frame: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """Where splits are given: a text that test has leaves val and train, one that val has leaves train."""
    key_N, keep_N, dropped = frame["text"].map(text_key), np.ones(len(frame), bool), {}
    later: set[str] = set()
    for split in reversed(SPLITS):
        inside_N = (frame["split"] == split).to_numpy()
        seen_N = inside_N & key_N.isin(later).to_numpy()
        dropped[f"texts of {split} that a later split has too"] = int(seen_N.sum())
        keep_N &= ~seen_N
        later |= set(key_N[inside_N])
    return frame[keep_N].reset_index(drop=True), dropped


def share_out(frame: pd.DataFrame, shares: Mapping[str, float], seed: int) -> NDArray[np.str_]:
    """The split of each row: labels in proportion, rows of one film together.

    Films come in an order drawn from the seed; each goes to test if there is room for all its rows there, else to val,
    else to train. A row without a film is a group of its own, so that without films the shares are exact.
    """
    label_N, labels = pd.factorize(frame["label"], sort=True)
    count_K = np.bincount(label_N, minlength=len(labels))
    room = {split: np.round(shares[split] * count_K).astype(int) for split in ("test", "val")}
    room["train"] = np.minimum(np.round(shares["train"] * count_K).astype(int), count_K - room["test"] - room["val"])
    split_N = np.full(len(frame), UNUSED, dtype="<U5")
    groups = _groups(frame)
    for number in np.random.default_rng(seed).permutation(len(groups)):
        rows = groups[number]
        wanted_K = np.bincount(label_N[rows], minlength=len(labels))
        place = next((split for split in ("test", "val", "train") if (room[split] >= wanted_K).all()), None)
        if place is None and sum(shares.values()) > 1 - 1e-9:
            place = "train"  # a film that fits nowhere whole: nothing is left unused that was not meant to be
        if place is not None:
            room[place] = room[place] - wanted_K
            split_N[rows] = place
    return split_N


def _groups(frame: pd.DataFrame) -> Sequence[NDArray[np.int64]]:
    alone_N = -1 - np.arange(len(frame))
    if "film" not in frame:
        return list(np.arange(len(frame))[:, None])
    film_N = pd.factorize(frame["film"].where(frame["film"] != UNTOLD))[0]
    group_N = np.where(film_N >= 0, film_N, alone_N)
    order_N = np.argsort(group_N, kind="stable")
    starts = np.flatnonzero(np.diff(group_N[order_N])) + 1
    return np.split(order_N, starts)


def part_of(label_N: NDArray[np.int64], fraction: float, seed: int) -> NDArray[np.int64]:
    """Rows of a share of each label, at least one; those of a smaller share are among those of a larger."""
    if fraction == 1.0:
        return np.arange(len(label_N))
    order_N = np.random.default_rng((seed, 1)).permutation(len(label_N))
    chosen = []
    for label in np.unique(label_N):
        rows = order_N[label_N[order_N] == label]
        chosen.append(rows[: max(1, round(fraction * len(rows)))])
    return np.sort(np.concatenate(chosen))
