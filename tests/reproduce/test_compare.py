"""compare: what differs between runs, whether their scores can be held against one another, and whether it is luck."""

from __future__ import annotations

import hashlib
import json
import math
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import call
from scipy import stats

import gatesweep
from gatesweep.data.pins import digest_of
from gatesweep.data.versions import Changes, changes, listing_of
from gatesweep.errors import EXIT_USER, ConfigError, DataError, NotFound
from gatesweep.report.overlay import Curve, draw, mean_of, overlay_svg
from gatesweep.reproduce.comparable import TRAINING_ONLY, why_not
from gatesweep.reproduce.compare import compare
from gatesweep.reproduce.data_changes import data_changes
from gatesweep.reproduce.differences import ABSENT, ENVIRONMENT, differences
from gatesweep.reproduce.group import TAG, group_of
from gatesweep.reproduce.paired import paired, sentence
from gatesweep.reproduce.scores import mode_of, score
from gatesweep.reproduce.sides import Member, Side
from gatesweep.runs.experiment import experiment_from
from gatesweep.runs.training import run
from gatesweep.tasks.registry import TASKS, data_section
from gatesweep.track.store import Point, StoredRun

# ---- differences of two locks


def _lock(**parts: Any) -> dict[str, Any]:
    return {"code": {"commit": "c0", "branch": "main", "dirty": False}, "config": {"seed": 1}, "data": [],
            "python": "CPython 3.11", "packages": {"numpy": "2.4"}, "machine": {"cpu": "A", "memory_bytes": 1},
            "torch": {"threads": 1}, "environment": {}, **parts}  # fmt: skip


def test_differences_name_each_key_that_is_not_the_same_and_no_other() -> None:
    now = _lock(
        code={"commit": "c1", "branch": "other", "dirty": False},
        config={"seed": 1, "name": "renamed", "optimizer": {"lr": 0.1}},
        data=[{"name": "traffic", "md5": "aa.dir"}],
        packages={"numpy": "2.5"},
        machine={"cpu": "A", "memory_bytes": 2},
        environment={"OMP_NUM_THREADS": "2"},
    )
    found = {each.key: (each.part, each.was, each.now) for each in differences(_lock(), now)}
    assert found == {
        "optimizer.lr": ("config", ABSENT, 0.1),
        "data.traffic": ("data", ABSENT, "aa.dir"),
        "code.commit": ("code", "c0", "c1"),
        "packages.numpy": ("packages", "2.4", "2.5"),
        "environment.OMP_NUM_THREADS": ("environment", ABSENT, "2"),
    }
    assert {each.part for each in differences(_lock(), now, ENVIRONMENT)} == {"code", "packages", "environment"}
    assert differences(_lock(), now)[0].as_dict() == {"part": "config", "key": "optimizer.lr", "now": 0.1}


def test_one_is_not_true_and_is_one_point_zero_and_none_is_not_absent() -> None:
    def keys(was: Any, now: Any) -> list[str]:
        return [each.key for each in differences(_lock(config=was), _lock(config=now))]

    assert keys({"a": 1, "b": 1, "c": None}, {"a": 1.0, "b": True}) == ["b", "c"]


def test_of_long_lists_of_flags_only_what_not_both_have_is_shown() -> None:
    flags = [f"f{number}" for number in range(40)]
    (found,) = differences(_lock(machine={"cpu_flags": flags}), _lock(machine={"cpu_flags": [*flags[1:], "avx512f"]}))
    assert (found.was, found.now) == (["f0"], ["avx512f"])


# ---- the paired test


