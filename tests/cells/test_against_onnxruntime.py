"""LSTM variants against ONNX Runtime's LSTM operator, which has peepholes (P), coupling (input_forget) and directions.

The operator's gates stand in the order i o f c, its peepholes in i o f; it computes in float32.
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


def operator(feeds: Arrays, direction: str, coupled: bool) -> list[np.ndarray[Any, Any]]:
    """Y, Y_h, Y_c of one LSTM node."""
    order = ["X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P"]
    node = helper.make_node("LSTM", [name if name in feeds else "" for name in order], ["Y", "Y_h", "Y_c"],
                            hidden_size=H, direction=direction, input_forget=int(coupled))
    kinds = {name: TensorProto.INT32 if name == "sequence_lens" else TensorProto.FLOAT for name in feeds}
    ranks = {"Y": 4, "Y_h": 3, "Y_c": 3}
    graph = helper.make_graph(
        [node], "lstm",
        [helper.make_tensor_value_info(name, kinds[name], array.shape) for name, array in feeds.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * rank) for name, rank in ranks.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def weights(layer: Recurrent, coupled: bool) -> Arrays:
    """The layer's weights in the operator's order, one row per direction; a coupled cell's missing f gate is noise."""
    directions = []
    for reverse in (False, True)[: 2 if layer.bidirectional else 1]:
        parts = layer.gate_parameters(0, reverse=reverse)
        sizes = {"input": (H, D), "recurrent": (H, H), "bias": (H,), "peephole": (H,)}
        filled = {role: parts[role] | ({"f": torch.randn(sizes[role])} if coupled else {}) for role in parts}
        peephole = [filled["peephole"].get(gate, torch.zeros(H)) for gate in "iof"]
        directions.append([
            torch.cat([filled["input"][gate] for gate in "iofz"]),
            torch.cat([filled["recurrent"][gate] for gate in "iofz"]),
            torch.cat([*(filled["bias"][gate] for gate in "iofz"), torch.zeros(4 * H)]),
            torch.cat(peephole if layer.cell.peepholes else [torch.zeros(3 * H)]),
        ])
    stacked = (torch.stack(part).detach().numpy() for part in zip(*directions, strict=True))
    return dict(zip("WRBP", stacked, strict=True))


@pytest.mark.parametrize("lengths", [None, [7, 2, 5]], ids=["full", "lengths"])
@pytest.mark.parametrize("backend", ["fused", "reference"])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "bidirectional"])
@pytest.mark.parametrize(("cell", "peepholes"),
                         [("vanilla", False), ("peephole", True), ("coupled", False), ("coupled", True)])
def test_lstm_variants_equal_onnx_runtimes_operator(
    cell: str, peepholes: bool, bidirectional: bool, backend: str, lengths: list[int] | None
) -> None:
    torch.manual_seed(5)
    layer = Recurrent(cell, input_size=D, hidden_size=H, peepholes=peepholes, bidirectional=bidirectional,
                      backend=backend)
    x, n = torch.randn(T, B, D), 2 if bidirectional else 1
    h, c = torch.randn(n, B, H), torch.randn(n, B, H)
    feeds = weights(layer, cell == "coupled") | {"X": x.numpy(), "initial_h": h.numpy(), "initial_c": c.numpy()}
    if lengths is not None:
        feeds["sequence_lens"] = np.array(lengths, dtype=np.int32)
    y, y_h, y_c = operator(feeds, "bidirectional" if bidirectional else "forward", cell == "coupled")

    output, (h_last, c_last) = layer(x, (h, c), lengths=lengths)

    expected = torch.from_numpy(y).transpose(1, 2).reshape(T, B, n * H)  # the operator gives [T, directions, B, H]
    for got, want in ((output, expected), (h_last, torch.from_numpy(y_h)), (c_last, torch.from_numpy(y_c))):
        torch.testing.assert_close(got.detach(), want, rtol=0, atol=2e-6)
