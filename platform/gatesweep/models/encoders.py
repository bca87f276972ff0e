"""Encoders by family."""

from __future__ import annotations

from gatesweep.errors import ConfigError
from gatesweep.models.config import ModelConfig
from gatesweep.models.encoder import Encoder
from gatesweep.models.recurrent import RecurrentEncoder


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
    return RecurrentEncoder(config, input_size)