def test_the_paired_test_equals_student_s_formula() -> None:
    a = {1: 0.50, 2: 0.55, 3: 0.47, 4: 0.52, 5: 0.58, 9: 4.0}
    b = {1: 0.45, 2: 0.49, 3: 0.46, 4: 0.45, 5: 0.50, 8: 0.1}
    found = paired(a, b, "min")
    assert found is not None
    gains = np.array([a[seed] - b[seed] for seed in (1, 2, 3, 4, 5)])
    error = gains.std(ddof=1) / math.sqrt(5)
    half = stats.t.ppf(0.975, 4) * error
    assert found.seeds == (1, 2, 3, 4, 5)
    assert found.difference == pytest.approx(gains.mean())
    assert (found.low, found.high) == pytest.approx((gains.mean() - half, gains.mean() + half))
    assert found.margin == pytest.approx(half)
    assert found.p == pytest.approx(2 * stats.t.sf(gains.mean() / error, 4))
    assert found.verdict == "better"
    told = sentence("x", "y", "test/mae", found)
    assert "y is better than x by 0.054 ± 0.0" in told
    assert "over 5 seeds" in told
    assert f"p = {found.p:.2g}" in told


def test_more_is_worse_or_better_by_the_metrics_mode_and_neither_where_nobody_knows() -> None:
    a, b = {1: 1.0, 2: 2.0, 3: 3.0}, {1: 2.0, 2: 3.1, 3: 4.0}
    said = {mode: paired(a, b, mode).verdict for mode in ("min", "max", None)}
    assert said == {"min": "worse", "max": "better", None: "differs"}
    assert paired(a, b, None).difference == pytest.approx(1.0333333)


def test_differences_that_scatter_around_nothing_show_none() -> None:
    found = paired({1: 1.0, 2: 2.0, 3: 3.0}, {1: 1.1, 2: 1.9, 3: 3.05}, "min")
    assert found.verdict == "undecided"
    assert found.low < 0 < found.high
    assert f"b is worse than a by 0.01667 ± {found.margin:.2g} (95 % interval {-found.high:.4g} to" in sentence(
        "a", "b", "m", found)  # fmt: skip
    assert "no difference shown over 3 seeds" in sentence("a", "b", "m", found)


def test_fewer_than_two_common_seeds_give_no_test_and_equal_differences_no_p() -> None:
    assert paired({1: 1.0, 2: 2.0}, {2: 2.0, 3: 1.0}, "min") is None
    assert paired({1: 1.0, 2: math.nan}, {1: 2.0, 2: 3.0}, "min") is None
    same = paired({1: 1.0, 2: 2.0}, {1: 1.5, 2: 2.5}, "min")
    assert (same.p, same.t, same.difference, same.verdict) == (None, None, -0.5, "worse")
    assert "worse than a by 0.5 with every one of 2 seeds" in sentence("a", "b", "m", same)
    assert "are equal" in sentence("a", "b", "m", paired({1: 1.0, 2: 2.0}, {1: 1.0, 2: 2.0}, "min"))


# ---- what is comparable


def _member(task: str, pins: list[tuple[str, str]] = (), trainer: dict | None = None, **data: Any) -> Member:
    run = StoredRun("r" * 32, "1", "n", "FINISHED", 0, 1, "", {}, {}, {})
    config = {"task": task, "data": data, "trainer": trainer or {}}
    return Member(run, _lock(config=config, data=[{"name": n, "md5": m} for n, m in pins]), locked=True)


def _why(one: Member, other: Member, metric: str = "test/mae") -> list[str]:
    return why_not(Side("a", "a", (one,)), Side("b", "b", (other,)), metric)


def test_other_pins_other_tasks_and_other_examples_are_not_comparable() -> None:
    base = _member("forecasting", [("traffic", "aa.dir")], horizon=24, lookback=168, seasonal=[24, 168])
    other = _member("forecasting", [("traffic", "bb.dir")], horizon=24, lookback=168, seasonal=[24, 168])
    assert _why(base, other) == ["the data differ: 'traffic' is aa.dir and bb.dir"]
    assert _why(base, _member("music")) == ["the tasks differ: forecasting and music"]
    longer = _member("forecasting", [("traffic", "aa.dir")], horizon=48, lookback=168, seasonal=[24, 168])
    assert _why(base, longer) == ["data.horizon decides what is scored: it is 24 and 48"]


