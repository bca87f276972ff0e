"""What a comparison is made of: differences of locks, the paired test, what is comparable, versions of data, curves."""

from __future__ import annotations

import hashlib
import json
import math
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from gatesweep.data.pins import digest_of
from gatesweep.data.versions import Changes, changes, listing_of
from gatesweep.errors import DataError
from gatesweep.report.overlay import Curve, draw, mean_of, overlay_svg
from gatesweep.reproduce.comparable import TRAINING_ONLY, why_not
from gatesweep.reproduce.data_changes import data_changes
from gatesweep.reproduce.differences import ABSENT, ENVIRONMENT, differences
from gatesweep.reproduce.paired import paired, sentence
from gatesweep.reproduce.scores import mode_of
from gatesweep.reproduce.sides import Member, Side
from gatesweep.tasks.registry import TASKS, data_section
from gatesweep.track.store import StoredRun

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


def test_of_a_part_that_one_lock_does_not_know_nothing_is_said() -> None:
    now = _lock(torch=None, packages={"numpy": "2.5"})
    assert [each.key for each in differences(_lock(), now)] == ["packages.numpy"]


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


def _member(task: str, pins: list[tuple[str, str]] = (), trainer: dict | None = None, metrics: dict | None = None,
            **data: Any) -> Member:
    run = StoredRun("r" * 32, "1", "n", "FINISHED", 0, 1, "", {}, {}, metrics or {})
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
    assert _why(forecast(loss="mse"), forecast(loss="mae"), "val/mae") == []
    assert _why(forecast(), forecast(eval_stride=1)) == []  # a run of before the field was there
    assert _why(forecast(), forecast(horizons=[])) == []
    assert len(_why(forecast(), forecast(eval_stride=4))) == 1


def test_what_may_decide_on_the_windows_did_not_where_the_baseline_scores_the_same() -> None:
    def forecast(baseline: float | None, **data: Any) -> Member:
        metrics = {} if baseline is None else {"baseline/test/mae": baseline, "baseline/val/mae": 1.0}
        return _member("forecasting", [("traffic", "aa.dir")], metrics=metrics, **{"covariates": [], **data})

    for field, value in (("covariates", ["temperature"]), ("lookback", 500), ("transform", "difference")):
        assert _why(forecast(9.5), forecast(9.5, **{field: value}), "test/rmse") == []
        assert len(_why(forecast(9.5), forecast(9.4, **{field: value}), "test/rmse")) == 1
        assert len(_why(forecast(None), forecast(9.5, **{field: value}))) == 1
    assert len(_why(forecast(9.5), forecast(9.5, transform="log"), "test/loss")) == 1


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
    with pytest.raises(DataError, match="neither that of the files at hand nor in the catalogue"):
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
    places = "neither that of the files at hand nor in DVC's cache and the DVC remote 'r'"
    with pytest.raises(DataError, match=f"{absent} is {places}"):
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
