"""A checkpoint goes by way of the node's disk to the sweep's place, and is there whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatesweep.storage import place
from gatesweep.sweep.checkpoints import shelf

BELOW = "trials/t0003/a2-abcdef"


def _written(folder: Path, epoch: int) -> Path:
    checkpoint = folder / f"e{epoch:04d}"
    checkpoint.mkdir(parents=True)
    (checkpoint / "state.ckpt").write_bytes(b"weights %d" % epoch)
    (checkpoint / "COMMIT").write_text("{}")
    return checkpoint


@pytest.mark.parametrize("shared", [True, False])
def test_what_is_committed_comes_back_on_any_node(tmp_path: Path, shared: bool):
    sweep = tmp_path / "storage" / "sweeps" / "s"
    here = shelf(str(sweep), BELOW, tmp_path / "node1" if shared else None)
    name = here.commit(_written(here.folder, 4))
    assert name == f"{BELOW}/e0004"
    there = shelf(str(sweep), "trials/t0003/a3-123456", tmp_path / "node2" if shared else None)
    found = there.fetch(name)
    assert (found / "state.ckpt").read_bytes() == b"weights 4"
    assert (found / "COMMIT").exists()
    there.drop(name)
    assert place(sweep).names() == []


def test_the_nodes_disk_keeps_nothing_once_a_checkpoint_is_committed_and_the_attempt_over(tmp_path: Path):
    here = shelf(str(tmp_path / "sweep"), BELOW, tmp_path / "node")
    name = here.commit(_written(here.folder, 1))
    here.fetch(name)
    here.close()
    assert [path for path in (tmp_path / "node").rglob("*") if path.is_file()] == []
    assert place(tmp_path / "sweep").exists(f"{name}/COMMIT")


def test_logs_of_before_name_checkpoints_by_their_whole_path(tmp_path: Path):
    old = _written(tmp_path / "home" / "sweeps" / "s" / "trials" / "t0000", 2)
    here = shelf(str(tmp_path / "home" / "sweeps" / "s"), BELOW, None)
    assert here.fetch(str(old)) == old
