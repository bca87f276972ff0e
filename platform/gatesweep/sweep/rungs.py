"""TPE over equal amounts of training, the model of BOHB (Falkner, Klein & Hutter, 2018).

A trial that was stopped after 2 epochs and one that had 18 are not comparable by their best epochs. With d dimensions,

    rung = the highest one that d + 3 trials have reached       (their |D_b| >= N_min + 2, N_min = d + 1)
    value of a trial = its best epoch up to that rung

A trial is told as soon as it is there, while it trains on. One that ended before counts as worse than all that came as
far, the later it ended the better: Optuna's ranking of pruned trials. Beside BOHB's, the density is one over all
dimensions together and its bandwidths are Optuna's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gatesweep.sweep.modelled import TPE, notes_of
from gatesweep.sweep.options import SearchConfig
from gatesweep.sweep.search import Known, Params, Space


@dataclass
class _Told:
    """What is known of a trial."""

    params: Params
    memory: dict[str, Any]
    best: dict[int, float] = field(default_factory=dict)
    """Epoch -> the best value up to it."""
    over: bool = False
    failed: bool = False


class RungTPE(TPE):
    """A study made anew before every proposal, with each trial's value at the rung."""

    def __init__(self, space: Space, config: SearchConfig, modes: Sequence[str], rungs: Sequence[int]) -> None:
        super().__init__(space, config, modes)
        self.rungs, self.better = rungs, min if modes[0] == "min" else max
        self.told: list[_Told] = []
        self.known: list[_Told] = []
        """Of earlier sweeps."""

    def inform(self, known: Sequence[Known]) -> None:
        for each in known:
            told = _Told(each.params, {}, over=True)
            for epoch, value in enumerate(each.curve, 1):
                told.best[epoch] = self.better([value, *told.best.values()])
            self.known.append(told)

    def propose(self, number: int) -> tuple[Params, dict[str, Any]] | None:
        import optuna

        self.study, rung = optuna.create_study(directions=self.directions), self.rung()
        for told in [*self.known, *self.told]:
            self.study.add_trial(self._at(told, rung))
        proposal = super().propose(number)
        if proposal:
            self.adopt(number, *proposal)
        return proposal

    def adopt(self, number: int, params: Params, memory: dict[str, Any]) -> None:
        self.told.append(_Told(params, memory))

    def observe(self, number: int, epoch: int, value: float) -> None:
        best = self.told[number].best
        best[epoch] = self.better([value, *best.values()])

    def tell(self, number: int, values: Sequence[float] | None) -> None:
        self.told[number].over, self.told[number].failed = True, values is None

    def reopen(self, number: int) -> None:
        self.told[number].over = self.told[number].failed = False

    def rung(self) -> int:
        """The highest one that enough trials have reached; the lowest as long as there is none."""
        enough, there = len(self.space) + 3, [*self.known, *self.told]
        reached = [rung for rung in self.rungs if sum(rung in told.best for told in there) >= enough]
        return max(reached, default=self.rungs[0])

    def _at(self, told: _Told, rung: int) -> Any:
        from optuna.trial import TrialState, create_trial

        value, last = told.best.get(rung), max(told.best, default=None)
        if told.failed or (told.over and last is None):
            state, value = TrialState.FAIL, None
        elif value is not None:
            state = TrialState.COMPLETE
        else:
            state = TrialState.PRUNED if told.over else TrialState.RUNNING
        return create_trial(
            state=state, params=self._coded(told.params), system_attrs=notes_of(told.memory),
            distributions=self._distributions(told.params),
            values=None if value is None else [value],
            intermediate_values={last: told.best[last]} if state == TrialState.PRUNED and last else {})  # fmt: skip
