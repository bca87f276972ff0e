"""What composes the rooms: the Python interface, and the same functions behind `jobs/` and the command line.

    runs      run, interrupted, resume_run, evaluate, sample, forecast, backtest, load
    sweeps    sweep, resume, Sweep
    plans     plan
    results   reproduce, compare, seeds, trace
    places    here, open_store
"""

from gatesweep.api.places import here, open_store
from gatesweep.api.plans import plan
from gatesweep.api.results import compare, folder_of, reproduce, seeds, trace
from gatesweep.api.runs import backtest, evaluate, forecast, interrupted, load, resume_run, run, sample
from gatesweep.api.sweeps import Sweep, Watch, resume, sweep

__all__ = [
    "Sweep", "Watch", "backtest", "compare", "evaluate", "folder_of", "forecast", "here", "interrupted", "load",
    "open_store", "plan", "reproduce", "resume", "resume_run", "run", "sample", "seeds", "sweep", "trace",
]  # fmt: skip
