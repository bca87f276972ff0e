"""The Triton kernels, run by Triton's interpreter, against the reference, which defines them, and against torch's LSTM;
and compiled for a GPU, which needs none. `conftest.py` asks for the interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from cell_problems import gradients, problem
from torch import nn

from gatesweep.cells import Recurrent, reference
from gatesweep.cells.config import RecurrentConfig
from gatesweep.cells.description import Cell, Values, clamp, log_sigmoid, maximum, sigmoid, tanh
from gatesweep.cells.expression import by_unit
from gatesweep.cells.options import cell_norm, clip, recurrent_dropout, zoneout
from gatesweep.cells.triton.emit import module_source
from gatesweep.cells.triton.kernel import BLOCK, kernels
from gatesweep.cells.triton.unroll import unroll
from gatesweep.cells.variants import CELLS, GRU, PEEPHOLE, find
from gatesweep.errors import ConfigError


def _everything(g: Values, s: Values, p: Values) -> Values:
    """Every operation, two sources, a mask, a state that no step reads, one that passes unchanged, one of a number."""
    i, z = sigmoid(g["i"]), tanh(g["z"] + p["z"] * s["c"])
    c = maximum(s["c"] - i * (s["c"] - z), clamp(z, 0.1)) / (1.0 + i * i) * p["mask.c"]
    return {"h": tanh(c) * i - 0.7, "c": c + log_sigmoid(g["i"]), "q": i, "k": s["k"] * 1.0}


EVERYTHING = Cell("everything", gates=("i", "z"), states=("h", "c", "q", "k"), step=_everything, peepholes=("z",),
                  sources=("h", "q"), masks=("c",))
OPTIONS = [
    zoneout(PEEPHOLE, ("h", "c")), zoneout(GRU, ("h",)), clip(find("vanilla"), 0.3),
    recurrent_dropout(find("cifg"), "candidate"), recurrent_dropout(clip(find("nog"), 0.3), "variational"),
]  # fmt: skip
PLAIN = [cell for cell in CELLS.values() if by_unit(cell)]
ALL = [*PLAIN, find("cifg", False), *OPTIONS, EVERYTHING]
LENGTHS = torch.tensor([2, 4, 1])

each_cell = pytest.mark.parametrize("cell", ALL, ids=lambda cell: cell.name + ("+p" if cell.peepholes else ""))


@pytest.fixture(autouse=True, scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Modules are written into a folder of these tests' own, once."""
    folder = tmp_path_factory.mktemp("home")
    kernels.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GATESWEEP_HOME", str(folder))
        patch.delenv("GATESWEEP_KERNELS", raising=False)
        yield folder
    kernels.cache_clear()


