"""One training as a sweep of one trial, so that it is submitted, followed, resumed and survived like any other."""

from __future__ import annotations

from gatesweep.runs.experiment import ExperimentConfig
from gatesweep.sweep.spec import SweepSpec, spec_from


def single(experiment: ExperimentConfig, *, gpus: float = 0.0) -> SweepSpec:
    """A sweep whose one trial is this training: its own seed, threads and monitored metric, trained to the end.

    The seed is a dimension of one choice, for a trial's seed would otherwise be a function of the sweep's.
    """
    trainer = experiment.trainer
    return spec_from(
        {
            "name": experiment.name or "run",
            "experiment": experiment.as_dict(),
            "objective": {"metric": trainer.monitor, "mode": trainer.mode},
            "space": {"seed": {"choice": [experiment.seed]}},
            "search": {"name": "grid", "seed": experiment.seed},
            "scheduler": {"name": "none"},
            "budget": {"trials": 1, "concurrent": 1},
            "resources": {"cpus": trainer.threads, "gpus": gpus, "workers": trainer.workers},
            "keep": experiment.keep.model_dump(mode="json"),
        },
        place="run",
    )
