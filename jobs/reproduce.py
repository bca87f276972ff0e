"""The same numbers again, or what differs: python jobs/reproduce.py best:traffic-20261123-ab12cd --epochs 2"""

from __future__ import annotations

import argparse

import gatesweep
from gatesweep.cli.answer import answering, print_json, say
from gatesweep.errors import NegativeVerdict


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="a run id, a trial id, best:<sweep id>, or a sweep's id")
    parser.add_argument("--epochs", type=int, help="compare the first epochs alone")
    parser.add_argument("--here", action="store_true", help="with the code of this folder")
    parser.add_argument("--on", help="a cluster's file: train there")
    given = parser.parse_args()
    with answering():
        found = gatesweep.reproduce(given.run, epochs=given.epochs, here=given.here, on=given.on, say=say)
        print_json(found.as_dict())
        if found.verdict == "diverged":
            raise NegativeVerdict(f"{given.run} diverged")


if __name__ == "__main__":
    main()
