"""How fast cells train: one training step (forward, and backward with dx) of every cell on every back end, beside
torch.nn.LSTM's in float32.

    python benchmarks/cells.py [--quick] [--threads 1 2] [--cells NAME ...] [--backends NAME ...] [--json FILE]

In one run every contender of a shape takes turns, in another order each round, so that what else the machine does, and
what the one before left behind, hits all alike.
With one thread the time is CPU time of the process, with more it is wall time. A number is torch.nn.LSTM's median over
the contender's: 1.5 is half again as fast. Groups are geometric means over the shapes; the last lines compare with
other things than nn.LSTM: gru with nn.GRU, sequences at 55 % fill with the same batch padded, vanilla and peephole with
the loop over time that one writes first. Slow ones (that loop, `reference`) run where T is 35 or 1000, `reference` for
three cells.

Memory is what a training step holds when its backward begins, beside parameters and input: every tensor that autograd
saves (`saved_tensors_hooks`, each storage once; nn.LSTM's workspace is one of them) and the output. It is counted, not
sampled, so it is the same in every run.

bf16 joins at H >= 512, B 16, T 35 (nn.LSTM takes seconds a step where the processor has no instructions for it):
weights and input in bf16, against nn.LSTM in float32 and in bf16.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import os
import platform
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gatesweep.cells import Recurrent, backends
from gatesweep.cells.names import NAMES
from gatesweep.cells.variants import find
from gatesweep.track.machine import machine

ROOT = Path(__file__).resolve().parents[1]
Shape = tuple[int, int, int]
SHAPES: list[Shape] = [
    (128, 16, 35), (128, 64, 35), (128, 16, 200), (128, 64, 200), (128, 16, 1000), (256, 16, 200), (256, 32, 512),
    (512, 16, 35), (512, 64, 35), (512, 16, 200), (512, 64, 200), (1024, 16, 35), (1024, 64, 35),
]  # fmt: skip
"""H (and D), B, T."""

QUICK: list[Shape] = [(128, 16, 35), (128, 16, 200), (512, 16, 35)]
QUICK_CELLS = ("vanilla", "peephole", "coupled", "nig", "fgr", "gru")
LSTM, GRU, NAIVE = "nn.LSTM", "nn.GRU", "naive loop"
LOOP_STEPS = (35, 1000)
LOOPS = ("vanilla", "peephole", "gru")
BF16_UNITS, BF16_BATCH = 512, (16, 35)
FILL = 0.55
GROUPS: dict[str, tuple[str, ...]] = {
    "4 gates": ("vanilla", "peephole", "niaf", "noaf"),
    "3 gates": ("coupled", "cifg", "nig", "nfg", "nog"),
    "fgr": ("fgr",),
    "slstm": ("slstm",),
    "minimal": ("mingru", "minlstm"),
    "gru": ("gru", "gru_before"),
    "rnn": ("rnn",),
}
FLAGS = ("avx2", "fma", "avx512f", "avx512_bf16", "amx_tile", "amx_bf16")


@dataclass(frozen=True)
class Contender:
    """A cell on a back end; `variant` is empty, or `lengths` (55 % fill), `layer norm` or `bf16`."""

    cell: str
    backend: str
    variant: str = ""

    @property
    def label(self) -> str:
        return " ".join(filter(None, (self.cell, self.backend, self.variant)))


@dataclass
class Result:
    """One contender at one shape: seconds of a step, the range of its rounds, bytes held for the backward."""

    shape: Shape
    threads: int
    contender: Contender
    median_s: float
    fastest_s: float
    slowest_s: float
    held_bytes: int


def contenders(cells: list[str], wanted: list[str], shape: Shape, loops: Iterable[str]) -> Iterator[Contender]:
    """Whatever runs: torch's own, then each cell on each back end that has it, the naive loop for `loops` alone."""
    yield Contender(LSTM, "torch")
    yield Contender(GRU, "torch")
    if shape[2] in LOOP_STEPS:
        yield Contender(NAIVE, "torch")
    for cell in cells:
        for backend in wanted:
            looped = cell in loops and shape[2] in LOOP_STEPS
            if backends.supports(backend, find(cell)) and (backend != "reference" or looped):
                yield Contender(cell, backend)
    ours = [name for name in wanted if name not in ("torch", "reference")]
    for cell in [cell for cell in ("vanilla", "peephole") if cell in cells and ours]:
        yield Contender(cell, ours[0], "lengths")
        yield Contender(cell, ours[0], "layer norm")
    if "native" in ours and shape[0] >= BF16_UNITS and shape[1:] == BF16_BATCH:
        yield Contender(LSTM, "torch", "bf16")
        for cell in cells:
            if backends.supports("native", find(cell)):
                yield Contender(cell, "native", "bf16")