def test_what_only_training_sees_leaves_scores_comparable() -> None:
    def forecast(**data: Any) -> Member:
        return _member("forecasting", [("traffic", "aa.dir")], **{"lookback": 48, "seasonal": [24, 168], **data})

    assert _why(forecast(), forecast(stride=4, jitter=0.1, calendar=[])) == []
    assert _why(forecast(), forecast(lookback=168)) == []  # the same windows: ForecastingData.history
    assert len(_why(forecast(), forecast(lookback=169))) == 1
    assert _why(forecast(loss="mse"), forecast(loss="mae")) == []
    assert len(_why(forecast(loss="mse"), forecast(loss="mae"), "test/loss")) == 1
    assert len(_why(forecast(scores="standardised", scaler="robust"),
                    forecast(scores="standardised", scaler="standard"))) == 1  # fmt: skip
    assert _why(forecast(), forecast(eval_stride=1)) == []  # a run of before the field was there
    assert len(_why(forecast(), forecast(eval_stride=4))) == 1


def test_weights_that_a_model_starts_from_are_not_what_it_is_scored_on() -> None:
    base = [("reviews", "aa.dir")]
    started = _member("sequence_classification", [*base, ("init_from", "ff"), ("minilm", "ee.dir")])
    assert _why(_member("sequence_classification", base), started, "test/accuracy") == []
    own = "toy_task:ToyTask"
    assert _why(_member(own, base), _member(own, [*base, ("init_from", "ff")])) == []
    assert len(_why(_member(own, base), _member(own, [*base, ("more", "ee.dir")]))) == 1


def test_an_own_task_names_what_only_its_training_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    import toy_task

    one, other = (_member("toy_task:ToyTask", examples=32, pause_s=pause_s) for pause_s in (0.0, 0.1))
    assert len(_why(one, other)) == 1
    monkeypatch.setattr(toy_task.ToyData, "training_only", frozenset({"pause_s"}), raising=False)
    assert _why(one, other) == []


@pytest.mark.parametrize("task", TASKS)
def test_every_field_that_is_called_training_only_is_one_of_the_tasks(task: str) -> None:
    assert TRAINING_ONLY[task] <= set(data_section(task).model_fields)


@pytest.mark.parametrize(("task", "metric", "trainer", "mode"), [
    ("forecasting", "test/mae", {}, "min"), ("forecasting", "val/direction", {}, "max"),
    ("forecasting", "test/coverage", {}, None), ("translation", "test/beam_bleu", {}, "max"),
    ("forecasting", "test/nonsense", {}, None), ("music", "time/epoch_s", {}, "min"),
    ("toy_task:ToyTask", "test/score", {"monitor": "val/score", "mode": "max"}, "max"),
    ("toy_task:ToyTask", "train/loss", {"monitor": "val/loss", "mode": "max"}, "min"),
    ("toy_task:ToyTask", "val/other", {"monitor": "val/score", "mode": "max"}, None),
])  # fmt: skip
def test_which_end_of_a_metric_is_better(task: str, metric: str, trainer: dict[str, str], mode: str | None) -> None:
    assert mode_of(metric, _member(task, trainer=trainer)) == mode


# ---- versions of data


def test_files_added_removed_and_altered_are_told_from_two_listings_of_the_cache(tmp_path: Path) -> None:
    was, now = {"a": "0" * 32, "b": "1" * 32}, {"b": "2" * 32, "c": "3" * 32}
    for files in (was, now):
        md5 = digest_of(files)
        place = tmp_path / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps([{"md5": files[path], "relpath": path} for path in sorted(files)]))
    found = [listing_of("own", digest_of(files), tmp_path / "data" / "own", tmp_path) for files in (was, now)]
    assert changes(*found) == Changes(added=("c",), removed=("a",), altered=("b",))


