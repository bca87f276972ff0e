"""The figure of gradients on their way back through time, as a picture or as a page that needs nothing else."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gatesweep.config.places import check_target
from gatesweep.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gatesweep.cells.flow import Curve

FORMATS = (".png", ".svg", ".pdf", ".html")
FLOOR = 1e-16
"""Where the axis ends: smaller gradients are lost in a float32 sum of larger ones many times over."""

TITLE = "Gradient of the last output by the state before it, at initialisation"
PAGE = "<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><body>{svg}</body></html>\n"


def check_figure(file: Path) -> None:
    """Refuse a file that no figure can be written to, before anything is measured.

    Raises:
        UserError: another suffix than FORMATS has, or no place for a file.
    """
    if file.suffix not in FORMATS:
        raise UserError(f"no figure is written as '{file.suffix}'", place=str(file),
                        hint=f"name it .{', .'.join(suffix[1:] for suffix in FORMATS)}")
    check_target(file)


def write_figure(curves: Sequence[Curve], file: Path) -> None:
    """Draw the curves into `file`, by its suffix: one of FORMATS.

    Raises:
        UserError: another suffix, or no place for a file.
    """
    check_figure(file)
    figure = draw(curves)
    if file.suffix != ".html":
        figure.savefig(file, dpi=150)
        return
    text = io.StringIO()
    figure.savefig(text, format="svg")
    svg = text.getvalue()
    file.write_text(PAGE.format(title=TITLE, svg=svg[svg.index("<svg"):]), encoding="utf-8")


def draw(curves: Sequence[Curve]) -> Figure:
    """Steps back from the end to the right, the norm upwards in powers of ten."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.8), layout="constrained")
    axes = figure.subplots()
    for curve in curves:
        steps = range(len(curve.norm))
        axes.semilogy(steps, [max(norm, FLOOR / 10) for norm in reversed(curve.norm)], label=curve.label, linewidth=1.4)
    axes.set_ylim(bottom=FLOOR)
    axes.set_xlim(0, max(len(curve.norm) for curve in curves) - 1)
    axes.set_xlabel("steps back from the last, T - t")
    axes.set_ylabel("‖∂L/∂h_t‖ / ‖∂L/∂h_T‖")
    axes.set_title(TITLE, fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
