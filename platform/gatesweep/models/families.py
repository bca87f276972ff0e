"""The families of encoders and the fields that each of them has. No torch: a file is checked in an instant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatesweep.cells.config import RecurrentConfig
from gatesweep.cells.loop import check_division
from gatesweep.cells.names import hinted

if TYPE_CHECKING:
    from gatesweep.models.config import ModelConfig

FAMILIES = ("recurrent", "attention", "transformer", "tcn", "xlstm", "memory")

_ALL = ("family", "hidden_size", "layers", "dropout")
_RECURRENT = tuple(RecurrentConfig.model_fields)
_ONE_MASK_A_SEQUENCE = ("variational_dropout", "weight_drop", "recurrent_dropout", "recurrent_dropout_kind")
"""What a controller that is called step by step cannot have."""

FIELDS: dict[str, frozenset[str]] = {
    "recurrent": frozenset((*_ALL, *_RECURRENT)),
    "attention": frozenset((*_ALL, *_RECURRENT, "attention_heads", "context")),
    "transformer": frozenset((*_ALL, "attention_heads", "context", "feedforward")),
    "tcn": frozenset((*_ALL, "kernel_size")),
    "xlstm": frozenset((*_ALL, "bidirectional", "heads", "forget_bias", "backend", "xlstm_blocks", "kernel_size",
                        "feedforward")),
    "memory": frozenset({*_ALL, *_RECURRENT, "memory_slots", "memory_width", "memory_heads"}
                        - set(_ONE_MASK_A_SEQUENCE)),
}  # fmt: skip

OPTIONS = frozenset().union(*FIELDS.values())
"""Every field that describes an encoder; a task's own section has others besides."""

_INSTEAD = {
    ("transformer", "heads"): "its heads are attention_heads",
    ("transformer", "bidirectional"): "it sees both ways wherever the task lets it",
    ("tcn", "bidirectional"): "it sees both ways wherever the task lets it",
    ("xlstm", "cell"): "its cells are those of xlstm_blocks: m for mlstm, s for slstm",
}


def check(config: ModelConfig) -> None:
    """Refuse what a family does not have, and sizes that it cannot have.

    Raises:
        ValueError: says which field, and what to do.
    """
    known = FIELDS[config.family]
    strange = [name for name in OPTIONS
               if name not in known and getattr(config, name) != type(config).model_fields[name].default]  # fmt: skip
    if strange:
        instead = [_INSTEAD[config.family, name] for name in strange if (config.family, name) in _INSTEAD]
        raise ValueError(hinted(f"family '{config.family}' has no {', '.join(strange)}",
                                "; ".join([f"leave {' and '.join(strange)} out", *instead])))
    if config.family in ("attention", "transformer"):
        _check_attention(config)
    if config.family == "xlstm":
        _check_xlstm(config)


def _check_attention(config: ModelConfig) -> None:
    heads = config.attention_heads
    width = config.hidden_size if config.family == "transformer" else config.recurrent_outputs
    if width % heads:
        raise ValueError(hinted(f"attention_heads: {heads} heads do not divide {width} numbers a step",
                                f"take {_nearest(width, heads)}"))
    if config.family == "transformer" and width // heads % 2:
        raise ValueError(hinted(f"attention_heads: {width} / {heads} = {width // heads} units a head; rotary positions "
                                "turn units in pairs", f"take a hidden_size that {2 * heads} divides"))


def _check_xlstm(config: ModelConfig) -> None:
    check_division(config.hidden_size, config.heads)
    if config.hidden_size == config.heads:
        raise ValueError(hinted(f"heads: {config.heads} heads of one unit each; a head's output is normalised over its "
                                "units, so that nothing would be left of it", "take fewer heads"))
    if config.backend not in ("auto", "reference"):
        raise ValueError(hinted(f"backend: family 'xlstm' cannot run its cells by '{config.backend}': mlstm and slstm "
                                "have different ways", "take backend auto or reference"))


def _nearest(width: int, heads: int) -> str:
    fits = [n for n in range(1, width + 1) if width % n == 0]
    return " or ".join(str(n) for n in [*[n for n in fits if n < heads][-1:], *[n for n in fits if n > heads][:1]])
