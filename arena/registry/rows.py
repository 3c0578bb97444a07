"""Rows of the tables as the records of ``arena.registry.records``, and back; with their seals."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from arena.registry.records import (
    DecisionRecord,
    MatchRecord,
    NetRecord,
    NightRecord,
    Reign,
)
from arena.stats.pentanomial import PairCounts
from arena.stats.verdict import Verdict

Row = dict[str, Any]
"""A row without its seal, by column."""

_COUNTS = ("LL", "LD", "WL", "DD", "WD", "WW")


_encode = json.JSONEncoder(ensure_ascii=True, default=repr).encode


def seal_of(table: str, values: tuple[Any, ...]) -> str:
    """Hash the values of a row: what a disk has changed is then known, though SQLite reads it."""
    text = _encode((table, *values))
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def storable(value: Any) -> Any:
    """A text as SQLite takes it: of a file's name, bytes that are no UTF-8 are spelled out."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    return value


def _text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, allow_nan=False)


def of_net(net: NetRecord) -> Row:
    """Return the row of a net."""
    row = {name: getattr(net, name) for name in NetRecord.__slots__}
    return row | {"manifest": None if net.manifest is None else _text(net.manifest)}


def net(row: Row) -> NetRecord:
    """Return the net of a row."""
    manifest = row["manifest"]
    return NetRecord(**row | {"manifest": None if manifest is None else json.loads(manifest)})


def of_night(night: NightRecord) -> Row:
    """Return the row of a night."""
    return {name: getattr(night, name) for name in NightRecord.__slots__}


def night(row: Row) -> NightRecord:
    """Return the night of a row."""
    return NightRecord(**row)


def of_match(match: MatchRecord) -> Row:
    """Return the row of a match."""
    row = {name: getattr(match, name) for name in MatchRecord.__slots__ if name != "counts"}
    row["verdict"] = str(match.verdict)
    return row | {name.lower(): getattr(match.counts, name) for name in _COUNTS}


def match(row: Row) -> MatchRecord:
    """Return the match of a row."""
    counts = PairCounts(*(row.pop(name.lower()) for name in _COUNTS))
    return MatchRecord(**row | {"counts": counts, "verdict": Verdict(row["verdict"])})


def of_decision(decision: DecisionRecord) -> Row:
    """Return the row of a decision."""
    row = {name: getattr(decision, name) for name in DecisionRecord.__slots__}
    return row | {"verdict": str(decision.verdict), "document": _text(decision.document)}


def decision(row: Row) -> DecisionRecord:
    """Return the decision of a row."""
    document = json.loads(row["document"])
    return DecisionRecord(**row | {"verdict": Verdict(row["verdict"]), "document": document})


def of_reign(reign: Reign) -> Row:
    """Return the row of a reign."""
    row = {name: getattr(reign, name) for name in Reign.__slots__}
    return row | {"pending": int(reign.pending)}


def reign(row: Row) -> Reign:
    """Return the reign of a row."""
    return Reign(**row | {"pending": bool(row["pending"])})