class NaiveLoop(nn.Module):
    """An LSTM with peepholes as one writes it first: everything within the loop over time."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.inputs, self.recurrent = nn.Linear(input_size, 4 * hidden_size), nn.Linear(hidden_size, 4 * hidden_size)
        self.peephole_3H = nn.Parameter(torch.randn(3, hidden_size) / hidden_size**0.5)

    def forward(self, x_TBD: Tensor) -> tuple[Tensor, Tensor]:
        p_i, p_f, p_o = self.peephole_3H
        h = c = x_TBD.new_zeros(x_TBD.shape[1], self.peephole_3H.shape[1])
        outputs = []
        for x_BD in x_TBD:
            a_i, a_f, a_z, a_o = (self.inputs(x_BD) + self.recurrent(h)).chunk(4, 1)
            i, f = torch.sigmoid(a_i + p_i * c), torch.sigmoid(a_f + p_f * c)
            c = f * c + i * torch.tanh(a_z)
            h = torch.sigmoid(a_o + p_o * c) * torch.tanh(c)
            outputs.append(h)
        return torch.stack(outputs), c


class Step:
    """One training step, its weights and inputs the same whoever asks."""

    def __init__(self, contender: Contender, shape: Shape) -> None:
        (H, B, T), generator = shape, torch.Generator().manual_seed(1)
        dtype = torch.bfloat16 if contender.variant == "bf16" else torch.float32
        torch.manual_seed(1)
        plain: Any = {LSTM: nn.LSTM, GRU: nn.GRU, NAIVE: NaiveLoop}.get(contender.cell)
        self.module: nn.Module = (
            plain(H, H) if plain else Recurrent(
                contender.cell, input_size=H, hidden_size=H, backend=contender.backend,
                layer_norm=contender.variant == "layer norm",
            )
        ).to(dtype)
        self.x_TBD = torch.randn(T, B, H, generator=generator).to(dtype).requires_grad_()
        self.dy_TBH = torch.randn(T, B, H, generator=generator).to(dtype)
        self.more = {"lengths": _lengths(B, T)} if contender.variant == "lengths" else {}

    def forward(self) -> Tensor:
        y_TBH: Tensor = self.module(self.x_TBD, **self.more)[0]
        return y_TBH

    def __call__(self) -> None:
        self.module.zero_grad()
        self.x_TBD.grad = None
        self.forward().backward(self.dy_TBH)

    def held(self) -> int:
        """Bytes kept for the backward: saved tensors and the output, each storage once, no parameter, no input."""
        leaves = {t.untyped_storage().data_ptr() for t in (self.x_TBD, *self.module.parameters())}
        storages: dict[int, int] = {}

        def keep(tensor: Tensor) -> Tensor:
            storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            y_TBH = self.forward()
        keep(y_TBH)
        return sum(size for address, size in storages.items() if address not in leaves)


def _lengths(B: int, T: int) -> list[int]:
    """Evenly from a tenth of T to all of it: 55 % in the mean."""
    return [max(1, round(T * (0.1 + 0.9 * k / (B - 1)))) for k in range(B)]


def measure(shape: Shape, threads: int, who: list[Contender], rounds: int, budget_s: float) -> list[Result]:
    """Every contender in turn: at least `rounds` rounds, more while `budget_s` lasts."""
    clock = time.process_time if threads == 1 else time.perf_counter
    torch.set_num_threads(threads)
    steps = {contender: Step(contender, shape) for contender in who}
    memory = {contender: step.held() for contender, step in steps.items()}
    for step in steps.values():  # what only a first call does is done
        step()
    times: dict[Contender, list[float]] = {contender: [] for contender in who}
    end, order = time.monotonic() + budget_s, random.Random(1)
    while len(times[who[0]]) < rounds or time.monotonic() < end:
        for contender in order.sample(who, len(who)):  # whose memory and caches one inherits should not matter
            start = clock()
            steps[contender]()
            times[contender].append(clock() - start)
    return [Result(shape, threads, c, statistics.median(t), min(t), max(t), memory[c]) for c, t in times.items()]


def geometric_mean(values: Iterable[float]) -> float:
    found = list(values)
    return math.exp(statistics.fmean(map(math.log, found))) if found else math.nan


def speeds(results: list[Result], against: Callable[[Contender], Contender | None]) -> dict[Contender, list[float]]:
    """For each contender its speed relative to another of the same shape, shape by shape."""
    by_key = {(r.shape, r.contender): r.median_s for r in results}
    ratios: dict[Contender, list[float]] = {}
    for result in results:
        other = against(result.contender)
        if other is not None and (result.shape, other) in by_key:
            ratios.setdefault(result.contender, []).append(by_key[result.shape, other] / result.median_s)
    return ratios


def table(results: list[Result], threads: int) -> list[str]:
    """A row a contender, a column a shape: speed relative to nn.LSTM; then the mean and the memory."""
    mine = [r for r in results if r.threads == threads]
    shapes = list(dict.fromkeys(r.shape for r in mine))
    base = {r.shape: r for r in mine if r.contender == Contender(LSTM, "torch")}
    head = " | ".join(f"{H},{B},{T}" for H, B, T in shapes)
    lines = [f"| {threads} thread{'s' if threads > 1 else ''}; H,B,T | {head} | mean | memory |",
             "|---|" + "---:|" * (len(shapes) + 2)]
    lines.append("| nn.LSTM, ms | " + " | ".join(f"{base[s].median_s * 1e3:.1f}" for s in shapes) + " | | |")
    for contender in dict.fromkeys(r.contender for r in mine):
        if contender == Contender(LSTM, "torch"):
            continue
        found = {r.shape: r for r in mine if r.contender == contender}
        ratios = {s: base[s].median_s / r.median_s for s, r in found.items()}
        memory = geometric_mean(r.held_bytes / base[s].held_bytes for s, r in found.items())
        lines.append(f"| {contender.label} | " + " | ".join(f"{ratios[s]:.2f}" if s in ratios else "" for s in shapes)
                     + f" | {geometric_mean(ratios.values()):.2f} | {memory:.2f} |")
    return lines


def summary(results: list[Result], threads: int, wanted: list[str]) -> list[str]:
    """Geometric means by group of cells and back end, and the comparisons with other things than nn.LSTM."""
    mine = [r for r in results if r.threads == threads]
    lstm = speeds(mine, lambda c: Contender(LSTM, "torch"))
    lines = []
    for backend in [name for name in wanted if name != "reference"]:
        for group, cells in GROUPS.items():
            mean_of = [c for c in lstm if c.cell in cells and c.backend == backend and not c.variant]
            ratios = [ratio for c in mean_of for ratio in lstm[c]]
            if ratios:
                lines.append(f"{backend}, {group}: {geometric_mean(ratios):.2f} of nn.LSTM ({min(ratios):.2f} to"
                             f" {max(ratios):.2f})")

    def against_loop(c: Contender) -> Contender | None:
        return Contender(NAIVE, "torch") if c.cell in ("vanilla", "peephole") and not c.variant else None

    others = {
        "of nn.LSTM, in bf16": speeds(mine, lambda c: Contender(LSTM, "torch") if c.variant == "bf16" else None),
        "of nn.LSTM in bf16": speeds(
            mine, lambda c: Contender(LSTM, "torch", "bf16") if c.variant == "bf16" else None),
        "of nn.GRU": speeds(mine, lambda c: Contender(GRU, "torch") if c.cell.startswith("gru") else None),
        "of nn.LSTM, with layer norm": speeds(
            mine, lambda c: Contender(LSTM, "torch") if c.variant == "layer norm" else None),
        "of the same batch padded": speeds(
            mine, lambda c: Contender(c.cell, c.backend) if c.variant == "lengths" else None),
        "of the naive loop": speeds(mine, against_loop),
        "of the naive loop at T = 1000": speeds([r for r in mine if r.shape[2] == max(LOOP_STEPS)], against_loop),
    }  # fmt: skip
    for what, found in others.items():
        by_backend: dict[str, list[float]] = {}
        for contender, ratios in found.items():
            if contender.cell not in (LSTM, GRU, NAIVE):
                by_backend.setdefault(contender.backend, []).extend(ratios)
        lines += [f"{backend}: {geometric_mean(ratios):.2f} {what}" for backend, ratios in by_backend.items()]
    return lines


def circumstances() -> str:
    """Processor and the instruction sets that matter, versions, date, commit."""
    facts = machine()
    flags = " ".join(flag for flag in FLAGS if flag in facts["cpu_flags"])
    describe = ["git", "describe", "--always", "--dirty"]
    git = subprocess.run(describe, cwd=ROOT, capture_output=True, text=True, check=False)
    return (f"{facts['cpu']} ({flags}), {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; Python"
            f" {platform.python_version()}, torch {version('torch')}; {datetime.date.today()}, commit"
            f" {git.stdout.strip() or 'unknown'}; float32")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three shapes, six cells, one thread: at most 3 minutes")
    parser.add_argument("--threads", type=int, nargs="+", help="by default 1 and 2")
    parser.add_argument("--cells", nargs="+", choices=NAMES)
    parser.add_argument("--backends", nargs="+", choices=backends.FASTEST, default=backends.FASTEST)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of turns, at least")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every median there too")
    given = parser.parse_args()
    shapes = QUICK if given.quick else SHAPES
    cells = given.cells or (QUICK_CELLS if given.quick else NAMES)
    order = sorted(given.backends, key=backends.FASTEST.index)
    results: list[Result] = []
    threads_asked = given.threads or ([1] if given.quick else [1, 2])
    for threads in threads_asked:
        for shape in shapes:
            who = list(contenders([name for name in NAMES if name in cells], order, shape, LOOPS))
            results += measure(shape, threads, who, given.rounds, 0.0 if given.quick else 5.0)
            print(f"{threads} threads, H,B,T {shape}: {len(who)} contenders", file=sys.stderr, flush=True)
    lines = [circumstances(), "speed relative to torch.nn.LSTM, higher is faster; memory relative to it", ""]
    for threads in threads_asked:
        lines += [*table(results, threads), "", *summary(results, threads, order), ""]
    print("\n".join(lines))
    if given.json:
        document = {"circumstances": lines[0], "results": [asdict(result) for result in results]}
        given.json.write_text(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
