"""A process that appends to a log, for tests that kill it: python log_writer.py ADDRESS CREATE COUNT [KEY=VALUE]…

It prints the number of each record that it may act on. KEY=VALUE sets a constant of `gatesweep.track.lease`.
"""

from __future__ import annotations

import sys

from gatesweep.errors import Fenced, LogError
from gatesweep.storage import place
from gatesweep.track import lease
from gatesweep.track.log import SweepLog
from gatesweep.track.records import VERSION

if __name__ == "__main__":
    address, create, count, *settings = sys.argv[1:]
    for setting in settings:
        setattr(lease, setting.partition("=")[0], float(setting.partition("=")[2]))
    try:
        log = SweepLog(place(address), create=create == "create")
        if create == "create":
            log.append({"event": "sweep", "version": VERSION, "sweep_id": "s"})
        first = sum(record["event"] == "new" for record in log.records)
        print("open", log.fence, flush=True)
        for number in range(first, first + int(count)):
            log.append({"event": "new", "trial": f"t{number:04d}", "number": number})
            print(number, flush=True)
        print("over", flush=True)
        sys.stdin.read()  # until the test closes it: the log stays open
        log.close()
    except Fenced:
        print("fenced", flush=True)
    except LogError as error:
        print(f"refused {error.message}", flush=True)
