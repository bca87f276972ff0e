"""What a cell is, said once: everything that runs a cell follows from its `Cell`.

Letters: x input, h hidden state (the output), c cell state; i f o input, forget and output gate, z candidate.
Shape suffixes: T time steps, B batch, H hidden units.

At every time step the machinery forms the pre-activations, one per gate,

    g_k = W_k x + R_k s + b_k          s: the states named by `sources`, side by side; normally h alone

and the cell's `step` does the rest, unit by unit:

    states' = step(g, states, p)       p: peepholes and other parameters of one number per unit, random factors

A gate named in `apart` has its two halves handed over separately, `g[k] = W_k x + b_k` and
`g[k + "_recurrent"] = R_k s + b'_k`: the GRU's reset gate acts on the second alone.

`step` uses + - * / and the functions of this module only, never an index or a size. So the same function runs on
tensors of any shape that broadcasts ([B, H] one step at a time, [T, B, H] all steps at once) and on any other object
with that arithmetic, such as the nodes of an expression graph (`expression.py`). A plain number may stand for a value:
a gate that is always open is 1.0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

RECURRENT = "_recurrent"
MASK = "mask."
NORM_EPS = 1e-5


class Value(Protocol):
    """What a step calculates with: a tensor, or anything with its arithmetic on values of its own kind and floats."""

    def __add__(self, other: Any, /) -> Any: ...
    def __sub__(self, other: Any, /) -> Any: ...
    def __mul__(self, other: Any, /) -> Any: ...
    def __truediv__(self, other: Any, /) -> Any: ...
    def __radd__(self, other: Any, /) -> Any: ...
    def __rsub__(self, other: Any, /) -> Any: ...
    def __rmul__(self, other: Any, /) -> Any: ...
    def __rtruediv__(self, other: Any, /) -> Any: ...
    def sigmoid(self) -> Any: ...
    def tanh(self) -> Any: ...
    def exp(self) -> Any: ...
    def log(self) -> Any: ...
    def maximum(self, other: Any, /) -> Any: ...
    def clamp_min(self, bound: float, /) -> Any: ...


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


def identity(x: Value) -> Value:
    """x itself, where an equation has no function."""
    return x


def exp(x: Value) -> Value:
    """e^x."""
    value: Value = x.exp()
    return value


def log(x: Value) -> Value:
    """The natural logarithm."""
    value: Value = x.log()
    return value


def maximum(a: Value | float, b: Value | float) -> Value:
    """The larger of the two, one of which may be a number.

    Where they are equal the derivative is not defined: which of the two gets it is up to what runs the step.
    """
    if isinstance(a, int | float):
        a, b = b, a
    if isinstance(a, int | float):
        raise TypeError("maximum of two numbers: at least one must be a value")
    value: Value = a.clamp_min(b) if isinstance(b, int | float) else a.maximum(b)
    return value


def log_sigmoid(x: Value) -> Value:
    """log σ(x), without overflow or underflow whatever x: (x - |x|) / 2 - log(1 + e^-|x|)."""
    size = maximum(x, 0 - x)  # one |x| for both terms: at 0 the slopes that it might have cancel out
    value: Value = 0.5 * (x - size) - log(1 + exp(0 - size))
    return value


def clamp(x: Value, bound: float) -> Value:
    """x, no further than `bound` from 0."""
    return 0 - maximum(0 - maximum(x, -bound), -bound)  # type: ignore[no-any-return]


def norm(x: Any) -> Any:
    """x less its mean over the units, over its standard deviation (variance + 1e-5): the one function across units."""
    if hasattr(x, "normalised"):
        return x.normalised()
    centred = x - x.mean(-1, keepdim=True)
    return centred * ((centred * centred).mean(-1, keepdim=True) + NORM_EPS).rsqrt()


@dataclass(frozen=True)
class Cell:
    """One recurrent cell: its name, what it owns per unit, and its step.

    Raises:
        ValueError: a field names a gate or state that the cell does not have, or one name stands for two things.
    """

    name: str
    gates: tuple[str, ...]
    """In the order of the rows of the weights."""

    states: tuple[str, ...]
    """What is carried from step to step; the first is the output."""

    step: Step
    """`step(pre-activations, states, p)` gives the next states, by name."""

    peepholes: tuple[str, ...] = ()
    """Gates that see the cell state through one weight per unit, `p[gate]`."""

    sources: tuple[str, ...] = ("h",)
    """States that the recurrent weights read; none: the cell has no recurrent weights."""

    apart: tuple[str, ...] = ()
    """Gates whose input half and recurrent half reach the step separately."""

    forget: Mapping[str, float] = field(default_factory=dict, hash=False)
    """Gates whose bias starts at this multiple of `forget_bias`, so that a new network remembers."""

    feedback: tuple[str, ...] = ()
    """Gates whose activations of the step before, states of the same names, reach those same gates through weights of
    their own: one matrix for each pair."""

    masks: tuple[str, ...] = ()
    """Random factors, one for each step, sequence and unit, `p["mask." + name]`."""

    vectors: tuple[str, ...] = ()
    """Further parameters of one number per unit, `p[name]`."""

    start: Mapping[str, float] = field(default_factory=dict, hash=False)
    """What vectors start at; those not named start as weights do."""

    inner: Step | None = None
    """A recurrent product within the step: `inner(pre-activations, states, p)` gives, by gate, what that gate's
    recurrent weights read in place of the sources. It uses no gate that it gives."""

    initial: Mapping[str, float] = field(default_factory=dict, hash=False)
    """States that start at another value than 0 where no state is given."""

    def __post_init__(self) -> None:
        for what, names, known in (
            ("peepholes", self.peepholes, self.gates),
            ("apart", self.apart, self.gates),
            ("forget", tuple(self.forget), self.gates),
            ("sources", self.sources, self.states),
            ("feedback", self.feedback, tuple(name for name in self.gates if name in self.states)),
            ("start", tuple(self.start), self.vectors),
            ("initial", tuple(self.initial), self.states),
        ):
            strangers = [name for name in names if name not in known]
            if strangers:
                raise ValueError(f"cell '{self.name}': {what} names {strangers}, the cell has {list(known)}")
        for what, names in (("recurrent sources", self.recurrent), ("units", self.units), ("masks", self.masks)):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"cell '{self.name}': {twice} stands twice among its {what}")

    @property
    def preactivations(self) -> tuple[str, ...]:
        """Names of what `step` receives first: the gates, then the recurrent halves of those in `apart`."""
        return self.gates + tuple(gate + RECURRENT for gate in self.apart)

    @property
    def recurrent(self) -> tuple[str, ...]:
        """States that recurrent weights of either kind read: the sources, then the gates fed back."""
        return self.sources + self.feedback

    @property
    def units(self) -> tuple[str, ...]:
        """Names of the parameters of one number per unit: peepholes, then vectors."""
        return self.peepholes + self.vectors
