"""A headless chromium for the pages that users look at: MLflow's and our own. A plugin of pytest.

`page` fails its test on any error that the page itself throws or logs; the browser is the system's own, because the
one that Playwright would download is not part of the lock.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync")
SIZE = {"width": 1400, "height": 950}

MLFLOWS_OWN = ("/users/current", "ResizeObserver loop")
"""Errors that MLflow's pages log on any store: a question about a login that is not there, a note of the browser's."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for a module's tests."""
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.fail(f"no browser: none of {', '.join(NAMES)} is on PATH (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def page_errors() -> list[str]:
    """What the page threw or logged as an error; a test that expects one empties the list."""
    return []


@pytest.fixture
def page(chromium: Browser, page_errors: list[str]) -> Iterator[Page]:
    """A page, 1400 by 950."""
    yield from _page(chromium, page_errors, offline=False)


@pytest.fixture
def offline_page(chromium: Browser, page_errors: list[str]) -> Iterator[Page]:
    """A page that reaches nothing but files: what it shows, it carries."""
    yield from _page(chromium, page_errors, offline=True)


def _page(browser: Browser, errors: list[str], offline: bool) -> Iterator[Page]:
    def note(message: ConsoleMessage) -> None:
        told = f"{message.text} ({message.location['url']})"
        if message.type == "error" and not any(known in told for known in MLFLOWS_OWN):
            errors.append(told)

    context = browser.new_context(viewport=SIZE, offline=offline)
    context.set_default_timeout(40_000)
    context.on("weberror", lambda error: errors.append(str(error.error)))
    context.on("console", note)
    yield context.new_page()
    context.close()
    assert errors == []
