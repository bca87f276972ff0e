"""Expressions as a list of tensor operations that write into buffers: nothing is allocated while it runs.

`a + b c` and `a - b c` become one operation where the product is used nowhere else, and a scratch buffer is used again
as soon as what it holds is no longer needed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from gatesweep.cells.expression import Node, sorted_nodes


class Instruction(NamedTuple):
    """`run(*(registers[k] for k in args), out=registers[out])`."""

    run: Callable[..., object]
    args: tuple[int, ...]
    out: int


class Program:
    """Straight-line code that computes some expressions from others.

    Its registers are the inputs, then the outputs, then the workspace. An output may share its tensor with an input
    that is read no more by then. An output that is the number 0 is left as it is.

    Args:
        inputs: nodes whose values are given.
        outputs: nodes to compute.

    Raises:
        ValueError: an output needs a leaf that is not among the inputs.
    """

    def __init__(self, inputs: list[Node], outputs: list[Node]) -> None:
        self.instructions: list[Instruction] = []
        self.numbers: list[float] = []
        self.scratch = 0
        self._first_scratch = len(inputs) + len(outputs)
        self._register = {id(node): k for k, node in enumerate(inputs)}
        self._target = {id(node): len(inputs) + k for k, node in enumerate(outputs) if id(node) not in self._register}
        self._free: list[int] = []
        nodes = [node for node in sorted_nodes(*outputs, given=inputs) if id(node) not in self._register]
        self._uses = Counter(id(arg) for node in nodes for arg in node.args)
        self._numbers_first([node for node in nodes if node.op == "number"])
        merged = {id(product) for node in nodes if (product := self._product(node)) is not None}
        for node in nodes:
            if node.op == "leaf":
                raise ValueError(f"the program needs {node}, which is not among its inputs")
            if node.op != "number" and id(node) not in merged:
                self._emit(node)
        for k, node in enumerate(outputs, start=len(inputs)):
            if self._register[id(node)] != k and not node.is_number(0):
                self.instructions.append(Instruction(_copy, (self._register[id(node)],), k))

    def workspace(self, like: Tensor) -> list[Tensor]:
        """The program's numbers and scratch buffers, for outputs of the shape, dtype and device of `like`."""
        numbers = [like.new_tensor(value) for value in self.numbers]
        return numbers + [like.new_empty(like.shape) for _ in range(self.scratch)]

    def run(self, registers: list[Tensor]) -> None:
        """Fill the outputs; `registers` are inputs, outputs and workspace, in this order."""
        for run, args, out in self.instructions:
            run(*[registers[k] for k in args], out=registers[out])

    def _numbers_first(self, numbers: list[Node]) -> None:
        for node in numbers:
            self._register[id(node)] = self._first_scratch + len(self.numbers)
            self.numbers.append(float(node.value or 0))
        self._first_scratch += len(self.numbers)

    def _product(self, node: Node) -> Node | None:
        """The product that joins this sum or difference in one operation."""
        candidates = {"add": node.args[::-1], "sub": node.args[1:]}.get(node.op, ())
        for arg in candidates:
            lonely = self._uses[id(arg)] == 1 and id(arg) not in self._register and id(arg) not in self._target
            if arg.op == "mul" and lonely:
                return arg
        return None

    def _emit(self, node: Node) -> None:
        product = self._product(node)
        if product is None:
            run, args = _OPERATIONS[node.op], node.args
        else:
            other = node.args[0] if product is node.args[1] else node.args[1]
            run = partial(torch.addcmul, value=-1 if node.op == "sub" else 1)
            args = (other, *product.args)
        registers = tuple(self._register[id(arg)] for arg in args)
        for arg in args:
            self._release(arg)
        out = self._target.get(id(node))
        self._register[id(node)] = self._allocate() if out is None else out
        self.instructions.append(Instruction(run, registers, self._register[id(node)]))

    def _release(self, node: Node) -> None:
        self._uses[id(node)] -= 1
        if self._uses[id(node)] == 0 and self._register[id(node)] >= self._first_scratch:
            self._free.append(self._register[id(node)])

    def _allocate(self) -> int:
        if not self._free:
            self._free.append(self._first_scratch + self.scratch)
            self.scratch += 1
        return self._free.pop()


def _copy(source: Tensor, out: Tensor) -> None:
    out.copy_(source)


def _tanh(x: Tensor, out: Tensor) -> None:
    """tanh x = 2 σ(2x) - 1, exact to a rounding step of 1: torch's own is six times slower than its σ on a CPU."""
    if x.device.type != "cpu" or x.dtype not in (torch.float32, torch.float64):
        torch.tanh(x, out=out)
        return
    torch.mul(x, 2.0, out=out)
    out.sigmoid_().mul_(2.0).sub_(1.0)


_OPERATIONS: dict[str, Callable[..., object]] = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "max": torch.maximum,
    "ge": torch.ge,
    "sigmoid": torch.sigmoid,
    "tanh": _tanh,
    "exp": torch.exp,
    "log": torch.log,
}
