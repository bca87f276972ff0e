"""The native loops as operations of torch: `gatesweep::unroll`, and the two that its derivative consists of.

    unroll             outputs [N, O], then the states after each sequence's last step; differentiable once
    unroll_forward     the states' buffers, those final states, and what else the backward pass needs
    unroll_backward    derivatives from that

So autograd, torch.compile and DistributedDataParallel see operations with known sizes, and nothing of how they run. The
loops go by their name (`kernel.name_of`); tensors are those of `passes.Given`, `Left` and `Gradients` in their order,
and the list that `unroll_forward` gives holds those that there are.

The first derivative is written over G. Where a graph is kept for a second one, the loop runs again before it
(`again`). torch is told that G changes; autograd is not, or it would refuse that second use. torch.compile works on a
copy of G. A derivative of the derivative raises.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from gatesweep.cells import memory
from gatesweep.cells.native.kernel import named
from gatesweep.cells.native.passes import Given, Gradients, Left, Pass, allocate

_GIVEN = ("Tensor x_ND, Tensor? w_ID, Tensor r_GS, Tensor b_kH, Tensor p_PH, Tensor? masks_NMH, Tensor? gain_X, "
          "Tensor? projection_OH, Tensor? lengths_B")
_FORWARD = f"(str loops, SymInt units, {_GIVEN}, Tensor[] state) -> Tensor[]"
_BACKWARD = (f"(str loops, SymInt units, bool again, bool dx, Tensor dy_NO, Tensor[] dfinal, {_GIVEN}, "
             "Tensor[] states, Tensor(a!) g_NK, Tensor(b!)? x_NX, Tensor? deviation_N, Tensor? y_NH)"
             f" -> ({', '.join(['Tensor'] * len(Gradients._fields))})")
for _name, _schema in (("unroll", _FORWARD), ("unroll_forward", _FORWARD), ("unroll_backward", _BACKWARD)):
    torch.library.define(f"gatesweep::{_name}", _schema, tags=(torch.Tag.pt2_compliant_tag,))
_FIELDS = len(Given._fields)


def unroll(loops: str, units: int, given: Given, state: Sequence[Tensor]) -> list[Tensor]:
    """Outputs [N, O] and the states after each sequence's last step, from those before the first."""
    outputs: list[Tensor] = torch.ops.gatesweep.unroll(loops, units, *given, state)
    return outputs


def _run(loops: str, units: int, *tensors: Any) -> Pass:
    given, state = Given(*tensors[:-1]), tensors[-1]
    run = Pass(named(loops), units, len(state[0]), given, allocate(given, state, memory.empty))
    for states, s_BH in zip(run.left.states, state, strict=True):
        states[: run.batch] = s_BH
    run.forward()
    return run


@torch.library.impl("gatesweep::unroll", "cpu")
def _outputs(*args: Any) -> list[Tensor]:
    run = _run(*args)
    return [run.left.states[0][run.batch :], *run.final()]


@torch.library.register_fake("gatesweep::unroll")  # type: ignore[untyped-decorator]
def _output_sizes(loops: str, units: int, *tensors: Any) -> list[Tensor]:
    x_ND, state = tensors[0], tensors[-1]
    return [x_ND.new_empty(x_ND.shape[0], state[0].shape[1]), *(s_BH.new_empty(s_BH.shape) for s_BH in state)]


@torch.library.impl("gatesweep::unroll_forward", "cpu")
def _forward(*args: Any) -> list[Tensor]:
    run = _run(*args)
    return [*run.left.states, *run.final(), *_there(run.left[1:])]


@torch.library.register_fake("gatesweep::unroll_forward")  # type: ignore[untyped-decorator]
def _forward_sizes(loops: str, units: int, *tensors: Any) -> list[Tensor]:
    left = allocate(Given(*tensors[:-1]), tensors[-1], _empty)
    return [*left.states, *(s_BH.new_empty(s_BH.shape) for s_BH in tensors[-1]), *_there(left[1:])]


@torch.library.impl("gatesweep::unroll_backward", "cpu")
def _backward(
    loops: str, units: int, again: bool, dx: bool, dy_NO: Tensor, dfinal: Sequence[Tensor], *tensors: Any
) -> Gradients:
    run = Pass(named(loops), units, len(dfinal[0]), Given(*tensors[:_FIELDS]), Left(*tensors[_FIELDS:]))
    if again:
        run.forward()
    return run.backward(dy_NO, dfinal, dx=dx)


