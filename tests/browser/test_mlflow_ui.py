"""What a person sees of a sweep in the MLflow UI: the sweep, its dataset, its charts, its report.

Every test leaves a picture of its page in its temporary folder.
"""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from PIL import Image

from .conftest import Pages, Swept, served

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

DRAWN = "() => [...document.querySelectorAll('.js-plotly-plot')].some((plot) => plot.querySelector('.main-svg'))"
ALWAYS = ["model.cell", "model.hidden_size", "model.dropout", "optimizer.name", "optimizer.lr"]
"""The dimensions that every trial has a value of."""


def row_of(page: Any, name: str) -> str:
    """The text of a run's row: MLflow's table lays its pinned and its scrolled columns side by side."""
    row = page.locator(".ag-row", has=page.get_by_role("link", name=name, exact=True)).first
    number = row.get_attribute("row-id")
    return " | ".join(page.locator(f".ag-row[row-id='{number}']").all_inner_texts())


def names_in(page: Any) -> list[str]:
    """The names of the runs in the table, from above."""
    rows = sorted(page.locator(".ag-pinned-left-cols-container .ag-row").all(), key=place)
    return [row.get_by_role("link").first.inner_text() for row in rows]


def place(row: Any) -> int:
    return int(row.get_attribute("row-index"))


def open_sweep(page: Any, swept: Swept, pages: Pages) -> None:
    """As a person does: the address that `gatesweep ui` prints, then a click on the sweep."""
    told = re.search(r"^ +traffic: (\S+)$", pages.said, re.MULTILINE)
    assert told, pages.said
    page.goto(told[1])
    page.get_by_role("link", name=swept.sweep_id, exact=True).wait_for()


def open_trial(page: Any, swept: Swept, pages: Pages, name: str) -> None:
    open_sweep(page, swept, pages)
    page.get_by_role("link", name=swept.sweep_id, exact=True).click()
    page.get_by_role("link", name=name, exact=True).click()
    page.get_by_text("Parent run").wait_for()


@pytest.fixture
def pin(root: Path) -> str:
    """The digest of the traffic set in data.dvc."""
    outs = yaml.safe_load((root / "data.dvc").read_text())["outs"]
    return str(next(out["md5"] for out in outs if out["path"] == "data/traffic"))


def test_the_address_that_ui_prints_lists_the_sweep_with_its_dataset_and_unfolds_its_trials(
        page: Any, swept: Swept, pages: Pages, pin: str, tmp_path: Path) -> None:
    open_sweep(page, swept, pages)
    assert names_in(page) == [swept.sweep_id]
    assert f"traffic ({pin})" in row_of(page, swept.sweep_id)
    page.locator(".ag-pinned-left-cols-container .ag-row").get_by_role("button").first.click()
    page.get_by_role("link", name=swept.best, exact=True).wait_for()
    page.screenshot(path=tmp_path / "experiment.png")
    assert sorted(names_in(page)) == sorted([swept.sweep_id, *swept.params])


def test_the_sweeps_page_tells_the_question_the_best_trial_and_every_trial(
        page: Any, swept: Swept, pages: Pages, pin: str, tmp_path: Path) -> None:
    open_sweep(page, swept, pages)
    page.get_by_role("link", name=swept.sweep_id, exact=True).click()
    page.get_by_text("Show more").click()
    page.screenshot(path=tmp_path / "sweep.png", full_page=True)
    shown = page.locator("main").inner_text()
    assert swept.question in shown
    assert f"{swept.best} is best: val/mae {min(swept.epochs[swept.best].values()):.5g}" in shown
    assert f"traffic ({pin})" in shown
    assert "Finished" in shown
    assert all(page.get_by_role("link", name=trial, exact=True).is_visible() for trial in swept.params)


def test_the_sweeps_report_opens_within_the_ui_with_its_charts_drawn_and_its_links_alive(
        page: Any, swept: Swept, pages: Pages, tmp_path: Path) -> None:
    open_sweep(page, swept, pages)
    page.get_by_role("link", name=swept.sweep_id, exact=True).click()
    with page.expect_popup() as popup:
        page.get_by_role("link", name="report", exact=True).click()
    report = popup.value.frame_locator("iframe.mlflow-html-iframe")
    report.locator("html[data-drawn=yes]").wait_for()
    popup.value.screenshot(path=tmp_path / "report.png")
    assert report.locator("h1").inner_text() == swept.question
    assert report.locator("#chart-curves .main-svg").count() > 0
    assert report.locator("#chart-parallel .grip").count() == len(ALWAYS) + 2  # momentum and the objective
    table = report.locator("#all")
    assert not in_view(table)
    report.locator("nav a[href='#all']").click()
    popup.value.screenshot(path=tmp_path / "report-below.png")
    assert in_view(table)


def in_view(element: Any) -> bool:
    """Whether an element begins within what is to be seen of its page."""
    top, height = element.evaluate("(e) => [e.getBoundingClientRect().top, innerHeight]")
    return bool(-1 <= top < height)