def test_a_folder_that_still_has_the_digest_is_its_own_listing_and_one_that_has_not_is_none(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "x.txt").write_text("x")
    md5s = {"x.txt": hashlib.md5(b"x").hexdigest()}
    assert listing_of("own", digest_of(md5s), folder, None) == md5s
    (folder / "x.txt").write_text("y")
    with pytest.raises(DataError, match="neither in DVC's cache nor that of the files at hand, and there is no DVC"):
        listing_of("own", digest_of(md5s), folder, None)


def test_a_listing_is_fetched_from_the_dvc_remote_and_its_files_are_not(tmp_path: Path) -> None:
    files = {"a": "0" * 32}
    md5 = digest_of(files)
    shelf = tmp_path / "remote" / "files" / "md5" / md5[:2]
    shelf.mkdir(parents=True)
    (shelf / md5[2:]).write_text(json.dumps([{"md5": "0" * 32, "relpath": "a"}]))
    root = tmp_path / "root"
    (root / ".dvc").mkdir(parents=True)
    remote = f"['remote \"r\"']\nurl = {tmp_path}/remote\n"
    (root / ".dvc" / "config").write_text(f"[core]\nremote = r\nno_scm = true\n{remote}")
    assert listing_of("own", md5, root / "data" / "own", root) == files
    absent = digest_of({"b": "0" * 32})
    with pytest.raises(DataError, match=f"does not hold {absent}"):
        listing_of("own", absent, root / "data" / "own", root)


def test_a_set_of_which_two_runs_have_other_versions_is_told_file_by_file_or_why_not(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "x.txt").write_text("x")
    md5 = digest_of({"x.txt": hashlib.md5(b"x").hexdigest()})

    def side(name: str, *pins: dict[str, str]) -> Side:
        return Side(name, name, (Member(_member("t").run, _lock(data=list(pins)), locked=True),))

    here = {"name": "own", "md5": md5, "path": str(folder)}
    gone = {"name": "own", "md5": f"{'0' * 32}.dir", "path": str(folder)}
    files = [{"name": "a.csv", "md5": digit * 32, "path": "a.csv"} for digit in "12"]
    assert data_changes([side("a", here), side("b", here)], None) == []
    lost, single = data_changes([side("a", here, files[0]), side("b", gone, files[1])], None)
    assert lost.files is None
    assert "only the digests are known: the listing of 000000" in lost.lines()[0]
    assert single.files == Changes((), (), ("a.csv",))
    assert single.lines()[1] == "  altered  a.csv"
    (alone,) = data_changes([side("a", here), side("b")], None)
    assert (alone.was, alone.now, alone.why) == (md5, None, "one of them alone uses it")


# ---- the picture


def test_curves_of_a_group_are_thin_lines_and_their_mean_where_all_have_a_value() -> None:
    assert mean_of([{1: 1.0, 2: 2.0, 3: 9.0}, {1: 3.0, 2: 4.0}]) == {1: 2.0, 2: 3.0}
    figure = draw([Curve("a", [{1: 1.0, 2: math.nan, 3: 2.0}]), Curve("b", [{1: 1.0, 2: 2.0}, {1: 3.0, 2: 4.0}])], "m$")
    (axes,) = figure.axes
    assert [len(line.get_xdata()) for line in axes.lines] == [2, 2, 2, 2]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b, mean of 2"]
    svg = overlay_svg([Curve("a", [{1: 1.0, 2: 2.0}])], "val/$x")
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert svg == overlay_svg([Curve("a", [{1: 1.0, 2: 2.0}])], "val/$x")


# ---- real runs


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
    assert "both have the seed 1 alone" in test.sentence
    assert test.hint == f"gatesweep compare seeds:{small} seeds:{large}"


def test_runs_without_a_group_are_told_how_to_get_seeds_that_both_have(store, train) -> None:
    one, other = train(model={"hidden_size": 5}), train(model={"hidden_size": 6}, seed=7)
    (test,) = compare([one, other], store).tests
    assert "both have no seed" in test.sentence
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
    store.write_text(copy, "lock.json", json.dumps(lock))
    store.write_text(copy, "diff.patch", "+ a line\n")
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
