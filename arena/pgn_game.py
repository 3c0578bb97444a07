"""One game of a PGN file: read, judged by the filters, turned into training records.

Nothing here raises for what stands in a file: games come from many programs and people, and the one
that is broken is left out with a reason. Evaluations in comments are not used; the comment
``{book}``, with which match programs mark an opening's moves, is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple, cast

import chess

from arena.boards import MoveError, PositionError
from arena.game import ADJUDICATIONS, WHITE_POINTS, Result
from arena.opening_text import (
    MOVE_NUMBER,
    RESULTS,
    SAME_RULES,
    TAG,
    TOKEN,
    VITAL_TAG,
    decode,
)
from arena.start_positions import legal_board
from arena.training_records import LAST_RULE50, game_records
from swa.chunks import MAX_RECORDS, pack_chunk

Date = tuple[int, ...]
"""Year; year and month; or year, month and day."""


class Unwanted(StrEnum):
    """Why a sound game is left out: a filter, or chess of another kind."""

    RATING = "rating"
    LENGTH = "length"
    RESULT = "result"
    DATE = "date"
    CLOCK = "time control"
    VARIANT = "another variant of chess"
    NO_POSITION = "no position to learn from"


class Broken(StrEnum):
    """Why a game cannot be used."""

    TAGS = "unreadable tags"
    START = "impossible start position"
    MOVES = "illegal or unreadable move"
    TEXT = "comment or variation not closed"
    NO_RESULT = "no result"
    RESULT = "contradictory result"
    TOO_LONG = "too long"


@dataclass(frozen=True, slots=True)
class Filters:
    """Which games are wanted; None is no wish. Where a game does not say, it is not wanted."""

    min_elo: int | None = None
    max_elo: int | None = None
    elo_of: Literal["both", "either"] = "both"  # players whose rating has to be in bounds
    min_plies: int = 1
    max_plies: int | None = None
    results: tuple[Result, ...] = tuple(WHITE_POINTS)
    since: Date | None = None
    until: Date | None = None
    min_clock: float | None = None  # seconds: a player's time and 40 increments
    skip_plies: int = 0  # moves at the beginning of each game that are not learned


class Converted(NamedTuple):
    """What became of a game: its file of records, or why there is none."""

    data: bytes = b""
    positions: int = 0
    reason: Unwanted | Broken | None = None
    detail: str = ""


class _LeftOut(Exception):  # noqa: N818 - no error: it ends the reading of one game
    def __init__(self, reason: Unwanted | Broken, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


class Movetext(NamedTuple):
    """The main line of a game."""

    moves: tuple[str, ...]  # SAN, as written
    result: str | None  # the token at the end, "*" too
    book: int  # moves at the beginning that a comment calls book moves


def convert(text: bytes, filters: Filters) -> Converted:
    """Make a game's text a file of records; raises nothing, whatever the text."""
    try:
        data, positions = _convert(decode(text), filters)
    except _LeftOut as left_out:
        return Converted(reason=left_out.reason, detail=left_out.detail)
    return Converted(data, positions)


def _convert(text: str, filters: Filters) -> tuple[bytes, int]:
    tags, body = _read_tags(text)
    variant = tags.get("variant", "")
    if variant.lower() not in SAME_RULES:
        raise _LeftOut(Unwanted.VARIANT, f"the variant {variant[:40]!r}")
    _check_tags(tags, filters)
    movetext = read_movetext(body)
    result = _result(tags, movetext)
    if result not in filters.results:
        raise _LeftOut(Unwanted.RESULT)
    plies = len(movetext.moves)
    if not plies:
        raise _LeftOut(Unwanted.NO_POSITION, "no moves")
    if plies > MAX_RECORDS:
        raise _LeftOut(Broken.TOO_LONG, f"{plies:,} plies")
    if plies < filters.min_plies or (filters.max_plies is not None and plies > filters.max_plies):
        raise _LeftOut(Unwanted.LENGTH)
    start = _start(tags)
    moves = _legal_moves(start.copy(), movetext.moves, result)
    try:
        records = game_records(
            start,
            moves,
            result,
            first=min(max(filters.skip_plies, movetext.book), plies),
            adjudicated=_is_adjudicated(tags.get("termination", "").lower()),
        )
    except PositionError as error:
        raise _LeftOut(Broken.START, str(error).splitlines()[-1]) from None
    except MoveError as error:
        raise _LeftOut(Broken.MOVES, str(error)[:80]) from None
    if not len(records):
        detail = f"all moves are of the opening, or after {LAST_RULE50} plies without progress"
        raise _LeftOut(Unwanted.NO_POSITION, detail)
    return pack_chunk(records), len(records)


def _is_adjudicated(termination: str) -> bool:
    """Whether a rule of a match ended the game, in anybody's words or in arena's own."""
    return "adjudicat" in termination or termination in ADJUDICATIONS


def _read_tags(text: str) -> tuple[dict[str, str], str]:
    """The tags by their names in lower case, and what follows them."""
    tags: dict[str, str] = {}
    lines = re.split(r"\r\n?|\n", text)
    place = 0
    for place, line in enumerate([*lines, "end"]):  # noqa: B007
        stripped = line.strip().removeprefix("\ufeff")
        if stripped and stripped[0] not in "[%":
            break
        for match in TAG.finditer(stripped):
            tags[match["name"].lower()] = re.sub(r"\\(.)", r"\1", match["value"]).strip()
        if not tags.keys() & {"fen", "variant"} and VITAL_TAG.match(stripped):
            raise _LeftOut(Broken.TAGS, f"the tag {stripped[:80]}")
    return tags, "\n".join(lines[place:])


