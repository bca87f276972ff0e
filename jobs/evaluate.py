"""Score a run: python jobs/evaluate.py best:traffic-20261123-ab12cd --split test"""

from __future__ import annotations

import argparse
from pathlib import Path

from gatesweep import api
from gatesweep.cli.answer import answering, print_json, say


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="a run id, a trial id, or best:<sweep id>")
    parser.add_argument("--split", default="test", help="train, val, test or all")
    parser.add_argument("--data", type=Path, help="another file of the same layout")
    parser.add_argument("--predictions", type=Path, help="where to write the predictions as CSV")
    given = parser.parse_args()
    with answering():
        scored = api.evaluate(given.run, split=given.split, data=given.data, predictions=given.predictions, say=say)
        print_json(scored.as_dict())


if __name__ == "__main__":
    main()
