"""gatesweep cells: what it lists, shows, builds and measures, and what it answers to a mistake."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gatesweep.cells.example import example_text
from gatesweep.cells.levels import portable
from gatesweep.cells.names import NAMES
from gatesweep.cells.variants import find
from gatesweep.cli import main
from gatesweep.cli.app import app
from gatesweep.errors import EXIT_USER

runner = CliRunner()


def _json(*arguments: str) -> dict:
    answer = runner.invoke(app, ["cells", *arguments, "--json"])
    assert answer.exit_code == 0, answer.output
    return json.loads(answer.stdout)


def _refused(capsys, monkeypatch, *arguments: str) -> str:
    monkeypatch.setattr(sys, "argv", ["gatesweep", "cells", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == EXIT_USER
    return capsys.readouterr().err


def test_the_list_has_every_cell_with_torchs_own_number_of_parameters():
    found = {each["cell"]: each for each in _json("list", "--input-size", "32", "--hidden-size", "48")["cells"]}
    assert list(found) == [*NAMES, "mlstm"]
    assert found["mlstm"]["parameters"] == (4 * 48 + 2) * (32 + 1)
    assert found["vanilla"]["parameters"] == 4 * 48 * (32 + 48 + 2)
    assert found["gru"]["parameters"] == 3 * 48 * (32 + 48 + 2)
    assert found["rnn"]["parameters"] == 48 * (32 + 48 + 2)


def test_the_table_names_every_cell():
    answer = runner.invoke(app, ["cells", "list"])
    assert answer.exit_code == 0
    assert [name for name in (*NAMES, "mlstm") if name not in answer.stdout] == []


def test_the_table_fits_80_columns_and_cuts_nothing(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = runner.invoke(app, ["cells", "list"]).stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert not [line for line in lines if "…" in line]
    rows = {line.split()[0]: line.split() for line in lines if line.strip()}
    assert rows["fgr"][-5:] == ["247,168", "493,440", "987,520", "Greff", "2017"]
    assert rows["mlstm"][1:10] == ["q", "k", "v", "i", "f", "o", "C", "n", "m"]


def test_show_prints_the_matrix_memory_of_mlstm_and_its_example():
    said = runner.invoke(app, ["cells", "show", "mlstm"]).stdout
    for line in ("C' = f · C + (i · v) kᵀ", "h' = o ⊙ r", "δC' += δr (q / d)ᵀ", "δW_q = Σ δa_q xᵀ    δb_q = Σ δa_q"):
        assert f"    {line}\n" in said
    assert "Beck et al. 2024" in said
    shown = _json("show", "mlstm")
    assert shown["states"] == ["C", "n", "m"]
    assert runner.invoke(app, ["cells", "show", "mlstm", "--example"]).stdout.splitlines() == shown["example"]


def test_show_says_of_a_cell_that_its_peepholes_are_away():
    assert "nig without peepholes: Greff" in runner.invoke(app, ["cells", "show", "nig", "--no-peepholes"]).stdout


def test_show_prints_the_papers_equations_of_a_peephole_cell():
    said = runner.invoke(app, ["cells", "show", "peephole"]).stdout
    for line in ("i = σ(a_i + p_i ⊙ c)", "c' = f ⊙ c + i ⊙ z", "o = σ(a_o + p_o ⊙ c')", "δa_o = δo ⊙ o ⊙ (1 - o)"):
        assert f"    {line}\n" in said


def test_show_takes_peepholes_away():
    shown = _json("show", "peephole", "--no-peepholes")
    assert shown["peepholes"] == []
    assert "i = σ(a_i)" in shown["forward"]


def test_show_example_is_the_worked_example():
    said = runner.invoke(app, ["cells", "show", "gru", "--example"]).stdout
    assert said.splitlines() == example_text(find("gru"))


@pytest.mark.parametrize("command", ["show", "build"])
def test_a_misspelt_cell_is_answered_with_the_nearest(capsys, monkeypatch, command):
    said = _refused(capsys, monkeypatch, command, "peepole")
    assert "unknown cell 'peepole'" in said
    assert "hint: did you mean 'peephole'?" in said


@pytest.mark.parametrize("command", [("build",), ("gradient-flow", "--cell")])
def test_a_cell_without_a_step_is_refused_with_its_page(capsys, monkeypatch, command):
    said = _refused(capsys, monkeypatch, *command, "mlstm")
    assert "its state is a matrix" in said
    assert "hint: docs/cells/xlstm.md" in said


def test_a_kernels_folder_that_is_a_file_is_refused(capsys, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GATESWEEP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GATESWEEP_KERNELS", str(tmp_path / "file"))
    assert "GATESWEEP_KERNELS" in _refused(capsys, monkeypatch, "build", "rnn")


def test_peepholes_are_refused_where_there_is_nothing_to_look_at(capsys, monkeypatch):
    assert "no cell state" in _refused(capsys, monkeypatch, "show", "gru", "--peepholes")


def test_build_fills_the_folder_that_is_named_and_compiles_nothing_twice(tmp_path, monkeypatch):
    monkeypatch.setenv("GATESWEEP_KERNELS", str(tmp_path))
    monkeypatch.setenv("GATESWEEP_HOME", str(tmp_path / "home"))
    first, again = (_json("build", "rnn")["libraries"] for _ in range(2))
    assert {each["dtype"] for each in first} == {"float32", "float64"}
    assert {Path(each["path"]) for each in first} == set(tmp_path.glob("rnn-*.so"))
    assert max(each["seconds"] for each in again) < min(each["seconds"] for each in first)
    assert [each["path"] for each in again] == [each["path"] for each in first]


def test_build_fills_the_named_folder_though_the_library_is_at_home_already(tmp_path, monkeypatch):
    monkeypatch.setenv("GATESWEEP_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("GATESWEEP_KERNELS", raising=False)
    at_home = [Path(each["path"]) for each in _json("build", "rnn")["libraries"]]
    monkeypatch.setenv("GATESWEEP_KERNELS", str(tmp_path / "image"))
    in_image = [Path(each["path"]) for each in _json("build", "rnn")["libraries"]]
    assert {path.parent for path in in_image} == {tmp_path / "image"}
    assert [path.read_bytes() for path in in_image] == [path.read_bytes() for path in at_home]


def test_build_for_other_machines_leaves_this_processor_out(tmp_path, monkeypatch):
    monkeypatch.setenv("GATESWEEP_KERNELS", str(tmp_path))
    monkeypatch.setenv("GATESWEEP_HOME", str(tmp_path / "home"))
    made = _json("build", "rnn", "--portable")["libraries"]
    assert {(each["dtype"], each["level"]) for each in made} == {
        (dtype, level) for dtype in ("float32", "float64") for level in portable() or [None]}  # fmt: skip
    assert {Path(each["path"]) for each in made} == set(tmp_path.glob("rnn-*.so"))
    assert len(made) == len({each["path"] for each in made})


def test_build_without_a_compiler_says_what_to_install(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("GATESWEEP_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    said = _refused(capsys, monkeypatch, "build", "rnn")
    assert "none of cc, gcc, clang is on the PATH" in said
    assert "hint: install gcc or clang" in said


def test_gradients_fade_in_the_elman_network_and_a_forget_bias_slows_it():
    asked = ["--cell", "rnn", "--cell", "vanilla", "--forget-bias", "0", "--forget-bias", "2"]
    curves = {(c["cell"], c["forget_bias"]): c for c in _json("gradient-flow", "--length", "40", *asked)["curves"]}
    rnn, forgetful, mindful = curves["rnn", None], curves["vanilla", 0.0], curves["vanilla", 2.0]
    assert [len(c["norm"]) for c in curves.values()] == [40, 40, 40]  # a bias makes no second curve of the rnn
    assert rnn["norm"][0] < forgetful["norm"][0] < mindful["norm"][0] < 1
    assert rnn["halves_in"] < forgetful["halves_in"] < mindful["halves_in"]


@pytest.mark.parametrize(("suffix", "start"), [(".png", b"\x89PNG"), (".html", b"<!doctype html>"), (".pdf", b"%PDF")])
def test_the_figure_is_written_as_its_name_says(tmp_path, suffix, start):
    file = tmp_path / f"flow{suffix}"
    answer = runner.invoke(app, ["cells", "gradient-flow", "--length", "5", "--cell", "rnn", "--output", str(file)])
    assert answer.exit_code == 0, answer.output
    assert file.read_bytes().startswith(start)


@pytest.mark.parametrize("bias", ["nan", "inf", "-inf"])
def test_a_forget_bias_that_is_no_number_is_refused(capsys, monkeypatch, bias):
    said = _refused(capsys, monkeypatch, "gradient-flow", "--cell", "vanilla", f"--forget-bias={bias}")
    assert f"--forget-bias: {bias} is no finite number" in said


def test_a_forget_bias_of_cells_without_a_forget_gate_is_refused(capsys, monkeypatch):
    said = _refused(capsys, monkeypatch, "gradient-flow", "--cell", "gru", "--cell", "rnn", "--forget-bias", "2")
    assert "--forget-bias: no forget gate in gru, rnn\n\nhint: leave it out" in said


def test_a_forget_bias_says_in_which_cells_it_changes_nothing():
    answer = runner.invoke(app, ["cells", "gradient-flow", "--length", "5", "--cell", "nfg", "--cell", "vanilla",
                                 "--forget-bias", "2"])  # fmt: skip
    assert answer.exit_code == 0
    assert "--forget-bias changes nothing in nfg: no forget gate" in answer.stderr


def test_a_figure_in_a_folder_that_is_not_there_is_refused_before_anything_is_measured(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("gatesweep.cells.flow.gradient_flow", None)
    said = _refused(capsys, monkeypatch, "gradient-flow", "--output", str(tmp_path / "no" / "a.png"))
    assert f"a.png: its folder is not there\n\nhint: mkdir -p {tmp_path / 'no'}" in said


def test_a_figure_of_no_known_kind_is_refused(capsys, monkeypatch, tmp_path):
    file = str(tmp_path / "a.gif")
    said = _refused(capsys, monkeypatch, "gradient-flow", "--length", "5", "--cell", "rnn", "--output", file)
    assert "no figure is written as '.gif'" in said
    assert ".png" in said
