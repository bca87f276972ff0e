"""The offline page: nothing of a user's text becomes markup, nothing is loaded, nothing appears half-written."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import os
import re
import time
from html.parser import HTMLParser
from typing import Any

import pytest

from gatesweep.report import TrialView
from gatesweep.report.page import render, write_report

HOSTILE = '</script><script>alert("x")</script><img src=x onerror=alert(1)>\u2028\x1b[31m&amp;${plotly} $data \udcff'
LOADERS = {"src", "href", "srcset", "data", "action", "poster", "background", "formaction", "xlink:href"}


class Elements(HTMLParser):
    """Every element with its attributes, and the text of the scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.raw: list[str] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self.raw.append("")

    def handle_data(self, data: str) -> None:
        if self.found and self.found[-1][0] in ("script", "style") and self.cdata_elem:
            self.raw[-1] += data
        else:
            self.text.append(data)

    def embedded(self) -> Any:
        """The page's JSON."""
        return json.loads(next(raw for raw in self.raw if raw.startswith('{"columns"')))


def hostile_sweep(a_sweep: Any) -> Any:
    view = a_sweep(10)
    worse = dataclasses.replace(
        view.trials[0], params={**view.trials[0].params, "model.cell": HOSTILE, HOSTILE: 0.5}, reason=HOSTILE
    )
    failed = TrialView("s/" + HOSTILE, 10, "failed", {"model.cell": HOSTILE}, reason=HOSTILE)
    return dataclasses.replace(
        view,
        trials=[worse, *view.trials[1:], failed],
        question=HOSTILE,
        name=HOSTILE,
        sweep_id=HOSTILE,
        search=HOSTILE,
        commit=HOSTILE,
        notes=[HOSTILE],
        environment={HOSTILE: HOSTILE},
        data={HOSTILE: HOSTILE},
        baseline={"name": HOSTILE, "metrics": {"val/mae": 0.02}},
        experiment=HOSTILE,
        best=worse.trial_id,
    )


def test_a_hostile_name_adds_no_element_to_the_page(a_sweep: Any) -> None:
    page = Elements(render(hostile_sweep(a_sweep)))
    tags = [tag for tag, _ in page.found]
    assert tags.count("script") == 5
    assert "img" not in tags
    assert not [name for _, attributes in page.found for name in attributes if name.startswith("on")]
    assert 'alert("x")' in "".join(page.text)


def test_a_hostile_name_survives_in_the_json_as_the_same_text(a_sweep: Any) -> None:
    text = render(hostile_sweep(a_sweep))
    data = Elements(text).embedded()
    cells = next(column for column in data["columns"] if column["key"] == "model.cell")
    assert any(level.startswith('</script><script>alert("x")') for level in cells["levels"])
    raw = next(raw for raw in Elements(text).raw if raw.startswith('{"columns"'))
    assert "<" not in raw
    assert raw.isascii()


def test_the_page_loads_nothing_from_anywhere(a_sweep: Any) -> None:
    page = Elements(render(a_sweep(12)))
    loaded = [
        v for tag, attrs in page.found for k, v in attrs.items() if k in LOADERS and not (v or "").startswith("#")
    ]
    assert loaded == []
    assert not {"link", "iframe", "object", "embed", "base"} & {tag for tag, _ in page.found}
    own = [raw for raw in page.raw if "plotly.js v" not in raw[:200]]
    assert len(own) == len(page.raw) - 1
    for raw in own:
        assert not re.search(r"fetch\(|XMLHttpRequest|import\s*\(|@import|url\(|sendBeacon|WebSocket", raw)


def test_the_policy_admits_only_the_scripts_of_the_page_and_no_connection(a_sweep: Any) -> None:
    page = Elements(render(a_sweep(12)))
    policy = next(attrs["content"] or "" for tag, attrs in page.found if attrs.get("http-equiv"))
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "connect-src" not in policy
    assert "unsafe-eval" not in policy
    scripts = [raw for raw in page.raw if '"use strict"' in raw or "plotly.js v" in raw[:200]]
    assert len(scripts) == 4
    for script in scripts:
        assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in policy


def test_a_write_that_dies_leaves_the_old_page_and_no_part(
    a_sweep: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = write_report(a_sweep(12), tmp_path)
    before = page.read_bytes()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_report(a_sweep(13), tmp_path)
    assert page.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index.html", "trials.csv"]


def test_the_same_sweep_gives_the_same_bytes(a_sweep: Any) -> None:
    assert render(a_sweep(40)) == render(a_sweep(40))


def test_ten_thousand_trials_take_seconds_to_write_and_less_than_eight_megabytes(a_sweep: Any, tmp_path: Any) -> None:
    view = a_sweep(10_000)
    start = time.process_time()
    page = write_report(view, tmp_path)
    assert time.process_time() - start < 30
    assert page.stat().st_size < 8e6
    data = Elements(page.read_text(encoding="utf-8")).embedded()
    assert data["count"] == 10_000
    curves = next(figure for figure in data["figures"] if figure["name"] == "curves")
    assert sum(len(line["x"]) for line in curves["data"]) < 300 * 121


def test_a_sweep_without_a_completed_trial_says_so(a_sweep: Any) -> None:
    trials = [
        TrialView(f"s/t{n:04d}", n, "failed", {"optimizer.lr": 0.1}, reason=f"loss is nan at epoch {n}")
        for n in range(3)
    ]
    page = render(a_sweep(trials=trials))
    assert "No answer: no trial completed (3 failed)." in page
    assert "<b>3 ×</b> loss is nan at epoch 0" in page
    assert "No trial reported an epoch." in page
    assert Elements(page).embedded()["figures"] == []


def test_a_sweep_without_any_trial_has_a_page(a_sweep: Any) -> None:
    view = dataclasses.replace(a_sweep(1), trials=[], best=None)
    assert "No answer: the sweep has no trial." in render(view)


def test_too_few_trials_for_an_importance_are_said(a_sweep: Any) -> None:
    assert "Too few trials to say which dimension matters: 5 have a value, at least 8 are needed." in render(a_sweep(5))
