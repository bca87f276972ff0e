"""The other side of `sweep_overhead.py`: the sweep that one writes with Ray Tune and MLflow alone.

A function trainable, `ray.tune.Tuner`, one report an epoch with a checkpoint, and Ray's own `MLflowLoggerCallback`, as
their documentation shows them. Task, Lightning module, data and configurations are the ones that gatesweep's side
trains, so that the two differ in what surrounds the training and in nothing else.

    plain_sweep.py TRIALS.json FOLDER [--reuse-actors]
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import ray
from ray import tune
from ray.air.integrations.mlflow import MLflowLoggerCallback
from ray.tune.search.basic_variant import BasicVariantGenerator

from gatesweep.runs.build import prepare
from gatesweep.runs.experiment import experiment_from
from gatesweep.train.optim import factory


class ReportEpoch(pl.Callback):
    """Metrics and a checkpoint to Tune, every epoch."""

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        with tempfile.TemporaryDirectory() as folder:
            trainer.save_checkpoint(Path(folder) / "state.ckpt")
            tune.report(metrics, checkpoint=tune.Checkpoint.from_directory(folder))


def train(config: dict[str, Any], experiments: list[dict[str, Any]]) -> None:
    """One trial."""
    experiment = experiment_from(experiments[config["number"]], place="plain")
    task, recipe = prepare(experiment)
    task.module.optimizer_factory = factory(recipe.optimizer, recipe.schedule, recipe.trainer)
    trainer = pl.Trainer(
        max_epochs=recipe.trainer.max_epochs,
        accelerator="cpu",
        devices=1,
        gradient_clip_val=recipe.optimizer.clip_norm,
        deterministic=recipe.trainer.deterministic,
        callbacks=[ReportEpoch()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(task.module, datamodule=task.data_module)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("trials", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--reuse-actors", action="store_true")
    given = parser.parse_args()
    plan = json.loads(given.trials.read_text())
    os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"  # as Ray advises where trials read files below the working folder
    ray.init(address="local", num_cpus=plan["concurrent"])
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(train, experiments=plan["experiments"]), {"cpu": 1}),
        tune_config=tune.TuneConfig(
            metric=plan["metric"],
            mode="min",
            num_samples=len(plan["params"]),
            search_alg=BasicVariantGenerator(points_to_evaluate=plan["params"]),
            reuse_actors=given.reuse_actors,
        ),
        param_space={key: tune.choice([None]) for key in plan["params"][0]},
        run_config=tune.RunConfig(
            name="plain",
            storage_path=str(given.folder / "tune"),
            checkpoint_config=tune.CheckpointConfig(num_to_keep=2),
            callbacks=[
                MLflowLoggerCallback(tracking_uri=f"sqlite:///{given.folder}/mlflow.db", experiment_name=plan["name"])
            ],
        ),
    )
    results = tuner.fit()
    last = {str(result.config["number"]): result.metrics[plan["metric"]] for result in results}
    (given.folder / "last.json").write_text(json.dumps(last))


if __name__ == "__main__":
    main()
