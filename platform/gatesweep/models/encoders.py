"""Encoders by family."""

from __future__ import annotations

from gatesweep.errors import ConfigError
from gatesweep.models.attention_encoder import AttentionEncoder
from gatesweep.models.both_ways import BothWays
from gatesweep.models.config import ModelConfig
from gatesweep.models.encoder import Encoder
from gatesweep.models.memory import MemoryEncoder
from gatesweep.models.recurrent import RecurrentEncoder
from gatesweep.models.tcn import TemporalConvolution
from gatesweep.models.transformer import TransformerEncoder
from gatesweep.models.xlstm import XLSTM

_BOTH_WAYS_OR_CAUSAL: dict[str, type[AttentionEncoder | TransformerEncoder | TemporalConvolution]] = {
    "attention": AttentionEncoder, "transformer": TransformerEncoder, "tcn": TemporalConvolution,
}  # fmt: skip
_ONE_WAY: dict[str, type[XLSTM | MemoryEncoder]] = {"xlstm": XLSTM, "memory": MemoryEncoder}


def build_encoder(config: ModelConfig, input_size: int, *, causal: bool = False) -> Encoder:
    """The encoder that a configuration describes.

    Args:
        causal: no output may see a later input: language models, decoding as the sound comes in.

    Raises:
        ConfigError: a bidirectional one that has to be causal.
    """
    if causal and config.bidirectional:
        raise ConfigError("bidirectional: this model must not see what comes later", place="model",
                          hint="set model.bidirectional to false")  # fmt: skip
    if config.family in _BOTH_WAYS_OR_CAUSAL:
        return _BOTH_WAYS_OR_CAUSAL[config.family](config, input_size, causal=causal)
    if config.family not in _ONE_WAY:
        return RecurrentEncoder(config, input_size)
    build = _ONE_WAY[config.family]
    if not config.bidirectional:
        return build(config, input_size)
    one_way = config.model_copy(update={"bidirectional": False})
    return BothWays(build(one_way, input_size), build(one_way, input_size))
