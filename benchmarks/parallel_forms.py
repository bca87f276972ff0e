"""CPU time of a training step: the loops over time against the parallel forms of minGRU, minLSTM and mLSTM.

    .venv/bin/python benchmarks/parallel_forms.py [--steps 128 1024 4096] [--batch 16] [--hidden 128] [--repeats 3]

Forward and backward with the gradient of the input, float32, one thread, as many inputs as hidden units, mLSTM with
four heads. Back ends take turns, the table has the least time of each; `docs/cells.md` quotes it.
"""

from __future__ import annotations

import argparse
import time

import torch

from gatesweep.cells import Recurrent

BACKENDS = {"mingru": ("reference", "fused", "parallel"), "minlstm": ("reference", "fused", "parallel"),
            "mlstm": ("reference", "parallel")}  # fmt: skip


def seconds(layer: Recurrent, x_TBD: torch.Tensor) -> float:
    start = time.process_time()
    layer(x_TBD)[0].square().mean().backward()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, nargs="+", default=[128, 1024, 4096])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, B {options.batch}, "
          f"H {options.hidden}")
    print(f"{'cell':8} {'T':>5} " + "".join(f"{name + ' ms':>14}" for name in ("reference", "fused", "parallel")))
    for cell, backends in BACKENDS.items():
        sizes = {"input_size": options.hidden, "hidden_size": options.hidden, "heads": 4 if cell == "mlstm" else 1}
        layers = {backend: Recurrent(cell, backend=backend, **sizes) for backend in backends}
        for T in options.steps:
            x_TBD = torch.randn(T, options.batch, options.hidden, requires_grad=True)
            best = dict.fromkeys(("reference", "fused", "parallel"), float("inf"))
            for _ in range(options.repeats):
                for backend, layer in layers.items():
                    best[backend] = min(best[backend], seconds(layer, x_TBD))
            print(f"{cell:8} {T:5} " + "".join(f"{1e3 * s:14.1f}" if s < 1e9 else f"{'':>14}" for s in best.values()))


if __name__ == "__main__":
    main()
