"""docs/many-matches.md, the typed keys and the documents themselves say the same."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints, is_typeddict

import pytest
from match_folders import EVEN, between, played, some_matches

from arena.report.index.document import (
    Index,
    IndexedDecision,
    IndexedMatch,
    IndexedTournament,
    index_json,
    make_index,
)
from arena.report.index.ladder import Ladder, Rung
from arena.report.ratings.table import RatedEncounter, RatedNet, RatingsDocument
from arena.report.ratings.tournament import write_tournament

DOCUMENT = Path(__file__).parents[2] / "docs" / "many-matches.md"

TABLES = [
    RatingsDocument,
    RatedNet,
    RatedEncounter,
    Index,
    IndexedMatch,
    Ladder,
    Rung,
    IndexedDecision,
    IndexedTournament,
]
"""In the order of the tables of keys."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some matches, and a tournament among them."""
    root = some_matches(tmp_path_factory.mktemp("reports"))
    fixed = {"sprt": None, "pairs": 6}
    for number, both in enumerate((("a", "b"), ("a", "c"), ("b", "c"))):
        played(root / "cup" / str(number), between(*both, **fixed), EVEN, "2026-02-01")
    write_tournament(root / "cup")
    return root


def test_every_key_is_explained_and_no_other() -> None:
    tables = re.split(r"^\| key \| meaning \|\n", DOCUMENT.read_text(encoding="utf-8"), flags=re.M)
    assert len(tables) == len(TABLES) + 1
    for kind, table in zip(TABLES, tables[1:], strict=True):
        rows = table.partition("\n\n")[0]
        keys = re.findall(r"^\| `(\w+)` \|", rows, flags=re.M)
        assert keys == list(get_type_hints(kind)), kind


def test_documents_are_what_their_types_say(folder: Path) -> None:
    index = json.loads(index_json(make_index(folder)))
    check(index, Index, "index")
    assert all(index[key] for key in ("matches", "ladders", "tournaments", "unreadable"))
    ratings = json.loads((folder / "cup" / "ratings.json").read_text(encoding="utf-8"))
    check(ratings, RatingsDocument, "ratings")


def check(value: Any, kind: Any, where: str) -> None:
    """Compare a value of JSON with a type; keys must be exactly those of a typed dict."""
    if kind is Any:
        return
    if is_typeddict(kind):
        hints = get_type_hints(kind)
        assert list(value) == list(hints), where
        for key, hint in hints.items():
            check(value[key], hint, f"{where}.{key}")
    elif get_origin(kind) is list:
        assert isinstance(value, list), where
        for number, one in enumerate(value):
            check(one, get_args(kind)[0], f"{where}[{number}]")
    elif get_origin(kind) is dict:
        assert isinstance(value, dict), where
        for key, one in value.items():
            check(one, get_args(kind)[1], f"{where}.{key}")
    elif isinstance(kind, UnionType):
        parts = get_args(kind)
        if value is None:
            assert NoneType in parts, where
        else:
            (part,) = (part for part in parts if part is not NoneType)
            check(value, part, where)
    else:
        assert isinstance(value, (int, float) if kind is float else kind), where
