"""The native loops as operations of torch: what torch itself checks of them, torch.compile, autocast, weights in
bfloat16, and DistributedDataParallel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from cell_problems import gradients, problem
from torch import Tensor

from gatesweep.cells import Recurrent, reference
from gatesweep.cells.description import Cell
from gatesweep.cells.native import ops
from gatesweep.cells.native.passes import Given
from gatesweep.cells.native.unroll import unroll
from gatesweep.cells.options import cell_norm, zoneout
from gatesweep.cells.variants import find

# H 6 is no whole number of vectors on any machine, 16 is one on all
KINDS: list[tuple[Cell, int, dict[str, Any], list[int] | None]] = [
    (find("vanilla"), 16, {}, None),
    (find("peephole"), 6, {"norm": True}, None),
    (find("vanilla"), 6, {"projection": 3}, [4, 1, 2]),
    (find("gru"), 16, {}, [4, 4, 2]),
    (find("fgr"), 6, {}, None),
    (zoneout(cell_norm(find("peephole")), ("h", "c")), 6, {}, None),
]
each_kind = pytest.mark.parametrize(("cell", "H", "options", "lengths"), KINDS,
                                    ids=lambda x: x.name if isinstance(x, Cell) else "")


def _arguments(monkeypatch: pytest.MonkeyPatch, cell: Cell, H: int, options: dict, lengths: list[int] | None) -> tuple:
    """What the back end hands to `gatesweep::unroll`, as leaves."""
    seen: list[tuple] = []
    real = ops.unroll
    monkeypatch.setattr(ops, "unroll", lambda *args: seen.append(args) or real(*args))
    given = problem(cell, T=4, B=3, D=2, H=H, **options)
    given.run(unroll, lengths_B=None if lengths is None else torch.tensor(lengths))
    ((loops, units, tensors, state),) = seen
    leaves = [x if x is None or not x.requires_grad else x.detach().requires_grad_() for x in tensors]
    return loops, units, *leaves, [s_BH.detach().requires_grad_() for s_BH in state]


@each_kind
def test_torch_finds_the_operation_sound(monkeypatch, cell: Cell, H: int, options: dict, lengths) -> None:
    arguments = _arguments(monkeypatch, cell, H, options, lengths)
    said = torch.library.opcheck(torch.ops.gatesweep.unroll.default, arguments)
    assert set(said.values()) == {"SUCCESS"}


@each_kind
def test_torch_finds_both_halves_of_its_derivative_sound(monkeypatch, cell: Cell, H: int, options, lengths) -> None:
    loops, units, *tensors, state = _arguments(monkeypatch, cell, H, options, lengths)
    tensors, state = [x if x is None else x.detach() for x in tensors], [s.detach() for s in state]
    forward, backward = torch.ops.gatesweep.unroll_forward.default, torch.ops.gatesweep.unroll_backward.default
    checks = ("test_schema", "test_faketensor", "test_aot_dispatch_static")
    torch.library.opcheck(forward, (loops, units, *tensors, state), test_utils=checks)
    left, S, given = forward(loops, units, *tensors, state), len(state), Given(*tensors)
    rest = iter(left[2 * S + 1 :])
    normed = [next(rest), next(rest)] if given.gain_X is not None else [None, None]
    dy_NO = torch.randn_like(left[0][3:])
    said = torch.library.opcheck(
        backward, (loops, units, False, True, dy_NO, left[S : 2 * S], *tensors, left[:S], left[2 * S], *normed,
                   next(rest, None)), test_utils=checks,
    )  # fmt: skip
    assert set(said.values()) == {"SUCCESS"}


def _layer(cell: str, **options: Any) -> Recurrent:
    torch.manual_seed(3)
    return Recurrent(cell, input_size=3, hidden_size=12, backend="native", **options)


def _values(layer: Any, x: Tensor, parameters: list[Tensor], **given: Any) -> list[Tensor]:
    """Output, final state and gradients."""
    output, state = layer(x, **given)
    outputs = [output, *(state if isinstance(state, tuple) else (state,))]
    return [*outputs, *gradients(outputs, [x, *parameters])]


@pytest.mark.parametrize(("cell", "options"), [
    ("peephole", {}), ("gru", {"num_layers": 2, "bidirectional": True, "batch_first": True}),
    ("vanilla", {"layer_norm": True, "projection_size": 5}),
])  # fmt: skip
def test_a_compiled_layer_is_one_graph_with_the_same_numbers(cell: str, options: dict) -> None:
    layer, x = _layer(cell, **options), torch.randn(5, 4, 3, requires_grad=True)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    pairs = zip(*(_values(run, x, list(layer.parameters())) for run in (compiled, layer)), strict=True)
    assert all(torch.equal(ours, eager) for ours, eager in pairs)


def test_what_compiles_are_the_native_loops() -> None:
    graphs: list[torch.fx.GraphModule] = []

    def look(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Any:
        graphs.append(graph)
        return graph.forward

    torch.compile(Recurrent("cifg", input_size=3, hidden_size=4), backend=look, fullgraph=True)(torch.randn(5, 2, 3))
    (graph,) = graphs
    assert [node.target for node in graph.graph.nodes].count(torch.ops.gatesweep.unroll) == 1


def test_a_compiled_layer_takes_lengths_in_several_graphs() -> None:
    layer, x = _layer("peephole"), torch.randn(5, 3, 3, requires_grad=True)
    compiled = torch.compile(layer, backend="aot_eager")
    for lengths in ([5, 2, 3], [1, 4, 4]):
        given = {"lengths": torch.tensor(lengths)}
        pairs = zip(*(_values(run, x, list(layer.parameters()), **given) for run in (compiled, layer)), strict=True)
        assert all(torch.equal(ours, eager) for ours, eager in pairs)


def test_an_exported_layer_asks_for_nothing_but_torch() -> None:
    layer, x = Recurrent("vanilla", input_size=3, hidden_size=12), torch.randn(5, 2, 3)
    exported = torch.export.export(layer, (x,))
    assert layer.backend == "native"
    assert not [node for node in exported.graph.nodes if "gatesweep" in str(node.target)]
    torch.testing.assert_close(exported.module()(x)[0], layer(x)[0])


def test_a_compiled_layer_gives_its_gradient_again_where_the_graph_is_kept() -> None:
    layer, x = _layer("vanilla"), torch.randn(5, 3, 3, requires_grad=True)
    with torch._functorch.config.patch(donated_buffer=False):  # what torch asks for where a graph is to be kept
        loss = torch.compile(layer, backend="aot_eager", fullgraph=True)(x)[0].square().sum()
        once, twice = (torch.autograd.grad(loss, list(layer.parameters()), retain_graph=True) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(once, twice, strict=True))


@pytest.mark.parametrize("power", [1, 2])
def test_a_second_derivative_names_the_back_end_that_has_one(power: int) -> None:
    layer, x = _layer("gru"), torch.randn(5, 3, 3, requires_grad=True)
    (dx,) = torch.autograd.grad((layer(x)[0] ** power).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="cannot differentiate twice\n\nhint: backend reference"):
        dx.square().sum().backward()


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_under_autocast_the_loops_keep_the_precision_of_the_weights(dtype: torch.dtype, compiled: bool) -> None:
    layer, x = _layer("peephole", layer_norm=True), torch.randn(5, 3, 3).to(dtype).requires_grad_()
    run = torch.compile(layer, backend="aot_eager", fullgraph=True) if compiled else layer
    with torch.autocast("cpu", torch.bfloat16):
        output, state = run(x)
    plain, after = layer(x.detach().float())
    assert [y.dtype for y in (output, *state)] == [torch.float32] * 3
    assert all(torch.equal(a, b) for a, b in zip((output, *state), (plain, *after), strict=True))
    output.sum().backward()
    assert x.grad is not None
    assert x.grad.dtype == dtype
    assert all(p.grad is not None and p.grad.isfinite().all() for p in layer.parameters())


@pytest.mark.parametrize("lengths_B", [None, torch.tensor([30, 7, 12, 1])])
@pytest.mark.parametrize(("cell", "options"), [
    (find("peephole"), {}), (find("gru"), {}), (find("slstm"), {}), (find("vanilla"), {"projection": 5, "norm": True}),
], ids=lambda x: x.name if isinstance(x, Cell) else "")  # fmt: skip
def test_in_bfloat16_nothing_is_rounded_but_the_results(cell: Cell, options: dict, lengths_B: Tensor | None) -> None:
    given = problem(cell, T=30, B=4, D=3, H=24, **options)
    rounded = [tensor.detach().bfloat16().requires_grad_() for tensor in given.tensors]
    exact = [tensor.detach().double().requires_grad_() for tensor in rounded]
    got, expected = given.run(unroll, rounded, lengths_B), given.run(reference.unroll, exact, lengths_B)
    adjoints = [torch.linspace(-1, 2, y.numel()).bfloat16().view_as(y) for y in got]
    got_d = torch.autograd.grad(got, rounded, adjoints, materialize_grads=True)
    expected_d = torch.autograd.grad(expected, exact, [d.double() for d in adjoints], materialize_grads=True)
    assert {y.dtype for y in (*got, *got_d)} == {torch.bfloat16}
    half_a_step = torch.finfo(torch.bfloat16).eps / 2
    for a, b in zip((*got, *got_d), (*expected, *expected_d), strict=True):
        size = float(b.detach().abs().max())
        torch.testing.assert_close(a.double(), b, rtol=1.01 * half_a_step, atol=1e-4 * size)


def test_a_layer_in_bfloat16_runs_natively_and_carries_a_state_of_its_own_type() -> None:
    layer, x = Recurrent("peephole", input_size=3, hidden_size=12).bfloat16(), torch.randn(6, 2, 3).bfloat16()
    assert layer.backend == "native"
    first, between = layer(x[:4])
    second, after = layer(x[4:], between)
    assert {y.dtype for y in (first, second, *between, *after)} == {torch.bfloat16}
    assert [tuple(s.shape) for s in after] == [(1, 2, 12)] * 2
    torch.testing.assert_close(torch.cat([first, second]), layer(x)[0], rtol=0.02, atol=0.01)


SHARED_TRAINING = """
import sys
import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel
from gatesweep.cells import Recurrent

