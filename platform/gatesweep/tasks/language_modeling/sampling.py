"""Text that a model writes, word by word.

    p_i ∝ exp(z_i / τ)     of the likeliest words that add up to `top_p` alone (nucleus; Holtzman et al. 2020)

Letters: N tokens of the prompt, V vocabulary, z logits, τ temperature.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from gatesweep.models.language_model import LanguageNetwork


def chances(logits_V: Tensor, temperature: float, top_p: float, never: Sequence[int] = ()) -> Tensor:
    """The distribution that the next token is drawn from, float64.

    Args:
        temperature: 0 is the likeliest token, for certain.
        never: tokens that are not to be drawn.
    """
    z_V = logits_V.double().clone()
    z_V[list(never)] = -torch.inf
    if temperature == 0:
        return torch.zeros_like(z_V).index_fill(0, z_V.argmax(), 1.0)
    p_V = torch.softmax(z_V / temperature, 0)
    ranked_V, order_V = p_V.sort(descending=True, stable=True)
    before_V = ranked_V.cumsum(0) - ranked_V
    p_V[order_V[before_V >= top_p]] = 0.0
    return p_V / p_V.sum()


@torch.no_grad()
def write(
    network: LanguageNetwork, ids_N: Sequence[int], tokens: int, *, temperature: float = 1.0, top_p: float = 1.0,
    seed: int = 0, never: Sequence[int] = (),
) -> Iterator[int]:  # fmt: skip
    """Read the prompt, then draw `tokens` tokens, each read in turn. A function of its arguments alone.

    Args:
        ids_N: one token at least.
    """
    network.eval()
    device = network.decoder.weight.device
    generator, given, state = torch.Generator().manual_seed(seed), list(ids_N), None
    for _ in range(tokens):
        read = network(torch.tensor([given], device=device), state)
        state = read.state
        p_V = chances(network.logits(read.outputs_BTO[:, -1:])[0, 0].cpu(), temperature, top_p, never)
        given = [int(torch.multinomial(p_V, 1, generator=generator))]
        yield given[0]
