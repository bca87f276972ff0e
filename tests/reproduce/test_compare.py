"""compare: what differs between runs, whether their scores can be held against one another, and whether it is luck."""

from __future__ import annotations

import hashlib
import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from command_line import call
from scipy import stats

import gatesweep
from gatesweep.errors import EXIT_USER, ConfigError, NotFound
from gatesweep.reproduce.compare import compare
from gatesweep.reproduce.differences import ABSENT
from gatesweep.reproduce.group import TAG, group_of
from gatesweep.reproduce.scores import score
from gatesweep.reproduce.sides import Member
from gatesweep.runs.experiment import experiment_from
from gatesweep.runs.training import run
from gatesweep.track.store import Point, StoredRun


@pytest.fixture(scope="module")
def groups(train, toy) -> list[list[str]]:
    """Three seeds of two configurations, tagged as `gatesweep seeds` does."""
    found = []
    for hidden_size in (4, 16):
        tags = {TAG: group_of(toy(model={"hidden_size": hidden_size}).as_dict())}
        found.append([train(model={"hidden_size": hidden_size}, seed=seed, tags=tags) for seed in (1, 2, 3)])
    return found


def test_two_groups_are_paired_by_seed_and_only_their_differences_shown(store, groups) -> None:
    (small, *_), (large, *_) = groups
    found = compare([f"seeds:{small}", f"seeds:{large}"], store)
    assert (found.metric, found.mode, found.comparable) == ("test/mae", "min", True)
    assert found.config.index.tolist() == ["model.hidden_size"]
    assert found.config.iloc[0].tolist() == [4, 16]
    assert found.environment.empty
    assert found.data.empty
    (test,) = found.tests
    expected = [[store.get_run(run_id).metrics["test/mae"] for run_id in group] for group in groups]
    assert test.found.seeds == (1, 2, 3)
    assert test.found.p == pytest.approx(stats.ttest_rel(*expected).pvalue)
    assert test.found.difference == pytest.approx(np.mean(expected[0]) - np.mean(expected[1]))
    assert found.paired.loc[0, ["n", "verdict"]].tolist() == [3, test.found.verdict]
    mae = found.scores[found.scores.metric == "test/mae"]
    assert mae.value.tolist() == [*expected[0], *expected[1]]
    assert mae.seed.tolist() == [1, 2, 3, 1, 2, 3]
    assert found.curve_metric == "val/mae"
    assert [len(curve.runs) for curve in found.curves] == [3, 3]


def test_two_plain_runs_of_groups_are_told_to_compare_the_groups(store, groups) -> None:
    (small, *_), (large, *_) = groups
    (test,) = compare([small, large], store).tests
    assert test.found is None
    assert "they have the seed 1 alone in common" in test.sentence
    assert test.hint == f"gatesweep compare seeds:{small} seeds:{large}"


def test_runs_without_a_group_are_told_how_to_get_seeds_that_both_have(store, train) -> None:
    one, other = train(model={"hidden_size": 5}), train(model={"hidden_size": 6}, seed=7)
    (test,) = compare([one, other], store).tests
    assert "they have no seed in common" in test.sentence
    assert test.hint == (f"gatesweep seeds {one} --n 5; gatesweep seeds {other} --n 5 --set seed=1; "
                         f"then gatesweep compare seeds:{one} seeds:{other}")  # fmt: skip
    (alike,) = compare([one, train(model={"hidden_size": 5}, seed=2)], store).tests
    assert "differ in their seed alone" in alike.hint


def test_a_validation_score_is_the_best_epochs_not_the_last(store, train) -> None:
    run = store.get_run(train(optimizer={"lr": 0.3}, trainer={"max_epochs": 8}))
    history = {point.step: point.value for point in store.history(run.run_id, "val/mae")}
    assert min(history, key=history.get) < 8, "the test needs a training whose best epoch is not its last"
    member = Member(run, json.loads(store.artifact(run.run_id, "lock.json").read_text()), locked=True)
    assert score(member, "val/mae", store) == min(history.values())
    untagged = Member(StoredRun(**{**vars(run), "tags": {}}), member.lock, locked=True)  # of a sweep's trial
    assert score(untagged, "val/mae", store) == min(history.values())


