"""What a cell is, said once: everything that runs a cell follows from its `Cell`.

Letters: x input, h hidden state (the output), c cell state; i f o input, forget and output gate, z candidate.
Shape suffixes: T time steps, B batch, H hidden units.

At every time step the machinery forms the pre-activations, one per gate,

    g_k = W_k x + R_k s + b_k          s: the states named by `sources`, side by side; normally h alone

and the cell's `step` does the rest, unit by unit:

    states' = step(g, states, peepholes)

A gate named in `apart` has its two halves handed over separately, `g[k] = W_k x + b_k` and
`g[k + "_recurrent"] = R_k s + b'_k`: the GRU's reset gate acts on the second alone.

`step` uses + - * and the functions of this module only, never an index or a size. So the same function runs on tensors
of any shape that broadcasts ([B, H] one step at a time, [T, B, H] all steps at once) and on any other object with that
arithmetic, such as the nodes of an expression graph (`expression.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

RECURRENT = "_recurrent"


class Value(Protocol):
    """What a step calculates with: a tensor, or anything with its arithmetic on values of its own kind and floats."""

    def __add__(self, other: Any, /) -> Any: ...
    def __sub__(self, other: Any, /) -> Any: ...
    def __mul__(self, other: Any, /) -> Any: ...
    def __rsub__(self, other: Any, /) -> Any: ...
    def sigmoid(self) -> Any: ...
    def tanh(self) -> Any: ...


Values = Mapping[str, Value]
Step = Callable[[Values, Values, Values], Values]


def sigmoid(x: Value) -> Value:
    """The logistic function 1 / (1 + e^-x)."""
    value: Value = x.sigmoid()
    return value


def tanh(x: Value) -> Value:
    """The hyperbolic tangent."""
    value: Value = x.tanh()
    return value


@dataclass(frozen=True)
class Cell:
    """One recurrent cell: its name, what it owns per unit, and its step.

    Raises:
        ValueError: a peephole, source, `apart` or `forget` entry names a gate or state that the cell does not have.
    """

    name: str
    gates: tuple[str, ...]
    """In the order of the rows of the weights."""

    states: tuple[str, ...]
    """What is carried from step to step; the first is the output."""

    step: Step
    """`step(pre-activations, states, peepholes)` gives the next states, by name."""

    peepholes: tuple[str, ...] = ()
    """Gates that see the cell state through one weight per unit."""

    sources: tuple[str, ...] = ("h",)
    """States that the recurrent weights read."""

    apart: tuple[str, ...] = ()
    """Gates whose input half and recurrent half reach the step separately."""

    forget: Mapping[str, float] = field(default_factory=dict, hash=False)
    """Gates whose bias starts at this multiple of `forget_bias`, so that a new network remembers."""

    def __post_init__(self) -> None:
        for what, names, known in (
            ("peepholes", self.peepholes, self.gates),
            ("apart", self.apart, self.gates),
            ("forget", tuple(self.forget), self.gates),
            ("sources", self.sources, self.states),
        ):
            strangers = [name for name in names if name not in known]
            if strangers:
                raise ValueError(f"cell '{self.name}': {what} names {strangers}, the cell has {list(known)}")

    @property
    def preactivations(self) -> tuple[str, ...]:
        """Names of what `step` receives first: the gates, then the recurrent halves of those in `apart`."""
        return self.gates + tuple(gate + RECURRENT for gate in self.apart)
