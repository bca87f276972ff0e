"""Parameters: their sizes, what they start at, and the uniform form that the loops read."""

from __future__ import annotations

import pytest
import torch
from cell_problems import gradients, problem

from gatesweep.cells import reference
from gatesweep.cells.options import cell_norm
from gatesweep.cells.variants import CELLS, find
from gatesweep.cells.weights import assemble, initialise, shapes, uniform


def test_parameters_are_those_that_the_cell_and_its_options_have() -> None:
    plain = {"weight_ih": (20, 3), "weight_hh": (20, 5), "bias_ih": (20,), "bias_hh": (20,)}
    assert shapes(find("vanilla"), 3, 5) == plain
    assert shapes(find("peephole"), 3, 5) == plain | {"peephole": (3, 5)}
    assert shapes(cell_norm(find("peephole")), 3, 5) == plain | {"peephole": (5, 5)}
    assert shapes(find("fgr"), 3, 5) == plain | {"peephole": (3, 5), "feedback": (15, 15)}
    assert shapes(find("vanilla"), 3, 5, projection=2) == plain | {"weight_hh": (20, 2), "weight_hr": (2, 5)}
    assert shapes(find("vanilla"), 3, 5, norm=True) == plain | {"gain_ih": (20,), "gain_hh": (20,)}
    assert shapes(find("slstm"), 3, 6, heads=3) == {
        "weight_ih": (24, 3), "weight_hh": (24, 2), "bias_ih": (24,), "bias_hh": (24,),
    }  # fmt: skip
    assert shapes(find("mingru"), 3, 5) == {"weight_ih": (10, 3), "bias_ih": (10,), "bias_hh": (10,)}


@pytest.mark.parametrize(("name", "options", "message"), [
    ("vanilla", {"projection": 5}, "must be above 0 and below the 5"),
    ("vanilla", {"projection": 0}, "must be above 0 and below the 5"),
    ("gru", {"projection": 2}, "cell 'gru' cannot be projected"),
    ("gru_before", {"projection": 2}, "cell 'gru_before' cannot be projected"),
    ("mingru", {"projection": 2}, "cell 'mingru' cannot be projected"),
    ("mingru", {"norm": True}, "no recurrent half"), ("gru_before", {"norm": True}, "no single recurrent half"),
    ("slstm", {"heads": 2}, "2 heads do not divide 5 hidden units"), ("fgr", {"heads": 5}, "cannot have 5 heads"),
    ("vanilla", {"heads": 5, "projection": 1}, "cannot have 5 heads"),
    ("minlstm", {"heads": 5}, "no recurrent weights"),
])  # fmt: skip
def test_options_that_no_equation_gives_are_refused(name: str, options, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        shapes(find(name), 3, 5, **options)


def test_gains_start_at_one_and_vectors_where_the_cell_says() -> None:
    cell = cell_norm(find("peephole"))
    parameters = {name: torch.empty(size) for name, size in shapes(cell, 3, 5, norm=True).items()}
    initialise(cell, assemble(cell, parameters), forget_bias=1.0)
    assert (parameters["gain_ih"] == 1).all()
    assert (parameters["gain_hh"] == 1).all()
    assert parameters["peephole"][3:].tolist() == [[1.0] * 5, [0.0] * 5]
    assert parameters["peephole"][:3].std() > 0


@pytest.mark.parametrize("name", CELLS)
def test_the_uniform_form_has_a_block_for_each_pre_activation_and_each_recurrent_state(name: str) -> None:
    cell = find(name)
    form = uniform(cell, problem(cell, T=1, B=1, D=3, H=4).weights())
    K = 4 * len(cell.preactivations)
    assert form.input_KD.shape == (K, 3)
    assert form.recurrent_KS.shape == (K, 4 * len(cell.recurrent))
    assert form.bias_K.shape == (K,)


def test_gates_that_are_fed_back_reach_gates_and_not_the_candidate() -> None:
    cell = find("fgr")
    task = problem(cell, T=1, B=1, D=3, H=4)
    r_KS = uniform(cell, task.weights()).recurrent_KS
    rows = dict(zip(cell.gates, r_KS.chunk(4), strict=True))
    assert not rows["z"][:, 4:].any()
    assert torch.equal(torch.cat([rows[gate][:, 4:] for gate in cell.feedback]), task.weights().feedback_FF)


@pytest.mark.parametrize("cell", [find("slstm"), find("vanilla"), find("gru")], ids=lambda cell: cell.name)
def test_heads_are_a_recurrent_matrix_of_blocks_and_its_gradient_is_theirs(cell) -> None:
    blocks = problem(cell, T=3, B=2, D=3, H=6, heads=3)
    whole = problem(cell, T=3, B=2, D=3, H=6)
    heads_G2 = blocks.weights().recurrent_GS.detach()
    dense = torch.cat([torch.block_diag(*rows.split(2)) for rows in heads_G2.split(6)])
    tensors = [tensor.detach().clone() for tensor in blocks.tensors]
    tensors[2] = dense
    tensors = [tensor.requires_grad_() for tensor in tensors]
    ours, expected = blocks.run(reference.unroll), whole.run(reference.unroll, tensors)
    for a, b in zip(ours, expected, strict=True):
        torch.testing.assert_close(a, b)
    of_dense = gradients(expected, tensors)[2]
    inside = torch.cat([torch.cat([gate[k : k + 2, k : k + 2] for k in range(0, 6, 2)]) for gate in of_dense.split(6)])
    torch.testing.assert_close(gradients(ours, blocks.tensors)[2], inside)
