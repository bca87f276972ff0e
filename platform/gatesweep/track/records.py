"""What a sweep's log holds: one JSON object a line, of one of these kinds.

sweep    the spec, the pins and the versions, and the trials of earlier sweeps that the search was told of; the first
         line of every log
new      a trial and its parameters, as the searcher proposed them
start    an attempt to train it
result   one epoch: metrics, the committed checkpoint, the scheduler's decision and, if it was the last, the outcome
fail     an attempt died: its class, the policy, the node, a digest of the stack; `final` when no other follows
end      a trial is over without a last result of its own: the user stopped it
retry    trials that were over are open again
mutate   trials copy others, with new values, after an epoch that all have reached; `changes` is empty where none does
stop     the sweep was stopped by the user, a signal or the breaker; resumable
resume   it goes on
extend   its budget was changed
best     the best trial and its score on the test split
done     nothing is left to do
lease    who writes from here on: a new segment of the log (see `segments`); it changes no trial
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Record = dict[str, Any]

VERSION = 1
EVENTS = ("sweep", "new", "start", "result", "fail", "end", "retry", "mutate",
          "stop", "resume", "extend", "best", "done", "lease")
BY_USER = "the user"
"""The reason of a `stop` that the user asked for."""
OUTCOMES = ("completed", "pruned", "failed", "stopped")
STATUS = {"completed": "FINISHED", "pruned": "FINISHED", "failed": "FAILED", "stopped": "KILLED"}
"""An outcome's MLflow run status."""


def goal_of(spec: Mapping[str, Any]) -> tuple[str, str] | None:
    """The metric by which a sweep's trials are ranked and its mode: its objective, the first where it has several."""
    told = spec.get("objective")
    first = told[0] if isinstance(told, list) and told else told
    if not isinstance(first, Mapping) or "metric" not in first:
        return None
    return str(first["metric"]), str(first.get("mode", "min"))
