"""What every test may use: the shared data folder and a browser, where there is one."""

from __future__ import annotations

import gzip
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from browser import chromium  # noqa: F401 - the fixture, for every test
from hypothesis import settings

from arena.openings import DEFAULT_BOOK, default_book, read_book

# A shared machine stalls at times; how long an example takes says nothing about what it shows.
settings.register_profile("arena", deadline=None)
settings.load_profile("arena")

# A shell's background job ignores Ctrl-C, and so would the programs that tests send one to.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

REPOSITORY = Path(__file__).parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest test, or all workers but one would wait for it at the end."""
    items.sort(key=lambda item: item.path.stem != "test_readme")


@pytest.fixture(autouse=True)
def _undrawn(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave drawing out of the reports of tests that do not look at them: it is 2 s of each."""
    if request.path.parent.name != "swa" and request.node.get_closest_marker("draws") is None:
        monkeypatch.setattr("arena.report.folder.write_pictures", lambda folder, pictures: None)
        monkeypatch.setattr("arena.report.page.svg", lambda picture: "<svg></svg>")


@pytest.fixture(scope="session")
def shipped_book() -> Any:
    return default_book()


@pytest.fixture(autouse=True)
def _read_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Split the book that ships into openings once for all nights: it takes a tenth of a second."""
    if request.path.parent.name != "nightly":
        return
    shipped = request.getfixturevalue("shipped_book")

    def read(path: Path) -> Any:
        return shipped if path == DEFAULT_BOOK else read_book(path)

    monkeypatch.setattr("arena.nightly.reading.read_book", read)


def shared_folder() -> Path | None:
    """Real nets, books and reference outputs: ``ARENA_SHARED``, else ``../shared``."""
    folder = Path(os.environ.get("ARENA_SHARED") or REPOSITORY.parent / "shared")
    return folder if (folder / "golden").is_dir() else None


@pytest.fixture(scope="session")
def shared() -> Path:
    folder = shared_folder()
    if folder is None:
        pytest.skip("needs the shared data: set ARENA_SHARED or put it at ../shared")
    return folder


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON lines file, gzipped or not."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt") as lines:
        return [json.loads(line) for line in lines]
