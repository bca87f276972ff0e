"""One run's recorder: each value once, none lost, training never waits, whatever the tracker does."""

from __future__ import annotations

import json
import time
from math import isnan
from typing import Any

import pytest

from gatesweep.track import addresses as names
from gatesweep.track.lineage import Lock
from gatesweep.track.memory import MemoryRecorder
from gatesweep.track.recorder import MlflowRecorder, resend, start_run
from gatesweep.track.store import Store
from gatesweep.train.recorder import Recorder

from .conftest import MD5, Data
from .history import LOCK
from .test_projection import Unsteady
from .test_projector import Away

CONFIG = {"task": "forecasting", "model": {"cell": "gru", "hidden_size": 8}, "seed": 1, "tags": ["a"]}
RUN_LOCK = LOCK.with_config(CONFIG, {"seed": 1})


def begin(store: Any, **options: Any) -> str:
    return start_run(store, name="traffic", config=CONFIG, lock=RUN_LOCK, datasets=[Data()], **options)


def record(recorder: Recorder, epochs: range) -> None:
    for epoch in epochs:
        recorder.epoch(epoch, {"val/mae": 1.0 / epoch, "time/epoch_s": 2.0}, 1_700_000_000_000 + epoch)


def values(store: Store, run_id: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in store.history(run_id, "val/mae")]


def test_a_started_run_has_parameters_tags_data_and_lineage(store: Store) -> None:
    parent = begin(store)
    run = store.get_run(begin(store, note="a **try**", tags={"mine": "1"}, parent=parent))
    assert run.params == {"task": "forecasting", "model.cell": "gru", "model.hidden_size": "8", "seed": "1",
                          "tags": '["a"]'}
    assert run.datasets == {"traffic": MD5}
    assert run.tags | {names.NOTE: "a **try**", names.PARENT: parent, "mine": "1", names.KIND: "run",
                       names.CONFIG_DIGEST: RUN_LOCK.config_digest, names.DATA_MD5: MD5,
                       names.COMMIT: "c0ffee", names.RUN_NAME: "traffic"} == run.tags
    assert run.status == "RUNNING"
    assert json.loads(store.artifact(run.run_id, "lock.json").read_text())["config"] == CONFIG
    assert store.artifact(run.run_id, "diff.patch").read_text() == LOCK.diff


def test_a_clean_tree_leaves_no_patch_and_a_long_value_is_cut_and_said(store: Store) -> None:
    config = {**CONFIG, "story": "x" * 7000}
    lock = Lock(config=config, tree=type(LOCK.tree)(commit="c0ffee", dirty=False))
    run = store.get_run(start_run(store, name="traffic", config=config, lock=lock))
    assert len(run.params["story"]) == 6000
    assert run.tags[names.SHORTENED] == "story"
    assert not (store.artifact(run.run_id, "config.yaml").parent / "diff.patch").exists()


@pytest.mark.parametrize(("outcome", "status"), [("completed", "FINISHED"), ("pruned", "FINISHED"),
                                                 ("failed", "FAILED"), ("stopped", "KILLED")])
def test_an_outcome_closes_the_run_with_its_status(store: Store, outcome: str, status: str) -> None:
    run_id = begin(store)
    recorder: Recorder = MlflowRecorder(store, run_id)
    record(recorder, range(1, 4))
    recorder.close(outcome, "because")
    run = store.get_run(run_id)
    assert (run.status, run.tags[names.OUTCOME], run.tags[names.REASON]) == (status, outcome, "because")
    assert values(store, run_id) == [(1, 1.0), (2, 1 / 2), (3, 1 / 3)]


def test_nan_is_recorded_as_nan(store: Store) -> None:
    run_id = begin(store)
    recorder = MlflowRecorder(store, run_id)
    recorder.epoch(1, {"val/mae": float("nan")}, 1)
    recorder.close("failed")
    assert isnan(values(store, run_id)[0][1])


def test_an_acknowledged_value_is_not_sent_again(store: Store) -> None:
    counting = Unsteady(store)
    run_id = begin(store)
    recorder = MlflowRecorder(counting, run_id)  # type: ignore[arg-type]
    for epoch in range(1, 4):
        record(recorder, range(epoch, epoch + 1))
        ends = time.monotonic() + 10
        while recorder._box and time.monotonic() < ends:
            time.sleep(0.005)
    recorder.close("completed")
    assert counting.calls == ["log_batch"] * 4 + ["set_terminated"]  # one per epoch, and the closing tags


@pytest.mark.parametrize("after", [False, True], ids=["refused", "answer lost"])
def test_a_batch_that_failed_is_sent_again_and_is_one_row_each(store: Store, after: bool) -> None:
    run_id = begin(store)
    recorder = MlflowRecorder(Unsteady(store, 0, after=after), run_id)  # type: ignore[arg-type]
    record(recorder, range(1, 3))
    recorder.close("completed")
    assert values(store, run_id) == [(1, 1.0), (2, 0.5)]
    assert store.get_run(run_id).status == "FINISHED"


def test_a_tracker_that_dies_during_a_run_costs_no_time_and_no_value(store: Store) -> None:
    said: list[str] = []
    away, run_id = Away(store, hangs=True), begin(store)
    recorder = MlflowRecorder(away, run_id, say=said.append, deadline_s=0.3)  # type: ignore[arg-type]
    record(recorder, range(1, 3))
    away.gone.set()
    began = time.monotonic()
    record(recorder, range(3, 2000))
    assert time.monotonic() - began < 1
    recorder.close("completed")
    assert time.monotonic() - began < 3
    assert any(".jsonl" in line for line in said)
    away.released.set()
    recorder._thread.join(10)
    begin(store)  # the next run that reaches the store brings them along
    assert values(store, run_id) == [(epoch, 1.0 / epoch) for epoch in range(1, 2000)]
    assert store.get_run(run_id).status == "FINISHED"
    assert resend(store) == 0


def test_kept_values_go_to_their_own_store_alone(store: Store, fresh_home: Any) -> None:
    away, run_id = Away(store), begin(store)
    recorder = MlflowRecorder(away, run_id, deadline_s=0.1)  # type: ignore[arg-type]
    away.gone.set()
    record(recorder, range(1, 3))
    recorder.close("stopped")
    from gatesweep.track.store import open_store

    other = open_store(fresh_home("other"))
    other.home = store.home
    assert resend(other) == 0
    assert resend(store) == 4  # two metrics of two epochs
    assert store.get_run(run_id).status == "KILLED"


def test_a_resumed_run_takes_its_kept_values_along_and_ends_as_it_ends(store: Store) -> None:
    away, run_id = Away(store), begin(store)
    first = MlflowRecorder(away, run_id, deadline_s=0.1)  # type: ignore[arg-type]
    away.gone.set()
    record(first, range(1, 3))
    first.close("stopped")
    second = MlflowRecorder(store, run_id)
    record(second, range(1, 5))  # the first two again, from the run's own log
    second.close("completed")
    begin(store)
    assert values(store, run_id) == [(epoch, 1 / epoch) for epoch in range(1, 5)]
    assert store.get_run(run_id).status == "FINISHED"


def test_the_memory_recorder_holds_what_it_is_told() -> None:
    recorder = MemoryRecorder()
    same: Recorder = recorder
    record(same, range(1, 4))
    same.close("stopped", "enough")
    assert recorder.values("val/mae") == [1.0, 1 / 2, 1 / 3]
    assert recorder.metrics[2]["time/epoch_s"] == 2.0
    assert (recorder.outcome, recorder.reason) == ("stopped", "enough")
    with pytest.raises(ValueError, match="closed"):
        same.epoch(4, {}, 0)