def test_a_trials_page_shows_its_dataset_as_pinned_its_parameters_and_its_files(
        page: Any, swept: Swept, pages: Pages, pin: str, tmp_path: Path) -> None:
    open_trial(page, swept, pages, swept.best)
    page.screenshot(path=tmp_path / "trial.png")
    shown = page.locator("main").inner_text()
    assert f"traffic ({pin})" in shown
    for key, value in swept.params[swept.best].items():
        assert re.search(rf"^{re.escape(key)}\s+{re.escape(str(value))}$", shown, re.MULTILINE)
    page.get_by_role("tab", name="Artifacts").click()
    for name in ("config.yaml", "lock.json", "checkpoints"):
        page.get_by_text(name, exact=True).first.wait_for()
    page.get_by_text("figures", exact=True).click()
    page.get_by_text("forecast.png", exact=True).click()
    figure = page.locator("img[src*='forecast'], img[src^='blob:']").first
    figure.wait_for()
    page.wait_for_function("(e) => e.complete && e.naturalWidth > 300", arg=figure.element_handle())
    page.screenshot(path=tmp_path / "figure.png")


def test_a_trials_chart_has_one_point_for_each_epoch(page: Any, swept: Swept, pages: Pages, tmp_path: Path) -> None:
    trial = max(swept.epochs, key=lambda name: len(swept.epochs[name]))
    open_trial(page, swept, pages, trial)
    page.get_by_role("tab", name="Model metrics").click()
    page.get_by_placeholder("Search metric charts").fill("val/mae")
    page.wait_for_function(f"() => document.querySelectorAll('.js-plotly-plot').length === 1 && ({DRAWN})()")
    page.screenshot(path=tmp_path / "metrics.png")
    drawn = "(plot) => Array.from(plot.data[0].x, (x, at) => [x, plot.data[0].y[at]])"
    assert dict(page.locator(".js-plotly-plot").evaluate(drawn)) == pytest.approx(swept.epochs[trial])
    assert page.locator(".js-plotly-plot .scatterlayer path.point").count() >= len(swept.epochs[trial])


def test_the_comparison_that_the_sweep_prints_draws_every_trial(
        page: Any, swept: Swept, pages: Pages, tmp_path: Path) -> None:
    page.goto(swept.address("compare", pages.base))
    page.locator(".js-plotly-plot .parcoords").first.wait_for()
    page.wait_for_timeout(1000)
    page.screenshot(path=tmp_path / "compare.png")
    axes = dict(page.locator(".js-plotly-plot").evaluate(
        "(plot) => plot.data[0].dimensions.map((axis) => [axis.label, Array.from(axis.values)])"))  # fmt: skip
    assert list(axes) == ["model.cell", "model.dropout", "model.hidden_size", "val/mae"]
    last = [points[max(points)] for points in swept.epochs.values()]
    assert sorted(axes["val/mae"]) == pytest.approx(sorted(last))
    assert page.locator(".js-plotly-plot .y-axis").count() == len(axes)
    assert colours(page, page.locator(".js-plotly-plot canvas").first) > len(last)


def colours(page: Any, canvas: Any) -> int:
    """How many different colours a canvas shows: one means that nothing is drawn."""
    shot = Image.open(BytesIO(page.screenshot(clip=canvas.bounding_box())))
    return len(shot.convert("RGB").getcolors(1 << 20) or [])


def test_the_page_of_the_trials_ranks_them_beside_their_parameters(
        page: Any, swept: Swept, pages: Pages, tmp_path: Path) -> None:
    page.goto(swept.address("trials", pages.base))
    page.get_by_role("link", name=swept.best, exact=True).wait_for()
    page.screenshot(path=tmp_path / "trials.png")
    last = {name: points[max(points)] for name, points in swept.epochs.items()}
    assert names_in(page) == sorted(last, key=lambda name: last[name])
    for name, value in last.items():
        assert str(value) in row_of(page, name)
        assert swept.params[name]["model.cell"] in row_of(page, name)


def test_the_charts_of_a_sweep_show_every_dimension_and_every_curve(
        page: Any, swept: Swept, pages: Pages, tmp_path: Path) -> None:
    open_sweep(page, swept, pages)
    page.get_by_role("link", name=swept.sweep_id, exact=True).click()
    with page.expect_popup() as popup:
        page.get_by_role("link", name="charts", exact=True).click()
    charts = popup.value
    charts.locator(".parcoords .dimension").nth(len(ALWAYS)).wait_for()
    charts.wait_for_function(DRAWN)
    charts.screenshot(path=tmp_path / "charts.png")
    assert charts.locator(".parcoords .dimension").count() == len(ALWAYS) + 1
    lengths = "(plot) => plot.data.map((line) => [line.name, line.y.length])"
    curves = dict(charts.locator(".js-plotly-plot").first.evaluate(lengths))
    assert curves == {name: len(points) for name, points in swept.epochs.items()}


def test_ctrl_c_ends_the_pages_quietly_and_leaves_no_process(swept: Swept) -> None:
    with served(swept.home) as running:
        running.wait()
        servers = psutil.Process(running.process.pid).children(recursive=True)
        assert servers
        assert running.interrupt() == 0
        assert "Traceback" not in running.said
        psutil.wait_procs(servers, timeout=10)
        assert not any(server.is_running() and server.status() != psutil.STATUS_ZOMBIE for server in servers)
