"""Run a sweep here, or go on with it: python jobs/sweep.py configs/sweeps/traffic.yaml --id traffic-20261123-ab12cd

Started again with the same --id, by anyone, it resumes: the sweep's log says what is left to do. With --cluster FILE
it is the driver of a cluster's job; `gatesweep submit` starts it so.
"""

from __future__ import annotations

from gatesweep.cli.job import sweep

if __name__ == "__main__":
    sweep()