@each_cell
@pytest.mark.parametrize("lengths_B", [None, LENGTHS], ids=["together", "lengths"])
def test_values_and_all_gradients_are_those_of_the_reference(cell: Cell, lengths_B: torch.Tensor | None) -> None:
    task = problem(cell, T=4, B=3, D=2, H=5)
    ours, theirs = (task.run(loop, lengths_B=lengths_B) for loop in (unroll, reference.unroll))
    for a, b in zip((*ours, *gradients(ours, task.tensors)), (*theirs, *gradients(theirs, task.tensors)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


@each_cell
def test_float32_differs_from_float64_by_rounding_alone(cell: Cell) -> None:
    exact = problem(cell, T=6, B=2, D=3, H=4)
    rounded = [tensor.detach().float().requires_grad_() for tensor in exact.tensors]
    got, expected = exact.run(unroll, rounded), exact.run(reference.unroll)
    for a, b in zip((*got, *gradients(got, rounded)), (*expected, *gradients(expected, exact.tensors)), strict=True):
        assert a.dtype == torch.float32
        size = float(torch.linalg.vector_norm(b.detach()))
        torch.testing.assert_close(a.double(), b, rtol=1e-4, atol=1e-5 * (1 + size))


def test_half_precision_is_computed_in_float32() -> None:
    half = [x.detach().bfloat16().requires_grad_() for x in problem(PEEPHOLE, T=5, B=2, D=3, H=4).tensors]
    wide = [x.detach().float().requires_grad_() for x in half]
    task = problem(PEEPHOLE, T=5, B=2, D=3, H=4)
    ours, theirs = task.run(unroll, half), task.run(reference.unroll, wide)
    for a, b in zip((*ours, *gradients(ours, half)), (*theirs, *gradients(theirs, wide)), strict=True):
        torch.testing.assert_close(a, b.bfloat16(), rtol=1e-2, atol=1e-2)


def test_a_batch_of_more_units_than_a_program_takes_is_run_whole() -> None:
    task = problem(find("fgr"), T=2, B=13, D=2, H=97)
    assert 2 * BLOCK < 13 * 97 < 3 * BLOCK
    ours, theirs = task.run(unroll), task.run(reference.unroll)
    for a, b in zip((*ours, *gradients(ours, task.tensors)), (*theirs, *gradients(theirs, task.tensors)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


def test_heads_are_run() -> None:
    task = problem(find("slstm"), T=3, B=2, D=2, H=6, heads=2)
    ours, theirs = task.run(unroll), task.run(reference.unroll)
    for a, b in zip((*ours, *gradients(ours, task.tensors)), (*theirs, *gradients(theirs, task.tensors)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(("cell", "module"), [
    ("vanilla", nn.LSTM), ("peephole", nn.LSTM), ("fgr", nn.LSTM), ("gru", nn.GRU), ("rnn", nn.RNN),
])  # fmt: skip
def test_layers_are_torchs_in_both_directions_where_weights_that_torch_lacks_are_zero(cell: str, module: type) -> None:
    sizes = {"input_size": 3, "hidden_size": 4, "num_layers": 2, "bidirectional": True}
    theirs, ours = module(**sizes).double(), Recurrent(cell, **sizes, backend="triton").double()
    missing, _ = ours.load_state_dict(theirs.state_dict(), strict=False)
    with torch.no_grad():
        for name in missing:
            ours.get_parameter(name).zero_()
    assert ours.backend == "triton"
    x_TBD, results = torch.randn(5, 2, 3).double(), []
    for layer in (ours, theirs):
        x = x_TBD.clone().requires_grad_()
        y, last = layer(x)
        last = (last,) if isinstance(last, torch.Tensor) else last[:2]  # fgr carries its gates besides
        wanted = [layer.get_parameter(name) for name, _ in theirs.named_parameters()]
        results.append((y, *last, *gradients((y, *last), [x, *wanted])))
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("cell", [PEEPHOLE, EVERYTHING], ids=lambda cell: cell.name)
def test_a_nan_stays_visible_in_its_own_sequence_and_harms_no_other(cell: Cell) -> None:
    task = problem(cell, T=3, B=2, D=2, H=2)
    with torch.no_grad():
        task.tensors[0][1, 0, 0] = float("nan")
    h_TBH, *_ = task.run(unroll)
    assert h_TBH[1:, 0].isnan().all()
    assert not h_TBH[:, 1].isnan().any()
    (dx_TBD,) = torch.autograd.grad(h_TBH.sum(), task.tensors[:1])
    assert dx_TBD[1, 0].isnan().all()
    assert not dx_TBD[:, 1].isnan().any()


@pytest.mark.filterwarnings("ignore:overflow encountered in exp:RuntimeWarning")
def test_large_preactivations_saturate_without_a_nan() -> None:
    task = problem(find("slstm"), T=3, B=2, D=2, H=3, dtype=torch.float32)
    with torch.no_grad():
        task.tensors[0].mul_(1e3)
    ours, theirs = task.run(unroll), task.run(reference.unroll)
    for a, b in zip((*ours, *gradients(ours, task.tensors)), (*theirs, *gradients(theirs, task.tensors)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_inputs_and_masks_need_not_be_contiguous() -> None:
    task = problem(OPTIONS[0], T=4, B=3, D=2, H=2)
    strided = [x.detach().transpose(0, -1).contiguous().transpose(0, -1).requires_grad_() for x in task.tensors]
    plain = task.run(unroll)
    task.masks = task.masks.transpose(0, 3).contiguous().transpose(0, 3)
    for a, b in zip(gradients(task.run(unroll, strided), strided), gradients(plain, task.tensors), strict=True):
        torch.testing.assert_close(a, b)


def test_a_retained_graph_gives_the_same_gradient_twice() -> None:
    task = problem(PEEPHOLE, T=4, B=3, D=2, H=2)
    loss = task.run(unroll)[0].square().sum()
    once = torch.autograd.grad(loss, task.tensors, retain_graph=True, materialize_grads=True)
    again = torch.autograd.grad(loss, task.tensors, materialize_grads=True)
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))


def test_a_derivative_of_the_derivative_is_refused() -> None:
    task = problem(GRU, T=2, B=1, D=1, H=1)
    (dx,) = torch.autograd.grad(task.run(unroll)[0].square().sum(), task.tensors[:1], create_graph=True)
    with pytest.raises(RuntimeError, match="differentiate twice"):
        dx.sum().backward()


@pytest.mark.parametrize("cell", [find("gru_before"), cell_norm(PEEPHOLE)], ids=lambda cell: cell.name)
def test_a_step_that_does_not_work_unit_by_unit_is_refused(cell: Cell) -> None:
    with pytest.raises(ValueError, match="does not work unit by unit; the reference loop runs it"):
        problem(cell, T=1, B=1, D=1, H=1).run(unroll)


@pytest.mark.parametrize("option", [{"projection": 1}, {"norm": True}])
def test_what_the_loop_does_not_have_is_refused(option) -> None:
    with pytest.raises(ValueError, match="the triton loop has no projection and no layer norm"):
        problem(PEEPHOLE, T=1, B=1, D=1, H=2, **option).run(unroll)


@pytest.mark.parametrize("options", [{"layer_norm": True}, {"projection_size": 3}, {"cell": "mlstm"}])
def test_a_file_that_asks_for_it_where_it_cannot_run_is_refused(options: dict) -> None:
    with pytest.raises(ValueError, match="backend 'triton' cannot run cell"):
        RecurrentConfig(**{"backend": "triton", **options})


def test_a_damaged_module_is_written_anew_and_never_run(home: Path) -> None:
    cell = find("coupled", False)
    kernels(cell)
    (file,) = (home / "cache" / "kernels").glob("coupled-*.py")
    file.write_text("raise SystemExit('this was run')\n")
    kernels.cache_clear()
    kernels(cell)
    assert file.read_text() == module_source(cell)
    assert [path.name for path in file.parent.iterdir() if path.name.startswith(".writing")] == []


def _python(code: str, **environment: str) -> str:
    """What a process without the interpreter says."""
    own = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], env=own | environment, capture_output=True,
                          text=True, timeout=200)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_triton_is_loaded_when_asked_for_and_tensors_on_the_cpu_are_answered_with_what_to_do() -> None:
    said = _python("""
        import sys, torch
        from gatesweep.cells import Recurrent
        from gatesweep.errors import ConfigError
        layer = Recurrent("peephole", input_size=1, hidden_size=2, backend="triton")
        print("triton" in sys.modules)
        try:
            layer(torch.zeros(1, 1, 1))
        except ConfigError as error:
            print(error)
    """)
    assert said == ("False\nbackend 'triton': it runs on a GPU, the tensors are on 'cpu'\n\n"
                    "hint: move the model to a GPU or take backend auto; to try it without one, set TRITON_INTERPRET=1")


def test_without_triton_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "triton", None)
    with pytest.raises(ConfigError, match=r"triton is not installed\n\nhint: pip install 'gatesweep\[triton\]'"):
        Recurrent("peephole", input_size=1, hidden_size=2, backend="triton")
    kernels.cache_clear()
    with pytest.raises(ValueError, match="triton is not installed"):
        problem(PEEPHOLE, T=1, B=1, D=1, H=1).run(unroll)


def test_the_kernels_compile_for_a_gpu(tmp_path: Path) -> None:
    said = _python("""
        import triton
        from triton.backends.compiler import GPUTarget
        from triton.compiler import ASTSource
        from gatesweep.cells.options import zoneout
        from gatesweep.cells.triton.kernel import kernels
        from gatesweep.cells.variants import find

        def compiled(kernel, real):
            signature = {name: "*" + real for name in kernel.arg_names}
            signature |= {"n": "i32", "every": "i32", "H": "constexpr", "BLOCK": "constexpr"}
            source = ASTSource(fn=kernel, signature=signature, constexprs={"H": 48, "BLOCK": 512})
            return triton.compile(source, target=GPUTarget("cuda", 80, 32)).asm

        for cell, real in ((zoneout(find("peephole"), ("h", "c")), "fp32"), (find("slstm"), "fp64")):
            both = kernels(cell)
            for kernel in (both._step, both._step_back):
                asm = compiled(kernel, real)
                print(real, len(asm["cubin"]) > 0, ".f64" in asm["ptx"])
    """, TRITON_CACHE_DIR=str(tmp_path))
    assert said.splitlines() == ["fp32 True False"] * 2 + ["fp64 True True"] * 2
