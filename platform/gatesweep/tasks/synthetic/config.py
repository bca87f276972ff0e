"""The `data:` and `model:` sections of `task: synthetic`. Nothing heavy is imported here."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator

from gatesweep.config.section import Section
from gatesweep.models.config import ModelConfig

LEAST = {"adding": 2, "copy": 1, "recall": 1, "parity": 1, "reber": 1}
PER_STEP = ("copy", "parity", "reber")
"""Problems that ask before the last step: an answer must not see what comes after it."""

_USES = {"symbols": ("copy", "recall"), "span": ("copy",)}


class SyntheticData(Section):
    """Which problem, and how long it has to be remembered."""

    problem: Literal["adding", "copy", "recall", "parity", "reber"] = "adding"
    """adding: the sum of two marked numbers. copy: a string, after a long silence. recall: the first symbol, after
    distractors. parity: whether the ones so far are odd in number, at every step. reber: the next symbol of the
    embedded Reber grammar. docs/tasks/synthetic.md has their definitions and papers."""

    length: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    """T. adding, parity: steps of a sequence. copy, recall: steps between what is shown and what is asked. reber: the
    least number of steps between a symbol and the place where it has to come again."""

    symbols: Annotated[int, Field(ge=2, le=1000)] = 8
    """Of copy and recall: different symbols to remember."""

    span: Annotated[int, Field(ge=1, le=10_000)] = 10
    """Of copy: symbols to remember one after another."""

    train: PositiveInt = 10_000
    """Examples of an epoch."""

    val: PositiveInt = 1000
    """Examples that choose between epochs and between trials; the same ones always."""

    test: PositiveInt = 1000
    """Examples that the chosen model is scored on once; the same ones always."""

    fresh: bool = True
    """Whether every epoch draws new training examples, so that nothing can be learnt by heart; else the first ones come
    again."""

    @model_validator(mode="after")
    def _fits(self) -> SyntheticData:
        least = LEAST[self.problem]
        if self.length < least:
            raise ValueError(f"length: {self.problem} needs {least} steps at least, not {self.length}"
                             f"\n\nhint: for example length: 100")  # fmt: skip
        for name, problems in _USES.items():
            if self.problem not in problems and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name}: {self.problem} has none\n\nhint: leave data.{name} out; "
                                 f"it is of {' and '.join(problems)}")  # fmt: skip
        return self


class SyntheticModel(ModelConfig):
    """An encoder and a linear map to the answers."""
