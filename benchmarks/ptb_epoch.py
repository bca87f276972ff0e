"""Seconds for a number of PTB batches: this project's training against plain Lightning, nn.LSTM and a full softmax.

Both follow Zaremba et al. 2014, small: 2 layers of 200 units, 20 streams, windows of 20 steps, SGD, clipped at 5. The
plain one is what one writes first: nn.Embedding, nn.LSTM, nn.Linear, F.cross_entropy, a LightningModule, a Trainer
without logger, checkpoints and progress bar, in a process as torch leaves it. Both also in the other precision: the
experiment's is bfloat16 products, the plain one's float32. Each turn is a process of its own; they take turns, so that
a busy machine is busy for all; the first batches, in which memory is laid out, are not counted.

    GATESWEEP_BENCH_DATA=... python benchmarks/ptb_epoch.py [--batches 200] [--rounds 3] [--threads 2]
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "tasks"))
from rows import ROOT, bench_data, commit, machine

RESULT = ROOT / "benchmarks" / "results" / "ptb_epoch.json"
EXPERIMENT = ROOT / "configs" / "experiments" / "ptb_zaremba_small.yaml"
WARM = 20
CONTENDERS: dict[str, Any] = {
    "plain": "32-true", "gatesweep": "bf16-mixed", "gatesweep, float32": "32-true", "plain, bfloat16": "bf16-mixed",
}  # fmt: skip
"""Who, and Lightning's name of the precision."""


def one_turn(contender: str, batches: int, threads: int) -> dict[str, float]:
    """Wall and CPU seconds a batch, in this process."""
    import pytorch_lightning as pl

    from gatesweep.runs.build import prepare
    from gatesweep.runs.experiment import load_experiment
    from gatesweep.tasks.registry import load_task
    from gatesweep.train.optim import factory

    config = load_experiment(EXPERIMENT, [f"data.path={bench_data('ptb')}", f"trainer.threads={threads}"])
    if contender.startswith("gatesweep"):
        task, recipe = prepare(config)
        task.module.optimizer_factory = factory(recipe.optimizer, recipe.schedule, recipe.trainer)
        module = task.module
    else:
        task = load_task(config.task)(config.data, config.model, batch_size=config.trainer.batch_size, seed=config.seed,
                                      say=lambda line: None)  # fmt: skip
        module = plain_module(len(task.corpus.vocabulary))
    clock = _clock(batches)
    trainer = pl.Trainer(max_epochs=1, limit_train_batches=batches, limit_val_batches=0, gradient_clip_val=5.0,
                         logger=False, enable_checkpointing=False, enable_progress_bar=False, accelerator="cpu",
                         enable_model_summary=False, callbacks=[clock], precision=CONTENDERS[contender])  # fmt: skip
    trainer.fit(module, train_dataloaders=task.data_module.train_dataloader())
    return {"wall_s": clock.wall_s / (batches - WARM), "cpu_s": clock.cpu_s / (batches - WARM),
            "loss": float(trainer.callback_metrics["train/loss"])}  # fmt: skip


def _clock(batches: int) -> Any:
    """A callback that looks at the clocks after the warm batches and after the last."""
    import pytorch_lightning as pl

    class Clock(pl.Callback):
        wall_s = cpu_s = 0.0

        def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, index: int) -> None:
            if index + 1 == WARM:
                self.wall_s, self.cpu_s = -time.perf_counter(), -time.process_time()
            if index + 1 == batches:
                self.wall_s += time.perf_counter()
                self.cpu_s += time.process_time()

    return Clock()


def plain_module(vocabulary: int) -> Any:
    """The language model as one writes it first."""
    import pytorch_lightning as pl
    import torch
    from torch import nn
    from torch.nn import functional

    class Plain(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.decoder = nn.Embedding(vocabulary, 200), nn.Linear(200, vocabulary)
            self.lstm, self.state = nn.LSTM(200, 200, 2, batch_first=True), None
            for parameter in self.parameters():
                nn.init.uniform_(parameter, -0.1, 0.1)

        def training_step(self, batch: Any, index: int) -> Any:
            hidden, state = self.lstm(self.embedding(batch.ids_ST), self.state)
            self.state = tuple(each.detach() for each in state)
            loss = functional.cross_entropy(self.decoder(hidden).flatten(0, 1), batch.targets_ST.flatten())
            self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=batch.targets_ST.numel())
            return loss * batch.targets_ST.shape[1]

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=1.0)

    torch.manual_seed(1)
    return Plain()


def rounds(batches: int, count: int, threads: int) -> dict[str, list[dict[str, float]]]:
    """Each contender once a round, the first one another each time."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
    for number in range(count):
        for name in CONTENDERS if number % 2 == 0 else reversed(list(CONTENDERS)):
            command = [sys.executable, __file__, "--turn", name, "--batches", str(batches), "--threads", str(threads)]
            environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
            out = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
            found[name].append(json.loads(out.splitlines()[-1]))
            print(name, found[name][-1], flush=True)
    return found


def _beside_plain(own: list[float], plain: list[float]) -> dict[str, float]:
    """The median, and how many times as fast as the plain one of the same round: median, least, most."""
    ratios = [there / here for here, there in zip(own, plain, strict=True)]
    return {"median": statistics.median(own), "times_as_fast": statistics.median(ratios), "least": min(ratios),
            "most": max(ratios)}  # fmt: skip


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turn", choices=CONTENDERS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.turn:
        print(json.dumps(one_turn(asked.turn, asked.batches, asked.threads)))
        return
    found = rounds(asked.batches, asked.rounds, asked.threads)
    answer: dict[str, Any] = {"threads": asked.threads, "batches": asked.batches, "machine": machine(),
                              "commit": commit(), "date": datetime.date.today().isoformat()}  # fmt: skip
    for clock in ("wall_s", "cpu_s"):
        plain = [turn[clock] for turn in found["plain"]]
        answer[clock] = {name: _beside_plain([turn[clock] for turn in found[name]], plain) for name in CONTENDERS}
    RESULT.write_text(json.dumps(answer, indent=1) + "\n")
    print(json.dumps(answer, indent=1))


if __name__ == "__main__":
    main()