@torch.library.register_fake("gatesweep::unroll_backward")  # type: ignore[untyped-decorator]
def _backward_sizes(
    loops: str, units: int, again: bool, dx: bool, dy_NO: Tensor, dfinal: Sequence[Tensor], *tensors: Any
) -> Gradients:
    given = Given(*tensors[:_FIELDS])._asdict()
    sizes = {name: dy_NO.new_empty(x.shape if _wanted(name, x, dx) else 0) for name, x in given.items()}
    dstate = dy_NO.new_empty(sum(d_BH.numel() for d_BH in dfinal))
    return Gradients(**{name: sizes.get(name, dstate) for name in Gradients._fields})


def _empty(*shape: int, like: Tensor) -> Tensor:
    return like.new_empty(shape)


def _wanted(name: str, x: Tensor | None, dx: bool) -> bool:
    """Whether there is a derivative by this field of `Given`."""
    return x is not None and name in Gradients._fields and (name != "x_ND" or dx)


def _there(tensors: Iterable[Tensor | None]) -> list[Tensor]:
    return [tensor for tensor in tensors if tensor is not None]


@torch.library.impl("gatesweep::unroll", "Autograd")
def _differentiable(loops: str, units: int, *tensors: Any) -> Sequence[Tensor]:
    if torch.is_grad_enabled():
        *given, state = tensors
        outputs: Sequence[Tensor] = _Unroll.apply(loops, units, *given, *state)  # type: ignore[no-untyped-call]
        return outputs
    with torch._C._AutoDispatchBelowAutograd():
        return unroll(loops, units, Given(*tensors[:-1]), tensors[-1])


class _Unroll(torch.autograd.Function):
    """`torch.library.register_autograd` gives no more, and costs several times as much a call over lists of tensors.
    Nor could the output be a part of the buffer that is saved: it would be a copy, or its adjoint would."""

    @staticmethod
    def forward(ctx: Any, loops: str, units: int, *tensors: Any) -> tuple[Tensor, ...]:
        given, state = Given(*tensors[:_FIELDS]), tensors[_FIELDS:]
        with torch._C._AutoDispatchBelowAutograd():
            left = torch.ops.gatesweep.unroll_forward(loops, units, *given, state)
        S = len(state)
        states, final, (g_NK, *rest) = left[:S], left[S : 2 * S], left[2 * S :]
        normed = rest[:2] if given.gain_X is not None else (None, None)
        y_NH = rest[-1] if given.projection_OH is not None else None
        ctx.save_for_backward(*given, g_NK, *normed, y_NH, *states)
        ctx.set_materialize_grads(False)
        ctx.loops, ctx.units, ctx.spent = loops, units, False
        return states[0][state[0].shape[0] :], *final

    @staticmethod
    def backward(ctx: Any, dy_NO: Tensor | None, *dfinal: Tensor | None) -> tuple[Any, ...]:
        saved, dx = ctx.saved_tensors, ctx.needs_input_grad[2]
        given, left, states = Given(*saved[:_FIELDS]), saved[_FIELDS : _FIELDS + 4], saved[_FIELDS + 4 :]
        h, B = states[0], states[0].shape[0] - given.x_ND.shape[0]
        dy_NO = h.new_zeros(h.shape[0] - B, h.shape[1]) if dy_NO is None else dy_NO
        dlast = [s.new_zeros(B, s.shape[1]) if d is None else d for s, d in zip(states, dfinal, strict=True)]
        with torch.no_grad():
            d = torch.ops.gatesweep.unroll_backward(
                ctx.loops, ctx.units, ctx.spent, dx, dy_NO, dlast, *given, states, *left
            )
        ctx.spent = True
        if torch.is_grad_enabled():
            d = _Once.apply(*(gradient.requires_grad_() for gradient in d))  # type: ignore[no-untyped-call]
        found = Gradients(*d)._asdict()
        by_field = [found[name] if _wanted(name, x, dx) else None for name, x in given._asdict().items()]
        return None, None, *by_field, *_states(found["state"], dlast)


def _states(flat: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """What `Gradients.state` holds one after the other."""
    parts = torch.split(flat, [d_BH.numel() for d_BH in like])
    return [part.view_as(d_BH) for part, d_BH in zip(parts, like, strict=True)]


class _Once(torch.autograd.Function):
    """Derivatives that cannot be differentiated: whoever tries hears it."""

    @staticmethod
    def forward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        return tuple(gradient.view_as(gradient) for gradient in gradients)

    @staticmethod
    def backward(ctx: Any, *d: Tensor | None) -> Any:
        raise RuntimeError("the native loops cannot differentiate twice\n\nhint: backend reference can")
