"""What the decoder looks at, and how well it does by length, as pictures without pyplot's global state.

Shape suffixes: U steps of the output, T steps of the source.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from gatesweep.tasks.translation.metrics import corpus_bleu

MODEL, BASELINE = "#d1495b", "#8d96a3"
GROUPS = 6
WIDE_FONTS = ("Noto Sans CJK JP", "IPAexGothic", "IPAGothic", "TakaoGothic", "Yu Gothic", "Hiragino Sans", "MS Gothic")


class Look(NamedTuple):
    """One sentence and where the decoder looked while it wrote."""

    source: list[str]
    output: list[str]
    a_UT: NDArray[np.float32]


def attention_maps(looks: Sequence[Look], *, title: str) -> Figure:
    """A panel for each sentence: dark where a symbol of the output (downwards) looked at one of the source."""
    figure = Figure(figsize=(6.5 * 2, 5.5 * -(-len(looks) // 2)), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    for place, look in enumerate(looks, 1):
        axes = figure.add_subplot(-(-len(looks) // 2), 2, place)
        axes.imshow(look.a_UT, cmap="Reds", vmin=0.0, vmax=1.0, aspect="auto")
        axes.set(xlabel="source", ylabel="output")
        _symbols(axes, look)
    return figure


def bleu_by_length(written: Mapping[str, Sequence[str]], references: Sequence[str], lengths_N: Sequence[int], *,
                   language: str, title: str) -> Figure:
    """BLEU of as many sentences each, from the shortest sources to the longest.

    Args:
        written: translations by the name of who wrote them.
    """
    figure = Figure(figsize=(8, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    order_N = np.argsort(np.asarray(lengths_N), kind="stable")
    groups = [group for group in np.array_split(order_N, min(GROUPS, len(order_N))) if len(group)]
    names = [_span([lengths_N[i] for i in group]) + f"\n({len(group)})" for group in groups]
    for number, (who, lines) in enumerate(written.items()):
        values = [corpus_bleu([lines[i] for i in group], [references[i] for i in group], language) for group in groups]
        axes.plot(range(len(groups)), values, marker="o", label=who, color=BASELINE if number else MODEL)
    axes.set(title=title, xlabel="symbols of the source (sentences)", ylabel="BLEU, no capitals")
    axes.set_xticks(range(len(groups)), names)
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure


def _symbols(axes: Axes, look: Look) -> None:
    axes.set_xticks(range(len(look.source)), [_shown(each) for each in look.source], rotation=90, fontsize=7)
    axes.set_yticks(range(len(look.output)), [_shown(each) for each in look.output], fontsize=7)
    font = _wide_font()
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        if not label.get_text().isascii() and font is not None:
            label.set_fontfamily(font)


def _shown(symbol: str) -> str:
    """As a reader can tell it: a word's begin is a low line; where no font has the letters, their code points."""
    told = symbol.replace("\u2581", "_").replace("$", r"\$")
    if _wide_font() is None and any(ord(letter) > 0x2E80 for letter in told):
        return " ".join(f"{ord(letter):x}" if ord(letter) > 0x2E80 else letter for letter in told)
    return told


def _span(lengths: Sequence[int]) -> str:
    return f"{min(lengths)}" if min(lengths) == max(lengths) else f"{min(lengths)}-{max(lengths)}"


@cache
def _wide_font() -> str | None:
    """A font of this machine with Chinese and Japanese letters."""
    there = {font.name for font in font_manager.fontManager.ttflist}
    return next((name for name in WIDE_FONTS if name in there), None)