def test_other_data_settings_are_said_to_be_not_comparable_and_no_test_is_made(store, train) -> None:
    found = compare([train(), train(data={"examples": 48})], store, metric="val/mae")
    assert not found.comparable
    assert found.tests[0].found is None
    assert "scores are not comparable; data.examples decides what is scored: it is 32 and 48" in found.tests[0].sentence
    assert found.scores.metric.tolist().count("val/mae") == 2  # the numbers are shown all the same


def test_runs_of_different_tasks_have_their_settings_compared_and_their_scores_not(store, train) -> None:
    raw = {"task": "synthetic", "data": {"problem": "adding", "length": 4, "train": 32, "val": 16, "test": 16},
           "model": {"hidden_size": 4}, "trainer": {"max_epochs": 1}}  # fmt: skip
    other = run(experiment_from(raw, place="test"), store).run_id
    found = compare([train(), other], store)
    assert found.metric == "test/loss"
    assert "the tasks differ: toy_task:ToyTask and synthetic" in found.tests[0].sentence
    assert "task" in found.config.index
    assert not found.comparable


def test_a_dirty_tree_and_another_package_are_environment(store, train) -> None:
    one, other = train(), train(seed=2)
    copy = train(seed=2, fresh=True)
    lock = json.loads(store.artifact(other, "lock.json").read_text())
    lock["packages"]["numpy"] = "0.0.1"
    lock["code"] |= {"commit": "abc", "dirty": True, "patch": True}
    lock["code"]["patch_sha256"] = hashlib.sha256(b"+ a line\n").hexdigest()
    store.write_text(copy, "lock.json", json.dumps(lock))
    store.write_text(copy, "diff.patch", "+ a line\n")
    altered = compare([one, copy], store)
    assert any("has a lock.json that was altered" in note for note in altered.notes)
    assert altered.environment.empty, "an altered lock is not believed"
    store.log_batch(copy, tags={"gatesweep.lock_sha256": hashlib.sha256(json.dumps(lock).encode()).hexdigest()})
    shown = compare([one, copy], store).environment
    assert shown.loc["packages.numpy"].tolist()[1] == "0.0.1"
    assert str(shown.loc["code.patch"].tolist()[1]).startswith("sha256 ")
    assert {"code.commit", "code.dirty"} <= set(shown.index)


# ---- runs that are not over, or somebody else's


def _foreign(store, **metrics: float) -> str:
    run = store.create_run(store.experiment("foreign"), "foreign", {}, 1)
    store.log_batch(run.run_id, [Point(key, value, 1, 1) for key, value in metrics.items()], {"lr": "0.1"})
    store.set_terminated(run.run_id, "FINISHED", 2)
    return run.run_id


def test_a_run_of_another_program_is_compared_as_far_as_it_is_known(store, train) -> None:
    foreign = _foreign(store, **{"val/mae": 0.5})
    found = compare([train(), foreign], store)
    assert any(f"run {foreign[:8]} has no lock.json" in note for note in found.notes)
    assert found.environment.empty
    assert found.config.loc["lr"].tolist() == [ABSENT, 0.1]
    assert any("not every run has test/mae" in note for note in found.notes)
    assert found.metric == "val/mae"
    assert not found.comparable
    with pytest.raises(NotFound):
        compare([train(), f"seeds:{foreign}"], store)


def test_runs_without_a_metric_in_common_are_compared_without_scores(store, train, tmp_path: Path) -> None:
    found = compare([train(), _foreign(store, rmse=1.0)], store)
    assert (found.metric, found.tests, found.curves) == (None, (), ())
    assert "no metric of val or test in common" in found.notes[-1]
    assert sorted(path.name for path in found.write(tmp_path / "out").iterdir()) == ["compare.md", "scores.csv"]


@pytest.mark.parametrize("status", ["RUNNING", "FAILED"])
def test_a_run_that_is_not_completed_is_said_to_be_so(store, train, status: str) -> None:
    unfinished = train(seed=11, fresh=True)
    store.log_batch(unfinished, tags={"gatesweep.outcome": "failed" if status == "FAILED" else ""})
    store.reopen(unfinished) if status == "RUNNING" else store.set_terminated(unfinished, status, 9)
    found = compare([train(), unfinished], store)
    said = "failed" if status == "FAILED" else "RUNNING"
    assert any(f"run {unfinished[:8]} is {said}" in note for note in found.notes)


