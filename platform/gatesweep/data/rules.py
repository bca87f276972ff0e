"""How a series is read and cleaned: the declarations that the catalogue and a user's own file share.

A rule that is not declared is not applied: a repeated stamp, a missing value or an impossible one is then refused.
What a rule drops or fills is counted (`cleaning.CleaningReport`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field, NonNegativeInt, model_validator

from ..config.section import Section


class Valid(Section):
    """The values that a column can have; the others become missing values, and are counted."""

    least: float
    """The smallest possible value."""

    most: float
    """The largest possible value."""


class Flag(Section):
    """A column of words turned into 0 or 1."""

    absent: str
    """The word that means 0; any other word means 1."""

    whole_day: bool = False
    """One marked row marks its whole day (calendars often mark midnight alone)."""


class Pivot(Section):
    """A long table turned wide: one column for each name."""

    key: str
    """The column that holds the names, e.g. Ticker."""

    value: str
    """The column that holds the values, e.g. Adj Close."""


class Rules(Section):
    """What cleaning may do. The defaults do nothing and refuse whatever would need it."""

    duplicates: Literal["refuse", "first"] = "refuse"
    """A stamp that comes twice: refused, or its first row kept and the others dropped."""

    since: datetime | None = None
    """Rows before this moment are dropped; none keeps all."""

    leading: Literal["refuse", "drop"] = "refuse"
    """Rows at the start in which some column has no value yet (a share not yet listed)."""

    valid: dict[str, Valid] = Field(default_factory=dict)
    """Column -> its possible values."""

    fill: Literal["none", "linear", "previous"] = "none"
    """How short runs of missing steps are filled: not at all, on the straight line between the neighbours, or with the
    last value seen."""

    fill_up_to: NonNegativeInt = 0
    """The longest run of missing steps that is filled, in steps."""

    longer: Literal["refuse", "split"] = "refuse"
    """Longer runs of missing VALUES: refused, or the series is split there. Missing STAMPS always split it."""

    max_gap: str | None = None
    """Where each row is a step (`step: rows`): the longest time between rows, e.g. 10D; longer splits the series."""

    @model_validator(mode="after")
    def _fill_has_a_bound(self) -> Rules:
        if (self.fill == "none") != (self.fill_up_to == 0):
            raise ValueError("fill and fill_up_to go together: fill: linear with fill_up_to: 6, say")
        return self


class SeriesSpec(Section):
    """One series: where its columns stand and by which rules it is cleaned."""

    file: str = ""
    """The file of the set that holds it."""

    time: list[str] = Field(min_length=1, max_length=2)
    """The column of stamps, or one of dates and one of times of day."""

    time_format: str | None = None
    """strptime's format, for two columns with one blank between their parts; none admits ISO 8601 alone, because
    03/04/2020 is two different days."""

    target: str
    """The column to forecast."""

    past: list[str] = Field(default_factory=list)
    """Covariates known up to now (weather as measured)."""

    known: list[str] = Field(default_factory=list)
    """Covariates known ahead (a holiday)."""

    unit: str | None = None
    """The target's unit."""

    step: str = "infer"
    """The time between two rows (1h, 1min), `infer` to find it, or `rows` where each row is one step (trading days)."""

    na_values: list[str] = Field(default_factory=list)
    """Words that mean a missing value, beside the empty cell and NaN."""

    flags: dict[str, Flag] = Field(default_factory=dict)
    """Columns of words that become 0 or 1."""

    pivot: Pivot | None = None
    """For a long table."""

    rules: Rules = Rules()
    """The cleaning rules."""

    @model_validator(mode="after")
    def _two_columns_have_two_formats(self) -> SeriesSpec:
        if len(self.time) == 2 and len((self.time_format or "").split(" ")) != 2:
            raise ValueError("two columns of time need a time_format with one blank, e.g. '%d/%m/%Y %H:%M:%S'")
        return self
