"""Run a sweep here, or go on with it: python jobs/sweep.py configs/sweeps/traffic.yaml --id traffic-20261123-ab12cd

Started again with the same --id, by anyone, it resumes: the sweep's log says what is left to do.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from gatesweep import api
from gatesweep.cli.answer import answering, libraries_on_stderr, print_json, say
from gatesweep.errors import EXIT_VERDICT


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spec", type=Path, help="a sweep file")
    parser.add_argument("--id", help="the sweep's id; started again with it, the sweep goes on")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override one value")
    given = parser.parse_args()
    with answering(resume=given.id):
        from gatesweep.sweep.session import Hooks

        hooks = Hooks(say=say)
        with libraries_on_stderr():
            if given.id and (api.here() / "sweeps" / given.id / "log.jsonl").is_file():
                ended = api.resume(given.id, hooks=hooks)
            else:
                ended = api.sweep(given.spec, sweep_id=given.id, overrides=given.set, hooks=hooks)
        print_json(ended.as_dict())
        if ended.stopped or not ended.outcomes["completed"]:
            sys.exit(EXIT_VERDICT)


if __name__ == "__main__":
    main()
