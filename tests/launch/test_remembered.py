"""A sweep that was submitted long ago: rules may have become stricter since, and its cluster may have moved."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import call
from fakes import make_spec

from gatesweep.errors import ConfigError
from gatesweep.launch.clean import look
from gatesweep.launch.followed import find
from gatesweep.launch.mend import clusters
from gatesweep.launch.sections import ClusterConfig
from gatesweep.launch.submitted import Attempt, Submitted, file_of, ids, remember

Make = Callable[..., ClusterConfig]


@pytest.fixture
def refused(ray_cluster: Make, own_home: Path) -> Path:
    """Two submissions; the address of the older one's cluster is one that nobody would admit today."""
    for sweep_id in ("old", "new"):
        spec = make_spec().as_dict()
        remember(Submitted(sweep_id, sweep_id, ray_cluster(), spec, (Attempt(1, f"{sweep_id}-a1", "now"),)), own_home)
    file = file_of("old", own_home)
    said = json.loads(file.read_text())
    said["cluster"]["address"] = "ray://head:10001"
    file.write_text(json.dumps(said))
    return file


def test_list_shows_the_others_and_says_which_sweep_is_unreadable_and_why(
    refused: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    code, out, err = call(capsys, monkeypatch, "list")
    assert code == 0
    assert [line.split()[:2] for line in sorted(out.splitlines()[1:])] == [["new", "sent"], ["old", "unreadable"]]
    assert "old: " in err
    assert "'ray://head:10001' is no address of a job server" in err
    rows = {row["sweep_id"]: row for row in json.loads(call(capsys, monkeypatch, "list", "--json")[1])["sweeps"]}
    assert "is no address of a job server" in rows["old"]["reason"]
    assert "reason" not in rows["new"]


def test_a_damaged_memory_does_not_end_list_either(
    refused: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    refused.write_text('{"half')
    code, out, err = call(capsys, monkeypatch, "list")
    assert (code, "new" in out) == (0, True)
    assert "is no record of a submission" in err


def test_status_says_what_is_wrong_and_that_a_clusters_file_gives_the_new_address(
    refused: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    code, out, err = call(capsys, monkeypatch, "status", "old", "--json")
    assert (code, out) == (2, "")
    assert "its cluster is refused today: address: 'ray://head:10001' is no address of a job server" in err
    assert "hint: " in err
    assert "--cluster configs/clusters/ray.yaml" in err


def test_with_the_new_address_the_sweep_is_followed_with_all_that_is_remembered_of_it(
    refused: Path, ray_cluster: Make, own_home: Path, tmp_path: Path
) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text(json.dumps(ray_cluster(address="http://127.0.0.1:8").as_dict()))
    found = find("old", own_home, file)
    assert found.cluster is not None
    assert found.cluster.as_dict()["address"] == "http://127.0.0.1:8"
    assert found.attempt == Attempt(1, "old-a1", "now")
    file.write_text(json.dumps(ray_cluster(storage="/elsewhere").as_dict()))
    with pytest.raises(ConfigError, match="storage: is /elsewhere, and the sweep lies in"):
        find("old", own_home, file)


def test_cleaning_and_mending_leave_it_alone_and_say_so(refused: Path, own_home: Path) -> None:
    said: list[str] = []
    look(own_home, (), older_than_s=0.0, everything_too=False, force=True, say=said.append)
    assert [cluster.name for cluster in clusters(own_home, said.append)] == ["lab"]
    assert [line.startswith("old: left alone: ") for line in said] == [True, True]
    assert set(ids(own_home)) == {"old", "new"}