# ---- bad input, and the command line


def test_one_run_alone_one_twice_none_and_a_missing_metric_are_refused(store, train) -> None:
    one, other = train(), train(seed=2)
    with pytest.raises(ConfigError, match="one run alone"):
        compare([one], store)
    with pytest.raises(ConfigError, match="are the same"):
        compare([one, one], store)
    with pytest.raises(NotFound, match="no run 'nonsense'"):
        compare([one, "nonsense"], store)
    with pytest.raises(ConfigError, match="'val/mea' is not a metric") as wrong:
        compare([one, other], store, metric="val/mea")
    assert "did you mean 'val/mae'?" in wrong.value.hint
    assert "they share test/loss, test/mae" in wrong.value.hint


def test_the_command_prints_one_object_and_writes_a_page_a_table_and_curves(capsys, monkeypatch, home, groups) -> None:
    (small, *_), (large, *_) = groups
    code, out, _ = call(capsys, monkeypatch, "compare", f"seeds:{small}", f"seeds:{large}", "--json")
    assert code == 0
    told = json.loads(out)
    assert told["tests"][0]["test"]["n"] == 3
    assert told["config"] == [{"key": "model.hidden_size",
                               "values": {f"seeds:{small[:8]}": 4, f"seeds:{large[:8]}": 16}}]  # fmt: skip
    assert told["scores"]["test/mae"][f"seeds:{small[:8]}"]["sd"] > 0
    assert told["runs"][0]["seeds"] == [1, 2, 3]
    folder = Path(told["folder"])
    assert folder.parent == home / "comparisons"
    assert {path.name for path in folder.iterdir()} == {"compare.md", "scores.csv", "curves.svg"}
    assert "| model.hidden_size | 4 | 16 |" in (folder / "compare.md").read_text()
    assert ElementTree.parse(told["curves"]).getroot().tag.endswith("svg")


def test_the_terminal_shows_the_answer_and_only_what_differs(capsys, monkeypatch, tmp_path, groups) -> None:
    (small, *_), (large, *_) = groups
    code, out, _ = call(capsys, monkeypatch, "compare", small, large, "--metric", "val/mae", "--out", "here")
    assert code == 0
    assert "no test is possible" in out
    assert "model.hidden_size" in out
    assert "model.dropout" not in out
    assert "environment: no difference" in out
    assert (tmp_path / "here" / "curves.svg").is_file()


@pytest.mark.parametrize(("words", "message"), [
    (["{one}"], "one run alone"),
    (["{one}", "0" * 32], "no run '00000000000000000000000000000000'"),
    (["{one}", "seeds:"], "no run ''"),
    (["{one}", "best:nothing-20260101-abcdef"], "no sweep 'nothing-20260101-abcdef'"),
    (["{one}", "{two}", "--metric", "val/bleu"], "'val/bleu' is not a metric of"),
    (["{one}", "{two}", "--out", "a/b"], "a/b: its folder is not there"),
    (["{one}", "{two}", "--out", "file"], "file: is a file"),
])  # fmt: skip
def test_bad_input_is_one_message_and_exit_2_and_writes_nothing(
    capsys, monkeypatch, tmp_path, home, train, words, message
) -> None:
    ids = {"one": train(), "two": train(seed=2)}
    (tmp_path / "file").touch()
    before = sorted((home / "comparisons").glob("*"))
    code, out, err = call(capsys, monkeypatch, "compare", "--json", *(word.format(**ids) for word in words))
    assert (code, out) == (EXIT_USER, "")
    assert message in err
    assert "Traceback" not in err
    assert sorted((home / "comparisons").glob("*")) == before
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_package_has_compare_and_writes_where_it_is_told(tmp_path: Path, train) -> None:
    one, other = train(), train(seed=2)
    found = gatesweep.compare(one, other, metric="val/mae", out=tmp_path / "out")
    assert found.metric == "val/mae"
    assert found.config.index.tolist() == ["seed"]
    rows = (tmp_path / "out" / "scores.csv").read_text().splitlines()
    assert rows[0] == "metric,side,run_id,seed,value"
    assert len(rows) == 1 + len(found.scores)
