"""Train one model: python jobs/train.py configs/experiments/traffic.yaml --set trainer.max_epochs=3

With --cluster FILE it is a sweep of one trial on that cluster; `gatesweep run --cluster` submits it so.
"""

from __future__ import annotations

from gatesweep.cli.job import train

if __name__ == "__main__":
    train()
