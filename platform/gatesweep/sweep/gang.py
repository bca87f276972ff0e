"""The workers of one trial of a sweep: Tune's own process is worker 0, the others are Ray actors beside it.

They live in the trial's placement group, a bundle each, so that Ray places all of a trial or nothing and no two trials
can wait for each other's halves. Worker 0 owns its followers: they end with its process, and with the placement group.
Between trials they are kept warm with it.

Ray Train's TorchTrainer is not used. Its controller retries, places and commits checkpoints by itself, beside the
sweep's log; a death reaches the driver as one exception, whatever it was and wherever; and its workers start anew, with
an import of torch, for each trial. Here an attempt of several workers is an attempt like any other to the driver.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gatesweep.errors import Parted
from gatesweep.runs.gang import Ended, led
from gatesweep.sweep.deaths import from_words
from gatesweep.sweep.failures import Death, Died, from_exception

if TYPE_CHECKING:
    from gatesweep.runs.experiment import ExperimentConfig
    from gatesweep.sweep.worker import Surroundings
    from gatesweep.train.team import Before, Seat, Team

LOOK_S = 1.0
"""How often the followers' lives are looked at while worker 0 trains."""


class Worker:
    """What a follower's actor does."""

    def __init__(self) -> None:
        from gatesweep.sweep import warm

        warm.ready()

    def follow(self, experiment: str, data_md5: Mapping[str, str], around: Surroundings, seat: Seat
               ) -> dict[str, Any] | None:  # fmt: skip
        """One training; how it died, with `parted` where that is another's death, or None."""
        from gatesweep.runs.experiment import experiment_from
        from gatesweep.runs.follower import follow
        from gatesweep.sweep.worker import enter, where_this_is

        try:
            enter(around)
            config = experiment_from(json.loads(experiment), place=f"worker {seat.rank}")
            follow(config, seat, data_md5=data_md5)
        except Parted as error:
            return {"parted": str(error)}
        except Exception as error:
            return from_exception(error, *where_this_is()).as_dict()
        return None


@dataclass
class _Crew:
    """Followers that are warm, and the placement group that they live in."""

    group: str
    actors: list[Any]


_crew: _Crew | None = None


def _actors(wanted: ExperimentConfig, gpus: float) -> list[Any]:
    """A follower for each bundle but the first; those of the trial before, where its group is still this one's."""
    global _crew
    import ray
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    group = ray.util.get_current_placement_group()
    assert group is not None, "Tune places trials of several workers in a group"
    name, count = group.id.hex(), wanted.trainer.workers - 1
    if _crew is None or _crew.group != name or len(_crew.actors) != count:
        dismiss()
        make = ray.remote(Worker)
        _crew = _Crew(name, [make.options(
            num_cpus=wanted.trainer.threads, num_gpus=gpus, max_restarts=0,
            scheduling_strategy=PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=index),
        ).remote() for index in range(1, count + 1)])  # fmt: skip
    return _crew.actors


def dismiss() -> None:
    """End the followers that are kept warm."""
    global _crew
    import ray

    crew, _crew = _crew, None
    for actor in crew.actors if crew else ():
        ray.kill(actor)


class _Follower:
    """One actor's part in one training."""

    def __init__(self, actor: Any, running: Any) -> None:
        self._actor, self._running = actor, running
        self._end: Ended | None = None
        self._lock = threading.Lock()

    def ended(self) -> Ended | None:
        import ray

        with self._lock:
            if self._end is None and ray.wait([self._running], timeout=0)[0]:
                self._end = self._read_end()
            return self._end

    def _read_end(self) -> Ended:
        import ray

        try:
            said = ray.get(self._running)
        except Exception as error:  # a process that was killed, a node that is gone: there are Ray's words alone
            dismiss()
            return Ended(Died(from_words(str(error))))
        if said is None:
            return Ended()
        return Ended(Parted(said["parted"]) if "parted" in said else Died(Death(**said)))

    def kill(self) -> None:
        dismiss()
        self._end = self._end or Ended()


@contextlib.contextmanager
def gang(config: ExperimentConfig, *, gpus: float, data_md5: Mapping[str, str], around: Surroundings, before: Before,
         lost: Callable[[Exception], None]) -> Iterator[Team | None]:  # fmt: skip
    """The team of this attempt; None where it has one worker.

    Args:
        lost: hears of a follower's death at once, for worker 0 may wait for it: nobody closes the connections of a host
            that was cut off.

    Raises:
        Died: what ended a follower.
    """
    if config.trainer.workers == 1:
        yield None
        return
    import ray

    from gatesweep.train.fit import device_of

    followers: list[_Follower] = []
    raw = json.dumps(config.as_dict())

    def start(seats: list[Seat]) -> list[_Follower]:
        followers.extend(_Follower(actor, actor.follow.remote(raw, dict(data_md5), around, seat))
                         for actor, seat in zip(_actors(config, gpus), seats, strict=True))  # fmt: skip
        return followers

    over = threading.Event()
    watch = threading.Thread(target=_watch, args=(followers, over, lost), name="gatesweep-gang", daemon=True)
    watch.start()
    try:
        here = str(ray.util.get_node_ip_address())  # type: ignore[no-untyped-call]
        with led(config.trainer.workers, here, start, device=device_of(config.trainer), before=before) as team:
            yield team
    finally:
        over.set()


def _watch(followers: list[_Follower], over: threading.Event, lost: Callable[[Exception], None]) -> None:
    while not over.wait(LOOK_S):
        for follower in list(followers):
            end = follower.ended()
            if end is not None and isinstance(end.error, Died):
                lost(end.error)
                return