def _check_tags(tags: Mapping[str, str], filters: Filters) -> None:
    """Raise _LeftOut for a game that its tags show to be unwanted."""
    if filters.min_elo is not None or filters.max_elo is not None:
        low = filters.min_elo or 0
        high = 10_000 if filters.max_elo is None else filters.max_elo
        inside = [low <= rating_of(tags.get(f"{side}elo", "")) <= high for side in _SIDES]
        if not (all(inside) if filters.elo_of == "both" else any(inside)):
            raise _LeftOut(Unwanted.RATING)
    if filters.since or filters.until:
        date = date_of(tags.get("utcdate") or tags.get("date", ""))
        if not date or is_before(date, filters.since) or is_before(filters.until, date):
            raise _LeftOut(Unwanted.DATE)
    if filters.min_clock is not None:
        seconds = clock_of(tags.get("timecontrol", ""))
        if seconds is None or seconds < filters.min_clock:
            raise _LeftOut(Unwanted.CLOCK)


_SIDES = ("white", "black")


def rating_of(text: str) -> int:
    """A rating, or -1 where there is none: programs write "", "?", "-" or 0 then."""
    digits = re.match(r"\d{1,4}(?!\d)", text)
    return int(digits.group()) or -1 if digits else -1


def date_of(text: str) -> Date:
    """As much of "1999.12.31" as is known, "/" and "-" taken for dots; () for nothing."""
    parts: list[int] = []
    for part, digits in zip(re.split(r"[./-]", text), (4, 2, 2), strict=False):
        if not re.fullmatch(rf"\d{{1,{digits}}}", part) or not int(part):
            break
        parts.append(int(part))
    return tuple(parts)


def is_before(one: Date | None, other: Date | None) -> bool:
    """Whether a date is before another as far as both are known; None is never so."""
    if one is None or other is None:
        return False
    known = min(len(one), len(other))
    return one[:known] < other[:known]


def clock_of(text: str) -> float | None:
    """Seconds that a player has for 40 moves, of "300", "180+2" and "40/5400+30"; None if unknown.

    Lichess tells its kinds of games apart by this: from 180 on it is blitz, from 480 on rapid.
    """
    match = re.match(r"(?:\d+/)?(\d{1,6})(?:\+(\d{1,4}))?(?![\d.])", text)
    return float(int(match[1]) + 40 * int(match[2] or 0)) if match else None


def read_movetext(text: str) -> Movetext:
    """Find main line and result, leaving out comments, variations, numbers and glyphs."""
    moves: list[str] = []
    result: str | None = None
    depth = book = 0
    for match in TOKEN.finditer(text):
        token = match.group()
        if token == "{":
            raise _LeftOut(Broken.TEXT, "a comment is opened with '{' and never closed")
        if token[0] == "{" and depth == 0 and token[1:-1].strip().lower() == "book":
            book = len(moves) if book == len(moves) - 1 else book
        elif token in "()":
            depth += 1 if token == "(" else -1
            if depth < 0:
                raise _LeftOut(Broken.TEXT, "a variation is closed and was never opened")
        elif depth == 0 and token[0] not in "{;%$":
            if token in RESULTS:
                result = token
                break
            san = token[number.end() :] if (number := MOVE_NUMBER.match(token)) else token
            san = san.rstrip("!?+#")
            if san and san not in ("e.p.", "ep"):
                moves.append(san)
    if depth:
        raise _LeftOut(Broken.TEXT, "a variation is opened with '(' and never closed")
    return Movetext(tuple(moves), result, book)


def _result(tags: Mapping[str, str], movetext: Movetext) -> Result:
    """The result, in the tag, behind the moves, or both alike."""
    said = {tags.get("result", "*").replace(" ", ""), movetext.result or "*"} - {"*", "", "?"}
    if len(said) > 1:
        raise _LeftOut(Broken.RESULT, f"{' and '.join(sorted(said))[:80]}")
    if not said or not said <= WHITE_POINTS.keys():
        raise _LeftOut(Broken.NO_RESULT, "".join(said)[:80])
    return cast(Result, said.pop())


def _start(tags: Mapping[str, str]) -> chess.Board:
    try:
        return legal_board(tags.get("fen") or chess.STARTING_FEN)
    except ValueError as error:
        raise _LeftOut(Broken.START, str(error)[:200]) from None


def _legal_moves(board: chess.Board, sans: tuple[str, ...], result: Result) -> list[chess.Move]:
    """The moves of a game that ``board`` is left at the end of."""
    moves = []
    for san in sans:
        try:
            move = board.parse_san(san)
        except ValueError:
            move = chess.Move.null()
        if not move:
            number = f"{board.fullmove_number}{'.' if board.turn == chess.WHITE else '...'}"
            raise _LeftOut(Broken.MOVES, f"{number} {san[:20]} is not a legal move")
        moves.append(move)
        board.push(move)
    if not any(board.generate_legal_moves()):
        loser_is_white = board.turn == chess.WHITE
        right = ("0-1" if loser_is_white else "1-0") if board.is_check() else "1/2-1/2"
        if result != right:
            over = "checkmate" if board.is_check() else "stalemate"
            raise _LeftOut(Broken.RESULT, f"{result} after {over}: {board.fen()}")
    return moves
