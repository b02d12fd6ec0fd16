"""A real browser on a real server. Nothing is installed here: without Chromium these tests fail and say what to do.

LINESHAFT_SKIP_BROWSER=1 leaves them out, and says so.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Response, sync_playwright

HERE = Path(__file__).parent
SKIP = os.environ.get("LINESHAFT_SKIP_BROWSER") == "1"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NO_BROWSER = (
    "There is no Chromium for the browser tests. Install it with `apt-get install chromium` or `playwright install"
    " chromium`, or leave these tests out with LINESHAFT_SKIP_BROWSER=1."
)
WAIT_MS = 15_000


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave this folder's tests out only when told to, and never silently."""
    mine = [item for item in items if HERE in item.path.parents]
    if SKIP and mine:
        config.hook.pytest_deselected(items=mine)
        items[:] = [item for item in items if item not in mine]


def pytest_report_header(config: pytest.Config) -> str | None:
    return "browser tests: left out, LINESHAFT_SKIP_BROWSER=1" if SKIP else None


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if SKIP:
        terminalreporter.write_line("Browser tests were left out: LINESHAFT_SKIP_BROWSER=1")


@pytest.fixture(scope="session", autouse=True)
def _database_from_any_thread() -> Iterator[None]:
    """Playwright keeps an event loop in this thread, which Django would take for asynchronous code."""
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    yield
    if before is None:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]
    else:
        os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = before


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One browser for the session, with a data folder of its own that goes with it."""
    with sync_playwright() as playwright:
        path = next((found for name in ("chromium", "chromium-browser") if (found := shutil.which(name))), None)
        if path is None and Path(playwright.chromium.executable_path).exists():
            path = playwright.chromium.executable_path
        if path is None:
            pytest.fail(NO_BROWSER, pytrace=False)
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=FLAGS)
        yield browser
        browser.close()


class Watched:
    """What went wrong in a page without the test looking at it."""

    def __init__(self, page: Page) -> None:
        self.troubles: list[str] = []
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.troubles.append(f"script error: {error}"))
        page.on("requestfailed", self._failed)
        page.on("response", self._answered)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error" or "Content Security Policy" in message.text:
            self.troubles.append(f"console: {message.text}")

    def _failed(self, request: Request) -> None:
        # A request that a new page cuts short is no trouble; one that was blocked is.
        if request.failure and "ERR_ABORTED" not in request.failure:
            self.troubles.append(f"{request.failure}: {request.url}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400 and not response.url.endswith("/favicon.ico"):
            self.troubles.append(f"HTTP {response.status}: {response.url}")


@pytest.fixture
def context(chromium: Browser, live_server: Any) -> Iterator[BrowserContext]:
    """A fresh profile that begins at the live server."""
    context = chromium.new_context(base_url=live_server.url, viewport={"width": 1400, "height": 900})
    context.set_default_timeout(WAIT_MS)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page whose test fails when the console complains, a request fails, or our policy blocks something."""
    page = context.new_page()
    watched = Watched(page)
    yield page
    # Leave the page first: one that asks again every few seconds would meet a database that is being emptied.
    page.goto("about:blank")
    assert watched.troubles == []
