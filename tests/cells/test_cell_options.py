"""Options of the recurrent loop, as functions from cell to cell."""

from __future__ import annotations

import pytest
import torch
from cell_problems import problem

from gatesweep.cells import fused, reference
from gatesweep.cells.options import cell_norm, clip, complete, recurrent_dropout, visible_states, zoneout
from gatesweep.cells.variants import CELLS, find

LSTMS = [cell for cell in CELLS.values() if cell.states[:2] == ("h", "c") and cell.name != "slstm"]


@pytest.mark.parametrize("option", [
    lambda cell: zoneout(cell, ("h", "c")), lambda cell: recurrent_dropout(cell, "candidate"),
    lambda cell: recurrent_dropout(cell, "variational"), lambda cell: clip(cell, 3.0), cell_norm,
    lambda cell: recurrent_dropout(zoneout(cell_norm(clip(cell, 3)), ("h",)), "variational"),
])  # fmt: skip
@pytest.mark.parametrize("name", ["vanilla", "coupled", "fgr"])
def test_equal_options_give_the_identical_cell(option, name: str) -> None:
    assert option(find(name)) is option(find(name))
    assert option(find(name)) != find(name)
    assert option(find(name)).name.startswith(f"{name}+")


@pytest.mark.parametrize("cell", LSTMS, ids=lambda cell: cell.name)
def test_every_lstm_takes_every_option(cell) -> None:
    changed = recurrent_dropout(zoneout(recurrent_dropout(cell_norm(clip(cell, 1.0)), "candidate"), ("h", "c")),
                                "variational")
    assert changed.masks == ("candidate", "h", "c", "variational")
    assert changed.vectors == ("c_gain", "c_bias")
    assert visible_states(changed) == cell.states
    assert problem(changed, T=2, B=2, D=1, H=3).run(reference.unroll)[0].isfinite().all()


@pytest.mark.parametrize(("kind", "neutral"), [("candidate", 1.0), ("variational", 1.0), ("zoneout", 0.0)])
@pytest.mark.parametrize("name", [name for name in CELLS if name not in ("rnn", "gru_before", "mingru", "minlstm")])
def test_a_mask_that_drops_nothing_changes_nothing(name: str, kind: str, neutral: float) -> None:
    cell = find(name)
    changed = zoneout(cell, ("h",)) if kind == "zoneout" else recurrent_dropout(cell, kind)
    with_mask, without = problem(changed, T=4, B=2, D=3, H=3), problem(cell, T=4, B=2, D=3, H=3)
    with_mask.masks = torch.full_like(with_mask.masks, neutral)
    state = complete(changed, tuple(without.tensors[1 + len(without.names) :]), with_mask.masks)
    tensors = [*without.tensors[: 1 + len(without.names)], *state]
    expected = without.run(fused.unroll)
    for got, want in zip(with_mask.run(fused.unroll, tensors), expected, strict=False):
        torch.testing.assert_close(got, want)


def test_a_wide_bound_clips_nothing() -> None:
    clipped, free = (problem(cell, T=5, B=2, D=3, H=3) for cell in (clip(find("peephole"), 1e6), find("peephole")))
    for got, want in zip(clipped.run(fused.unroll), free.run(fused.unroll), strict=True):
        assert torch.equal(got, want)


def test_a_nan_passes_a_bound() -> None:
    task = problem(clip(find("peephole"), 0.5), T=2, B=1, D=1, H=1)
    with torch.no_grad():
        task.tensors[0][0] = float("nan")
    for unroll in (fused.unroll, reference.unroll):
        assert task.run(unroll)[0].isnan().all()


@pytest.mark.parametrize(("make", "message"), [
    (lambda: zoneout(find("gru"), ("c",)), r"zoneout of \['c'\]: cell 'gru' carries \['h'\]"),
    (lambda: zoneout(recurrent_dropout(find("gru"), "variational"), ("h",)), "comes before variational dropout"),
    (lambda: recurrent_dropout(find("gru"), "weights"), "'weights' of cell 'gru': it is 'candidate', or 'variational'"),
    (lambda: recurrent_dropout(find("rnn"), "candidate"), "cell 'rnn' has no place for 'dropout"),
    (lambda: recurrent_dropout(find("mingru"), "variational"), "whose recurrent weights read h alone"),
    (lambda: recurrent_dropout(find("gru_before"), "variational"), "whose recurrent weights read h alone"),
    (lambda: recurrent_dropout(recurrent_dropout(find("gru"), "candidate"), "candidate"), "stands twice"),
    (lambda: clip(find("gru"), 1.0), r"cell 'gru' has no place for 'clip\(1\)'"),
    (lambda: clip(find("vanilla"), 0.0), "the bound must be above 0"),
    (lambda: clip(find("vanilla"), float("nan")), "the bound must be above 0"),
    (lambda: cell_norm(find("slstm")), "cell 'slstm' has no place for 'cell_norm'"),
    (lambda: cell_norm(cell_norm(find("vanilla"))), "stands twice"),
])  # fmt: skip
def test_an_option_that_no_equation_gives_is_refused(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
