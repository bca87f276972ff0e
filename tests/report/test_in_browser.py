"""The page as a browser shows it: charts drawn, table searched, brushes felt, nothing fetched or run."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gatesweep.report.page import write_report

pytestmark = pytest.mark.browser
HOSTILE = "</script><img src=x onerror=window.hacked=1><script>window.hacked=1</script>"


@pytest.fixture
def show(offline_page: Any, tmp_path: Path) -> Iterator[Any]:
    """`show(view)` opens the page and waits until every chart is drawn; no error and no request may come of it."""
    requests: list[str] = []
    offline_page.on("request", lambda request: requests.append(request.url))

    def opened(view: Any) -> Any:
        offline_page.goto(write_report(view, tmp_path).as_uri())
        offline_page.wait_for_selector("html[data-drawn=yes]")
        return offline_page

    yield opened
    assert len(requests) == 1


def count(page: Any) -> str:
    return str(page.inner_text("[data-part=count]"))


def test_every_chart_is_drawn(a_sweep: Any, show: Any) -> None:
    page = show(a_sweep(12))
    for name in ("curves", "importance", "scatter"):
        assert page.locator(f"#chart-{name} .main-svg").count() > 0
    assert page.locator("#chart-parallel .grip").count() == 7
    inked = "() => { const c = document.querySelector('#chart-parallel canvas');" \
            " return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v) => v) }"  # fmt: skip
    assert page.evaluate(inked)


def test_the_table_is_sorted_searched_and_paged(a_sweep: Any, show: Any) -> None:
    view = a_sweep(120)
    page = show(view)
    first = "#trials tbody tr:first-child td"
    assert page.locator(first).first.inner_text() == f"★ {view.best_trial.label}"
    assert count(page) == "1–50 of 120"
    page.click("[data-part=on]")
    assert count(page) == "51–100 of 120"
    page.fill("[data-part=search]", "peephole sgd")
    wanted = [t for t in view.trials if (t.params["model.cell"], t.params["optimizer.name"]) == ("peephole", "sgd")]
    assert count(page).endswith(f"of {len(wanted)}")
    page.fill("[data-part=search]", "")
    page.click("#trials th button[title='model.hidden_size']")
    page.click("#trials th button[title='model.hidden_size']")
    assert page.locator(first).nth(4).inner_text() == "128"


def test_a_brush_keeps_the_trials_that_pass_in_the_table_too(a_sweep: Any, show: Any) -> None:
    page = show(a_sweep(120))
    page.locator("#chart-parallel").scroll_into_view_if_needed()
    grip = page.locator("#chart-parallel .grip").first.bounding_box()
    x, top, height = grip["x"] + grip["width"] / 2, grip["y"], grip["height"]
    page.mouse.move(x, top + 0.4 * height)
    page.mouse.down()
    page.mouse.move(x, top + 0.6 * height, steps=4)
    page.mouse.up()
    kept = int(count(page).split(" of ")[1])
    assert 0 < kept < 120
    page.mouse.click(x, top + 0.1 * height)
    assert count(page) == "1–50 of 120"


def test_a_hostile_name_runs_nothing(a_sweep: Any, show: Any) -> None:
    view = a_sweep(12)
    trials = [dataclasses.replace(t, params={**t.params, "model.cell": HOSTILE}, reason=HOSTILE) for t in view.trials]
    view = dataclasses.replace(view, trials=trials, question=HOSTILE, sweep_id=HOSTILE)
    page = show(view)
    page.hover("#chart-parallel svg")
    assert page.evaluate("window.hacked") is None
    assert page.locator("h1").inner_text() == HOSTILE
    assert page.locator("img").count() == 0


def test_ten_thousand_trials_open_in_seconds(a_sweep: Any, show: Any) -> None:
    view = a_sweep(10_000)
    start = time.monotonic()
    page = show(view)
    assert count(page) == "1–50 of 10,000"
    assert time.monotonic() - start < 30  # writing the page included, on a busy machine
