"""Music that a model writes, frame by frame; the same arguments give the same music.

    p = σ(z / τ)     temperature 0 takes what is likelier, on or off
    top_p            of a note's two values, on and off, the likeliest are kept until they reach `top_p` (nucleus;
                     Holtzman et al. 2020): below 1 - top_p a note is never drawn, from top_p on it always is
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from gatesweep.data.music.rolls import HIGHEST, LOWEST, NOTES
from gatesweep.errors import ConfigError
from gatesweep.models.note_model import NoteModel


def chances(logits: Tensor, temperature: float, top_p: float) -> Tensor:
    """Probabilities that notes are drawn, float64."""
    if temperature == 0:
        return (logits >= 0).double()
    p = torch.sigmoid(logits.double() / temperature)
    return torch.where(p >= top_p, 1.0, torch.where(1 - p >= top_p, 0.0, p)) if top_p < 1 else p


@torch.no_grad()
def write(network: NoteModel, prompt: list[list[int]], frames: int, *, temperature: float = 1.0, top_p: float = 1.0,
          seed: int = 0) -> Iterator[list[int]]:  # fmt: skip
    """Read silence and the prompt, then draw `frames` frames, each read in turn, as MIDI numbers."""
    network.eval()
    weight = next(network.parameters())
    generator = torch.Generator().manual_seed(seed)

    def choose(logits: Tensor) -> Tensor:
        p = chances(logits.cpu(), temperature, top_p)
        drawn = torch.rand(p.shape, generator=generator, dtype=torch.float64) < p
        return drawn.to(logits.device, logits.dtype)

    given_1TK = torch.zeros(1, len(prompt) + 1, NOTES, dtype=weight.dtype, device=weight.device)
    for step, notes in enumerate(prompt, 1):
        given_1TK[0, step, [note - LOWEST for note in notes]] = 1.0
    state = None
    for _ in range(frames):
        read = network.read(given_1TK, state=state)
        state = read.state
        chosen_1K = network.head.draw(read.outputs_BTO[:, -1], choose)
        given_1TK = chosen_1K.unsqueeze(1)
        yield (chosen_1K[0].nonzero().flatten() + LOWEST).tolist()


def frames_of(prompt: str) -> list[list[int]]:
    """`60 64 67, 62 65` as two frames of MIDI numbers; `-` is a frame of silence.

    Raises:
        ConfigError: what is no MIDI number of a piano.
    """
    frames = []
    for frame in filter(None, (each.strip() for each in prompt.split(","))):
        words = [] if frame == "-" else frame.split()
        strange = [word for word in words if not (word.isdecimal() and LOWEST <= int(word) <= HIGHEST)]
        if strange:
            raise ConfigError(f"'{strange[0]}' is no MIDI number of a piano", place="--prompt",
                              hint=f'numbers from {LOWEST} to {HIGHEST}, frames apart by commas: "60 64 67, 62 65 69"')
        frames.append(sorted({int(word) for word in words}))
    return frames


def text_of(frames: list[list[int]]) -> str:
    """As `frames_of` reads it."""
    return ", ".join(" ".join(map(str, notes)) or "-" for notes in frames)
