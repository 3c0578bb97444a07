"""A real browser for the tests of pages: Debian's Chromium, without a window, by playwright.

``make chromium`` installs it. Tests take the fixture ``chromium`` by name (tests/conftest.py has
it for all) and import what else they need from here.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

PROGRAMS = ("chromium", "google-chrome")

GRAVE = ("serious", "critical")
"""The impacts of axe-core that no page of ours may have."""

WIDTHS = (360, 1400)
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
LOOKS = (
    ("light", 360),
    ("dark", 1400),
    pytest.param("dark", 360, marks=pytest.mark.slow),
    pytest.param("light", 1400, marks=pytest.mark.slow),
)
"""Scheme and width; two of them are looked at every time, as a page takes seconds."""


# Of a module, not of the session: playwright leaves an event loop running in the thread, and other
# tests' engines begin one of their own (asyncio.run), which Python forbids then.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """One playwright ``Browser`` for all tests of a module; skips where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip("needs a browser: make chromium")
    with playwright.sync_playwright() as runner:
        # Its sandbox does not work for root, and less shared memory is there in a container.
        flags = ["--no-sandbox", "--disable-dev-shm-usage"]
        browser = runner.chromium.launch(executable_path=program, args=flags)
        yield browser
        browser.close()


@dataclass
class Visit:
    """A page that is open, and what happened on it until now."""

    page: Any  # playwright's Page
    errors: list[str] = field(default_factory=list)  # console errors, exceptions, dialogs
    requests: list[str] = field(default_factory=list)  # URLs, the page's own first

    @property
    def width_needed(self) -> int:
        """CSS pixels: more than the viewport's means that one must scroll sideways."""
        return int(self.page.evaluate("document.documentElement.scrollWidth"))

    def grave_faults(self) -> list[str]:
        """What axe-core finds serious or critical; what and where."""
        from axe_playwright_python.sync_playwright import Axe

        found = Axe().run(self.page).response["violations"]
        return [
            f"{fault['id']}: {node['target']} {node['html'][:200]}"
            for fault in found
            if fault["impact"] in GRAVE
            for node in fault["nodes"]
        ]


@contextmanager
def visit(
    browser: Any, path: Path, *, width: int = 1400, height: int = 900, **context: Any
) -> Iterator[Visit]:
    """Open a file in a window of its own; ``context`` as for ``Browser.new_context``.

    Say ``color_scheme="dark"`` for a reader who prefers it, ``has_touch=True`` for a phone.
    """
    with browser.new_context(viewport={"width": width, "height": height}, **context) as window:
        visit = Visit(window.new_page())
        visit.page.on("console", lambda said: _note(visit, said))
        visit.page.on("pageerror", lambda error: visit.errors.append(str(error)))
        visit.page.on("dialog", lambda dialog: _dismiss(visit, dialog))
        visit.page.on("request", lambda request: visit.requests.append(request.url))
        visit.page.goto(path.absolute().as_uri())
        yield visit


def _note(visit: Visit, said: Any) -> None:
    if said.type in ("error", "warning"):
        visit.errors.append(said.text)


def _dismiss(visit: Visit, dialog: Any) -> None:
    visit.errors.append(f"dialog: {dialog.message}")
    dialog.dismiss()
