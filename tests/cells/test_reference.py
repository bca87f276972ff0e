"""The reference loop's own promises: every derivative, lengths, and the options that it alone runs."""

from __future__ import annotations

import pytest
import torch
from cell_problems import gradients, problem
from torch import nn

from gatesweep.cells import reference
from gatesweep.cells.options import cell_norm, clip, recurrent_dropout, zoneout
from gatesweep.cells.variants import CELLS, find
from gatesweep.cells.weights import Weights

NORMED = {"norm": True}
TASKS = [
    *((cell, {}) for cell in CELLS.values()), (find("cifg"), {"projection": 1}), (find("fgr"), {"projection": 1}),
    (find("slstm"), {"heads": 2}), (find("gru"), NORMED), (find("fgr"), NORMED), (find("nog"), NORMED),
    (cell_norm(clip(find("peephole"), 0.5)), NORMED | {"projection": 1}),
    (recurrent_dropout(zoneout(find("niaf"), ("h", "c")), "variational"), {}),
    (recurrent_dropout(find("minlstm"), "candidate"), {}),
]  # fmt: skip
each_task = pytest.mark.parametrize(("cell", "options"), TASKS, ids=lambda value: getattr(value, "name", str(value)))


@each_task
def test_gradients_and_second_derivatives_pass_gradcheck_in_float64(cell, options) -> None:
    task = problem(cell, T=2, B=1, D=2, H=2, **options)
    assert torch.autograd.gradcheck(lambda *args: task.run(reference.unroll, args), task.tensors)
    assert torch.autograd.gradgradcheck(lambda *args: task.run(reference.unroll, args), task.tensors, atol=1e-4)


@each_task
def test_each_sequence_of_a_padded_batch_comes_out_as_if_it_were_alone(cell, options) -> None:
    task, lengths = problem(cell, T=5, B=3, D=2, H=4, **options), [2, 5, 3]
    output, *last = task.run(reference.unroll, lengths_B=torch.tensor(lengths))
    for b, length in enumerate(lengths):
        n = 1 + len(task.names)
        alone = [task.tensors[0][:length, b : b + 1], *task.tensors[1:n], *(s[b : b + 1] for s in task.tensors[n:])]
        own = problem(cell, T=5, B=3, D=2, H=4, **options)
        own.masks = None if task.masks is None else task.masks[:length, :, b : b + 1]
        h, *states = own.run(reference.unroll, alone)
        torch.testing.assert_close(output[:length, b : b + 1], h)
        assert not output[length:, b].any()
        for state, state_alone in zip(last, states, strict=True):
            torch.testing.assert_close(state[b : b + 1], state_alone)


@pytest.mark.parametrize("lengths", [None, [3, 6, 1, 4]], ids=["full", "lengths"])
def test_a_projected_vanilla_lstm_equals_torchs_proj_size(lengths: list[int] | None) -> None:
    T, B, D, H = 6, 4, 3, 5
    task = problem(find("vanilla"), T, B, D, H, projection=2)
    theirs = nn.LSTM(D, H, proj_size=2).double()
    theirs.load_state_dict({f"{name}_l0": p for name, p in zip(task.names, task.tensors[1:], strict=False)})
    x, state = task.tensors[0], tuple(s.unsqueeze(0) for s in task.tensors[-2:])
    inputs = x if lengths is None else nn.utils.rnn.pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=False)
    y, (h, c) = theirs(inputs, state)
    y = y if lengths is None else nn.utils.rnn.pad_packed_sequence(y, total_length=T)[0]
    ours = task.run(reference.unroll, lengths_B=None if lengths is None else torch.tensor(lengths))
    for a, b in zip(ours, (y, h[0], c[0]), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)
    order = [f"{name}_l0" for name in task.names]
    expected = gradients((y, h[0], c[0]), [x, *(theirs.get_parameter(name) for name in order), *task.tensors[-2:]])
    for a, b in zip(gradients(ours, task.tensors), expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_normalised_halves_forget_the_scale_of_their_weights() -> None:
    task = problem(find("peephole"), T=4, B=2, D=3, H=5, norm=True)
    scaled = [tensor * (100.0 if name.startswith("weight") else 1.0)
              for name, tensor in zip(["x", *task.names, "h", "c"], task.tensors, strict=True)]
    plain, loud = task.run(reference.unroll)[0], task.run(reference.unroll, scaled)[0]
    torch.testing.assert_close(loud, plain, rtol=1e-3, atol=1e-3)


def test_weights_are_five_tensors_unless_more_is_said() -> None:
    five = [torch.zeros(1)] * 5
    assert Weights(*five)[5:] == (None,) * 4
