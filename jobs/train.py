"""Train one model: python jobs/train.py configs/experiments/traffic.yaml --set trainer.max_epochs=3"""

from __future__ import annotations

import argparse
from pathlib import Path

from gatesweep import api
from gatesweep.cli.answer import answering, print_json, say


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("experiment", type=Path, help="an experiment file")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override one value")
    given = parser.parse_args()
    with answering():
        from gatesweep.runs.training import Listener

        print_json(api.run(given.experiment, overrides=given.set, listener=Listener(say=say)).as_dict())


if __name__ == "__main__":
    main()