rank, store, result = int(sys.argv[1]), sys.argv[2], sys.argv[3]
torch.set_num_threads(1)
distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
torch.manual_seed(1)
layer = Recurrent("peephole", input_size=3, hidden_size=12, num_layers=2).double()
x = torch.randn(2, 5, 4, 3, dtype=torch.float64)
run = DistributedDataParallel(layer)
for x_TBD in x:
    layer.zero_grad()
    run(x_TBD[:, 2 * rank : 2 * rank + 2])[0].square().mean().backward()
    with torch.no_grad():
        for p in layer.parameters():
            p -= 0.5 * p.grad
torch.save(layer.state_dict(), result)
distributed.destroy_process_group()
"""


def _train_in_two_processes(folder: Path) -> list[dict[str, Tensor]]:
    """The weights that each of them ends with."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", SHARED_TRAINING]
    processes = [
        subprocess.Popen([*command, str(rank), str(folder / "store"), str(folder / f"{rank}.pt")], env=environment)
        for rank in range(2)
    ]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


def test_two_processes_that_share_a_batch_train_as_one_with_all_of_it(tmp_path: Path) -> None:
    torch.manual_seed(1)
    alone = Recurrent("peephole", input_size=3, hidden_size=12, num_layers=2).double()
    x, start = torch.randn(2, 5, 4, 3, dtype=torch.float64), {name: p.clone() for name, p in alone.named_parameters()}
    optimizer = torch.optim.SGD(alone.parameters(), lr=0.5)
    for x_TBD in x:
        optimizer.zero_grad()
        alone(x_TBD)[0].square().mean().backward()
        optimizer.step()
    for weights in _train_in_two_processes(tmp_path):
        for name, p in alone.named_parameters():
            assert not torch.equal(p, start[name])
            torch.testing.assert_close(weights[name], p.detach(), rtol=1e-12, atol=1e-12)
