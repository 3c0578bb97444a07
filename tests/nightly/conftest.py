"""The book that ships is split into openings once for all tests: it takes a tenth of a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from arena.openings import DEFAULT_BOOK, default_book, read_book


@pytest.fixture(scope="session")
def shipped_book() -> Any:
    return default_book()


@pytest.fixture(autouse=True)
def _read_once(monkeypatch: pytest.MonkeyPatch, shipped_book: Any) -> None:
    def read(path: Path) -> Any:
        return shipped_book if path == DEFAULT_BOOK else read_book(path)

    monkeypatch.setattr("arena.nightly.reading.read_book", read)
