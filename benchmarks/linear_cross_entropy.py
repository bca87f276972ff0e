"""The loss over a large vocabulary, chunk by chunk, against `nn.Linear` and `cross_entropy`: time and memory of a step.

    python benchmarks/linear_cross_entropy.py [--quick] [--rounds 9] [--threads 1] [--markdown FILE]

A step is forward and backward with the gradients of h, weight and bias. The contenders take turns (A B C A B C ...), so
that what else the machine does hits all alike; times are CPU time, medians, and ratios are taken within a round.

    linear + cross_entropy     F.cross_entropy(F.linear(h, weight, bias), targets)
    torch, chunked             F.linear_cross_entropy with its default LinearCrossEntropyOptions
    gatesweep                  gatesweep.models.linear_cross_entropy

Memory is how far the largest resident size of a fresh process rises in its second step: by what is allocated and
touched beside inputs and libraries, the gradients included. bf16 means h, weight and bias in bfloat16.

Letters: N tokens, D features, V vocabulary.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from gatesweep.models.linear_cross_entropy import linear_cross_entropy

ROOT = Path(__file__).resolve().parents[1]
BASE, TORCH, OURS = "linear + cross_entropy", "torch, chunked", "gatesweep"
DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16}
VOCABULARY = 10_000
SHAPES = [(700, 200), (700, 650), (2048, 200), (2048, 650)]
QUICK = {"float32": [(700, 200), (2048, 200)], "bf16": [(700, 200)]}
SLOW_ROUNDS = 3
"""Of bf16: without instructions for it, a step of `nn.Linear` takes half a minute."""

Case = tuple[str, int, int]


def _with_linear(h_ND: Tensor, weight_VD: Tensor, bias_V: Tensor, targets_N: Tensor) -> Tensor:
    return F.cross_entropy(F.linear(h_ND, weight_VD, bias_V), targets_N)


def _with_torch(h_ND: Tensor, weight_VD: Tensor, bias_V: Tensor, targets_N: Tensor) -> Tensor:
    options = torch.nn.LinearCrossEntropyOptions()
    return F.linear_cross_entropy(h_ND, weight_VD, targets_N, linear_bias=bias_V, options=options)


def _with_gatesweep(h_ND: Tensor, weight_VD: Tensor, bias_V: Tensor, targets_N: Tensor) -> Tensor:
    return linear_cross_entropy(h_ND, weight_VD, targets_N, bias_V)


LOSSES = {BASE: _with_linear, TORCH: _with_torch, OURS: _with_gatesweep}


def step_of(name: str, case: Case) -> Callable[[], None]:
    """A training step of a contender, on inputs that are the same for all."""
    dtype, N, D = case
    draw = torch.Generator().manual_seed(1)
    h_ND = torch.randn(N, D, generator=draw).to(DTYPES[dtype]).requires_grad_()
    weight_VD = (torch.randn(VOCABULARY, D, generator=draw) / D**0.5).to(DTYPES[dtype]).requires_grad_()
    bias_V = torch.zeros(VOCABULARY, dtype=DTYPES[dtype], requires_grad=True)
    targets_N = torch.randint(0, VOCABULARY, (N,), generator=draw)

    def step() -> None:
        for x in (h_ND, weight_VD, bias_V):
            x.grad = None
        LOSSES[name](h_ND, weight_VD, bias_V, targets_N).backward()

    return step


def seconds(case: Case, rounds: int) -> dict[str, list[float]]:
    """CPU time of every contender's steps, round by round."""
    steps = {name: step_of(name, case) for name in LOSSES}
    found: dict[str, list[float]] = {name: [] for name in LOSSES}
    for round_ in range(rounds + 1):
        for name, step in steps.items():
            start = time.process_time()
            step()
            if round_:  # the first warms up
                found[name].append(time.process_time() - start)
    return found


def megabytes(name: str, case: Case, threads: int) -> float:
    """What a step adds to the largest resident size of a process of its own.

    There, large blocks go back to the system at once: what the warm-up freed must not serve the step unseen.
    """
    command = [sys.executable, __file__, "--threads", str(threads), "--peak-of", json.dumps([name, *case])]
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(1 << 16)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return float(done.stdout)


def peak(name: str, case: Case) -> float:
    """Megabytes; the libraries' own buffers are there already, made by a step on a few tokens."""
    dtype, _, D = case
    step_of(name, (dtype, 16, D))()
    step = step_of(name, case)
    Path("/proc/self/clear_refs").write_text("5")  # the largest resident size starts anew
    before = _status("VmRSS")
    step()
    return (_status("VmHWM") - before) / 1000


def _status(key: str) -> int:
    """Kilobytes, from Linux's account of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


def row(case: Case, rounds: int, threads: int) -> list[str]:
    """A line for each contender."""
    dtype, N, D = case
    found = seconds(case, rounds)
    peaks = {name: megabytes(name, case, threads) for name in LOSSES}
    lines = []
    for name, times in found.items():
        ratios = [base / this for base, this in zip(found[BASE], times, strict=True)]
        speed = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})" if name != BASE else ""
        share = f"{peaks[name] / peaks[BASE]:.2f}" if name != BASE else ""
        lines.append(
            f"| {dtype} | {N} | {D} | {name} | {1000 * statistics.median(times):.0f} | {speed} "
            f"| {peaks[name]:.0f} | {share} |"
        )
    return lines


def circumstances(threads: int) -> str:
    """Machine, versions, date, commit."""
    cpu = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in cpu if "model name" in line), platform.processor())
    command = ["git", "rev-parse", "--short", "HEAD"]
    git = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    commit = git.stdout.strip() or "unknown"
    return (
        f"{model}, {torch.backends.cpu.get_cpu_capability()}, {threads} thread(s); Python {platform.python_version()}, "
        f"torch {torch.__version__}; {datetime.date.today()}, commit {commit}; V = {VOCABULARY}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three of the shapes, five rounds")
    parser.add_argument("--rounds", type=int, help="steps of each contender; 9, or 5 with --quick")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--markdown", type=Path, help="write the table there too")
    parser.add_argument("--peak-of", help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.peak_of:
        name, dtype, N, D = json.loads(given.peak_of)
        print(peak(name, (dtype, N, D)))
        return
    rounds = given.rounds or (5 if given.quick else 9)
    lines = [
        circumstances(given.threads), "",
        "| dtype | N | D | | CPU, ms | times as fast | memory, MB | share |", "|---|---:|---:|---|---:|---:|---:|---:|",
    ]  # fmt: skip
    for line in lines:
        print(line, flush=True)
    for dtype in DTYPES:
        for N, D in QUICK[dtype] if given.quick else SHAPES:
            turns = min(rounds, SLOW_ROUNDS) if dtype == "bf16" and not given.quick else rounds
            lines += (found := row((dtype, N, D), turns, given.threads))
            print("\n".join(found), flush=True)
    if given.markdown:
        given.markdown.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
