"""Cells against ONNX Runtime's LSTM and GRU operators, which have peepholes (P), coupling (input_forget), functions of
one's choice and directions.

The LSTM operator's gates stand in the order i o f c, its peepholes in i o f, the GRU's gates in z r h; they compute in
float32. A gate that a cell lacks is one whose bias holds it open, σ(100) = 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper

from gatesweep.cells import Recurrent

T, B, D, H = 7, 3, 4, 6

Arrays = dict[str, np.ndarray[Any, Any]]


def operator(kind: str, feeds: Arrays, bidirectional: bool, **attributes: Any) -> list[np.ndarray[Any, Any]]:
    """Y, Y_h and, of an LSTM, Y_c of one node."""
    order = ["X", "W", "R", "B", "sequence_lens", "initial_h"] + (["initial_c", "P"] if kind == "LSTM" else [])
    outputs = ["Y", "Y_h"] + (["Y_c"] if kind == "LSTM" else [])
    node = helper.make_node(kind, [name if name in feeds else "" for name in order], outputs, hidden_size=H,
                            direction="bidirectional" if bidirectional else "forward", **attributes)
    kinds = {name: TensorProto.INT32 if name == "sequence_lens" else TensorProto.FLOAT for name in feeds}
    ranks = {name: 4 if name == "Y" else 3 for name in outputs}
    graph = helper.make_graph(
        [node], kind.lower(),
        [helper.make_tensor_value_info(name, kinds[name], array.shape) for name, array in feeds.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * rank) for name, rank in ranks.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def activations(bidirectional: bool, *names: str) -> dict[str, Any]:
    """Of the gates, the candidate and what leaves the cell, for each direction; Affine is made the identity."""
    every = list(names) * (2 if bidirectional else 1)
    affine = every.count("Affine")
    slopes = {"activation_alpha": [1.0] * affine, "activation_beta": [0.0] * affine} if affine else {}
    return {"activations": every} | slopes


def weights(layer: Recurrent) -> Arrays:
    """The layer's weights in the LSTM operator's order, one row per direction; of a gate that the layer lacks only the
    bias matters."""
    directions = []
    for reverse in (False, True)[: 2 if layer.bidirectional else 1]:
        parts = layer.gate_parameters(0, reverse=reverse)

        def stacked(role: str, gates: str, *size: int, parts=parts) -> torch.Tensor:
            lacking = 100.0 if role == "bias" else 0.0
            return torch.cat([parts[role].get(gate, torch.full((H, *size), lacking)) for gate in gates])

        directions.append([
            stacked("input", "iofz", D), stacked("recurrent", "iofz", H),
            torch.cat([stacked("bias", "iofz"), torch.zeros(4 * H)]), stacked("peephole", "iof"),
        ])  # fmt: skip
    stacks = (torch.stack(part).detach().numpy() for part in zip(*directions, strict=True))
    return dict(zip("WRBP", stacks, strict=True))


def gru_weights(layer: Recurrent) -> Arrays:
    """The layer's weights in the GRU operator's order; in B the input's biases come before the recurrent ones."""
    directions = []
    for suffix in ("_l0", "_l0_reverse")[: 2 if layer.bidirectional else 1]:
        w, r, b, b_rec = (
            torch.cat([layer.get_parameter(name + suffix).chunk(3)["rzn".index(gate)] for gate in "zrn"])
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        directions.append([w, r, torch.cat([b, b_rec])])
    stacks = (torch.stack(part).detach().numpy() for part in zip(*directions, strict=True))
    return dict(zip("WRB", stacks, strict=True))


def assert_same(layer: Recurrent, kind: str, feeds: Arrays, lengths: list[int] | None, **attributes: Any) -> None:
    """Output and final states of the layer are the operator's."""
    x, n = torch.randn(T, B, D), 2 if layer.bidirectional else 1
    state = tuple(torch.randn(n, B, H) for _ in layer.cell.states)
    feeds = feeds | {"X": x.numpy()} | dict(zip(("initial_h", "initial_c"), (s.numpy() for s in state), strict=False))
    if lengths is not None:
        feeds["sequence_lens"] = np.array(lengths, dtype=np.int32)
    y, *last = operator(kind, feeds, layer.bidirectional, **attributes)

    output, after = layer(x, state if len(state) > 1 else state[0], lengths=lengths)

    expected = torch.from_numpy(y).transpose(1, 2).reshape(T, B, n * H)  # the operator gives [T, directions, B, H]
    got = [output, *(after if isinstance(after, tuple) else (after,))]
    for ours, theirs in zip(got, (expected, *map(torch.from_numpy, last)), strict=True):
        torch.testing.assert_close(ours.detach(), theirs, rtol=0, atol=2e-6)


with_lengths = pytest.mark.parametrize("lengths", [None, [7, 2, 5]], ids=["full", "lengths"])
directions = pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "bidirectional"])
LSTM = ("Sigmoid", "Tanh", "Tanh")
NO_CANDIDATE_FUNCTION, NO_OUTPUT_FUNCTION = ("Sigmoid", "Affine", "Tanh"), ("Sigmoid", "Tanh", "Affine")


@with_lengths
@directions
@pytest.mark.parametrize("backend", ["native", "fused", "reference"])
@pytest.mark.parametrize("peepholes", [False, True])
@pytest.mark.parametrize(("cell", "functions"), [
    ("vanilla", LSTM), ("peephole", LSTM), ("coupled", LSTM), ("cifg", LSTM), ("nig", LSTM), ("nfg", LSTM),
    ("nog", LSTM), ("niaf", NO_CANDIDATE_FUNCTION), ("noaf", NO_OUTPUT_FUNCTION),
])  # fmt: skip
def test_lstm_variants_equal_onnx_runtimes_operator(
    cell: str, functions: tuple[str, ...], peepholes: bool, bidirectional: bool, backend: str, lengths: list[int] | None
) -> None:
    torch.manual_seed(5)
    layer = Recurrent(cell, input_size=D, hidden_size=H, peepholes=peepholes, bidirectional=bidirectional,
                      backend=backend)
    assert_same(layer, "LSTM", weights(layer), lengths, input_forget=int(cell in ("coupled", "cifg")),
                **activations(bidirectional, *functions))


@with_lengths
@directions
@pytest.mark.parametrize(("cell", "backend", "before"), [
    ("gru_before", "auto", 0), ("gru", "reference", 1), ("gru", "fused", 1),
])  # fmt: skip
def test_both_grus_equal_onnx_runtimes_operator(
    cell: str, backend: str, before: int, bidirectional: bool, lengths: list[int] | None
) -> None:
    torch.manual_seed(6)
    layer = Recurrent(cell, input_size=D, hidden_size=H, bidirectional=bidirectional, backend=backend)
    assert_same(layer, "GRU", gru_weights(layer), lengths, linear_before_reset=before)
