"""What a sweep's log holds: one JSON object a line, of one of these kinds.

sweep    the spec, the pins and the versions; the first line of every log
new      a trial and its parameters, as the searcher proposed them
start    an attempt to train it
result   one epoch: metrics, the committed checkpoint, the scheduler's decision and, if it was the last, the outcome
fail     an attempt died; `final` when no other follows
end      a trial is over without a last result of its own
stop     the sweep was stopped by the user, a signal or the breaker; resumable
resume   it goes on
extend   its budget was changed
best     the best trial and its score on the test split
done     nothing is left to do
"""

from __future__ import annotations

from typing import Any

Record = dict[str, Any]

VERSION = 1
EVENTS = ("sweep", "new", "start", "result", "fail", "end", "stop", "resume", "extend", "best", "done")
OUTCOMES = ("completed", "pruned", "failed", "stopped")
STATUS = {"completed": "FINISHED", "pruned": "FINISHED", "failed": "FAILED", "stopped": "KILLED"}
"""An outcome's MLflow run status."""
