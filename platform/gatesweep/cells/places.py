"""Where options act inside a step (`options.py`): a step calls these where its equations have such a place.

    z = dropped(p, tanh(...))        the candidate, times the mask of recurrent dropout
    c = bounded(p, f * c + i * z)    the new cell state, clipped
    h = o * tanh(shown(p, c))        what the output gate lets through, normalised

Without the option they give back what they are given.
"""

from __future__ import annotations

from gatesweep.cells.description import MASK, Value, Values, clamp, norm

CANDIDATE = "candidate"
CLIP = "clip"
GAIN, BIAS = "c_gain", "c_bias"


def dropped(p: Values, candidate: Value) -> Value:
    mask = MASK + CANDIDATE
    return candidate * p[mask] if mask in p else candidate


def bounded(p: Values, c: Value) -> Value:
    return clamp(c, p[CLIP]) if CLIP in p else c  # type: ignore[arg-type]  # a number among the values


def shown(p: Values, c: Value) -> Value:
    return norm(c) * p[GAIN] + p[BIAS] if GAIN in p else c
