"""Configurations that the user wants tried first."""

import random
from pathlib import Path

import pytest
from fakes import drive, make_spec

from gatesweep.errors import ConfigError
from gatesweep.storage import place
from gatesweep.sweep.replay import replay
from gatesweep.sweep.spec import spec_from, startable

POINTS = [
    {"model.hidden_size": 64, "model.dropout": 0.1, "optimizer.name": "adamw", "optimizer.lr": "1e-3"},
    {"optimizer.name": "sgd", "optimizer.momentum": 0.9},
]


@pytest.mark.parametrize("search", ["tpe", "random", "qmc", "gp", "cmaes", "nsga2"])
def test_points_come_first_and_a_killed_search_goes_on_as_an_unkilled_one(tmp_path: Path, search):
    spec = make_spec(search={"name": search, "seed": 2, "points": POINTS}, failure={"retries": 99},
                     budget={"trials": 9, "concurrent": 1})  # fmt: skip
    calm, _ = drive(_dir(tmp_path, "calm"), spec, random.Random(0))
    wild, kills = drive(_dir(tmp_path, "wild"), spec, random.Random(0), crash=0.15)
    proposals = [[r["params"] for r in records if r["event"] == "new"] for records in (calm, wild)]
    assert kills > 1
    assert proposals[0] == proposals[1]
    assert proposals[0][0] == {**POINTS[0], "optimizer.lr": 1e-3}
    assert proposals[0][1].items() >= POINTS[1].items()
    assert set(proposals[0][1]) == set(spec.space)
    assert replay(place(tmp_path / "wild"))[1] == []


def test_a_spec_with_points_is_the_same_after_its_log(tmp_path: Path):
    spec = make_spec(search={"name": "tpe", "points": POINTS})
    assert spec_from(spec.as_dict(), place="log").search.points == spec.search.points


@pytest.mark.parametrize(
    ("point", "said"),
    [
        ({"optimizer.rate": 1}, r"search.points\[0\]: 'optimizer.rate' is no dimension"),
        ({"model.dropout": 0.7}, "0.7 is outside of its range"),
        ({"model.hidden_size": 64.5}, "64.5 is outside of its range"),
        ({"optimizer.name": "lion"}, "'lion' is none of its choices"),
        ({"optimizer.name": "adamw", "optimizer.momentum": 0.5}, "momentum: is not active in this point"),
    ],
)
def test_a_point_outside_of_the_space_is_refused(point, said):
    with pytest.raises(ConfigError, match=said):
        make_spec(search={"name": "tpe", "points": [point]})


def test_a_grid_takes_no_points():
    space = {"optimizer.name": {"choice": ["adamw", "sgd"]}}
    with pytest.raises(ConfigError, match=r"search\.points: .* does nothing with `search.name: grid`"):
        startable(make_spec(space=space, search={"name": "grid", "points": [{"optimizer.name": "sgd"}]}), "s.yaml")


def _dir(base: Path, name: str) -> Path:
    (base / name).mkdir()
    return base / name
