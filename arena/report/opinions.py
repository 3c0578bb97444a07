"""opinions.json: what both nets say of a match's positions, kept beside its ledger.

It is no record of the match but is made from it and from the nets' files (``arena.opinions``), so
it is only kept while it speaks of these nets and these games: whatever else stands there is left
out of the report, with the reason, and harms nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypedDict, cast

from arena.game import PairRecord
from arena.match_file import MatchIdentity
from arena.report.files import atomic_writer
from arena.report.schema import (
    Curves,
    DecidingPosition,
    Opinion,
    OpinionPoint,
    OpinionsSummary,
)

OPINIONS_FILE = "opinions.json"

FORMAT = 1
"""Of opinions.json; another one is left out. To be raised when its figures mean something else."""

MOST_BYTES = 2**20
"""More than any opinions.json has: a larger file is none, and is not read."""

TOP_MOVES = 3
"""Moves of a net's policy that are kept of a position."""

_MOVE = re.compile(r"[a-h][1-8][a-h][1-8][qrbn]?")


class Place(NamedTuple):
    """A position of a match: the one in which a ply was played."""

    pair: int  # from 1
    game: int  # 1 or 2 of the pair
    ply: int  # of the whole game, from 1, the opening included


class DecidingOpinions(TypedDict):
    """What both nets say of one of the positions that decided."""

    pair: int
    game: int
    ply: int
    baseline: Opinion
    candidate: Opinion


class OpinionsDocument(TypedDict):
    """opinions.json."""

    format: int
    nets: dict[Literal["baseline", "candidate"], str]  # sha256 of their files
    evaluator: str  # what computed it: "winograd (float32 on a CPU)"
    pairs: int  # that counted when the nets were asked
    games: str  # ``fingerprint`` of those pairs
    opinions: list[OpinionPoint]
    deciding: list[DecidingOpinions]


class Kept(NamedTuple):
    """What a run folder's opinions.json says, or why that is left out."""

    document: OpinionsDocument | None = None
    caveat: str = ""


NOT_ASKED = Kept()


def fingerprint(pairs: Sequence[PairRecord]) -> str:
    """A sign of pairs' games, 64 bits in hexadecimal, by which they are known again."""
    lines = "".join(f"{pair.number} {pair.result.fingerprints}\n" for pair in pairs)
    return hashlib.blake2b(lines.encode(), digest_size=8).hexdigest()


def write_opinions(folder: Path, document: OpinionsDocument) -> None:
    """Write opinions.json whole or not at all. Raises OSError where it cannot be written."""
    with atomic_writer(folder / OPINIONS_FILE) as file:
        file.write(json.dumps(document, indent=1, allow_nan=False) + "\n")


def read_opinions(folder: Path, identity: MatchIdentity, counted: Sequence[PairRecord]) -> Kept:
    """Read opinions.json of a match with these counted pairs. Raises nothing."""
    path = folder / OPINIONS_FILE
    again = "`arena report --opinions` asks the nets anew."
    try:
        if not path.exists():
            return NOT_ASKED
        document = _document(path)
    except (OSError, ValueError, RecursionError):
        return Kept(caveat=f"{OPINIONS_FILE} is damaged and is left out: {again}")
    if document["format"] != FORMAT:
        return Kept(
            caveat=f"{OPINIONS_FILE} is of another version of arena and is left out: {again}"
        )
    if any(document["nets"].get(net.role) != net.sha256 for net in identity.nets):
        return Kept(caveat=f"{OPINIONS_FILE} is of other nets and is left out: {again}")
    pairs = document["pairs"]
    if pairs > len(counted) or document["games"] != fingerprint(counted[:pairs]):
        return Kept(caveat=f"{OPINIONS_FILE} is of other games and is left out: {again}")
    if pairs < len(counted):
        return Kept(
            document,
            f"What the nets say of positions is of the first {pairs:,} of {len(counted):,} pairs: "
            f"{again}",
        )
    return Kept(document)


def opinions_summary(document: OpinionsDocument | None) -> OpinionsSummary | None:
    """What summary.json says of how the nets were asked."""
    if document is None:
        return None
    return OpinionsSummary(pairs=document["pairs"], evaluator=document["evaluator"])


def with_opinions(curves: Curves, document: OpinionsDocument | None) -> Curves:
    """Add what both nets say to the curves of their match."""
    if document is None:
        return curves
    said = {Place(row["pair"], row["game"], row["ply"]): row for row in document["deciding"]}
    deciding = []
    for position in curves["deciding"]:
        told = position.copy()
        if (found := said.get(place_of(position))) is not None:
            told["baseline"], told["candidate"] = found["baseline"], found["candidate"]
        deciding.append(told)
    extended = curves.copy()
    extended["opinions"], extended["deciding"] = document["opinions"], deciding
    return extended


def place_of(position: DecidingPosition) -> Place:
    """Where a position that decided stands in its match."""
    return Place(position["pair"], position["game"], position["ply"])


# --- reading with suspicion ---


def _document(path: Path) -> OpinionsDocument:
    """Read the file; ValueError for anything that ``write_opinions`` has not written."""
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ValueError("too large")
    found = json.loads(data)
    if isinstance(found, dict) and _is_count(found.get("format")) and found["format"] != FORMAT:
        return cast(OpinionsDocument, found)  # nothing else of it is looked at
    _require(_has(found, OpinionsDocument) and found["format"] == FORMAT)
    nets = found["nets"]
    _require(isinstance(nets, dict) and nets.keys() == {"baseline", "candidate"})
    _require(_is_count(found["pairs"]))
    _require(all(isinstance(word, str) for word in (found["evaluator"], found["games"])))
    _require(isinstance(found["opinions"], list) and all(map(_is_point, found["opinions"])))
    _require(isinstance(found["deciding"], list) and all(map(_is_deciding, found["deciding"])))
    return cast(OpinionsDocument, found)


def _require(holds: bool) -> None:
    if not holds:
        raise ValueError("not as arena wrote it")


def _has(value: Any, kind: type[Any]) -> bool:
    return isinstance(value, dict) and value.keys() == kind.__annotations__.keys()


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**31


def _is_number(value: Any, least: float, most: float = sys.float_info.max) -> bool:
    return type(value) in (int, float) and least <= value <= most


def _is_point(value: Any) -> bool:
    return (
        _has(value, OpinionPoint)
        and all(_is_count(value[key]) for key in ("plies_from", "plies_to", "positions"))
        and _is_number(value["kl"], 0.0)
        and _is_number(value["top_differs"], 0.0, 1.0)
        and _is_number(value["value_difference"], 0.0, 2.0)
    )


def _is_deciding(value: Any) -> bool:
    return (
        _has(value, DecidingOpinions)
        and all(_is_count(value[key]) for key in Place._fields)
        and all(_is_opinion(value[role]) for role in ("baseline", "candidate"))
    )


def _is_opinion(value: Any) -> bool:
    return (
        _has(value, Opinion)
        and _is_number(value["q"], -1.0, 1.0)
        and isinstance(value["policy"], list)
        and len(value["policy"]) <= TOP_MOVES
        and all(map(_is_move, value["policy"]))
    )


def _is_move(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and isinstance(value[0], str)
        and _MOVE.fullmatch(value[0]) is not None
        and _is_number(value[1], 0.0, 1.0)
    )
