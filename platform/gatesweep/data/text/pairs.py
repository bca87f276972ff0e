"""Pairs: texts of two languages, side by side, with the account of how they were paired."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, overload

from ...errors import DataError
from .account import TextAccount
from .normal import text_key

Empty = Literal["drop", "refuse"]


class Pair(NamedTuple):
    """One text in two languages."""

    source: str
    target: str

    reference: str
    """Where it stands: a line's number, a verse."""


@dataclass(frozen=True)
class Pairs(Sequence[Pair]):
    """Pairs in the order of their file."""

    pairs: tuple[Pair, ...]
    languages: tuple[str, str]
    """Of source and target."""

    account: TextAccount

    @overload
    def __getitem__(self, index: int) -> Pair: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Pair]: ...
    def __getitem__(self, index: int | slice) -> Pair | Sequence[Pair]:
        return self.pairs[index]

    def __len__(self) -> int:
        return len(self.pairs)

    def __iter__(self) -> Iterator[Pair]:
        return iter(self.pairs)


def settled(pairs: Sequence[Pair], languages: tuple[str, str], account: TextAccount, *, place: str,
            empty: Empty = "drop") -> Pairs:
    """Drop pairs of which a side is empty, or refuse them; count those that repeat an earlier pair.

    Raises:
        DataError: an empty side under `refuse`, or no pair is left.
    """
    blank = [each for each in pairs if not (each.source.strip() and each.target.strip())]
    if blank and empty == "refuse":
        raise DataError(f"{len(blank):,} pair(s) have an empty side, the first at {blank[0].reference}", place=place,
                        hint="`empty: drop` leaves them out, and counts them")
    both = sum(not (each.source.strip() or each.target.strip()) for each in blank)
    account.dropped |= {"both sides are empty": both, "one side is empty": len(blank) - both}
    kept = [each for each in pairs if each.source.strip() and each.target.strip()]
    if not kept:
        raise DataError("no pair is left", place=place)
    distinct = {(text_key(each.source), text_key(each.target)) for each in kept}
    account.noted["pairs that repeat an earlier pair"] = len(kept) - len(distinct)
    account.kept = len(kept)
    return Pairs(tuple(kept), languages, account)
