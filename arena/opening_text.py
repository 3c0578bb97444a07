"""Openings as text: EPD or FEN lines, and the games of PGN files.

Texts are split into entries first, which is fast, and an entry is parsed when it is needed. PGN
openings keep their moves, since the nets look at the last eight positions; an EPD opening is its
position alone. Castling rights in Shredder-FEN or X-FEN make a start position of Chess960.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

import chess

from arena.game import Opening, written
from arena.start_positions import check_not_over, start_board, start_fen


def decode(text: bytes) -> str:
    """Decode UTF-8, with or without a byte order mark, else ISO 8859-1, PGN's first encoding."""
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError:
        return text.decode("latin-1")


# --- EPD ---

LINE = re.compile(rb"[^\r\n]+")
OPERATION = re.compile(r"""\s*(?P<code>[^\s;"]+)\s*(?P<operand>(?:"[^"]*"|[^;"])*)(?:;|$)""")


def epd_spans(content: bytes) -> Iterator[tuple[int, int]]:
    """Find the lines that are neither blank nor a comment."""
    for match in LINE.finditer(content):
        text = match.group().strip()
        if text and not text.startswith(b"#"):
            yield match.span()


def epd_opening(line: str) -> Opening:
    """Read four fields and EPD operations, or a FEN of six fields, or a mixture.

    Of the operations, ``id`` gives the name, ``hmvc`` and ``fmvn`` the two counters; the others
    are ignored, also where they would be wrong.
    """
    fields = line.split(maxsplit=4)
    if len(fields) < 4:
        raise ValueError(f"not an EPD or FEN line: {line.strip()[:80]!r}")
    counters = re.match(r"(\d+)\s+(\d+)(?!\S)", fields[4]) if len(fields) == 5 else None
    operations: dict[str, str] = {}
    if len(fields) == 5:
        for match in OPERATION.finditer(fields[4], counters.end() if counters else 0):
            operations[match["code"]] = match["operand"].strip().strip('"')
    clock, move_number = counters.groups() if counters else ("0", "1")
    clock = operations.get("hmvc", clock)
    move_number = operations.get("fmvn", move_number)
    board = start_board(" ".join([*fields[:4], clock, move_number]))
    check_not_over(board)
    return Opening(start_fen(board), (), operations.get("id", ""))


# --- PGN ---

COMMENT = re.compile(rb"\{[^}]*\}|;[^\r\n]*")
RESULTS = ("*", "1-0", "0-1", "1/2-1/2")
RESULT_AT_END = re.compile(rb"(?:^|[\s)])(?:\*|1-0|0-1|1/2-1/2)$")
TAG = re.compile(r"""\[\s*(?P<name>\w+)\s+"(?P<value>(?:[^"\\]|\\.)*)"\s*\]""")
VITAL_TAG = re.compile(r"\s*\[\s*(?:fen|variant)\b", re.IGNORECASE)
TOKEN = re.compile(r"""\{[^}]*\}|;[^\r\n]*|^%[^\r\n]*|[(){}]|\$\d+|[^\s(){};$]+|\S""", re.MULTILINE)
MOVE_NUMBER = re.compile(r"\d+(?:\.+|$)|\.+")
SAME_RULES = {"", "?", "standard", "chess", "normal", "from position"}
CHESS960 = {"chess960", "chess 960", "fischerandom", "fischerrandom"}
"""What the tag Variant says of Chess960 (cutechess and fastchess: fischerandom)."""


def pgn_spans(content: bytes) -> Iterator[tuple[int, int]]:
    """Find the games, tags included.

    A game ends with its result, with a blank line after its moves, or where another game's tags
    begin. What looks like any of these inside a comment does not count.
    """
    start: int | None = None
    preface = 0  # where the last line began that was not all inside a comment
    has_moves = has_gap = in_comment = False
    position = 0
    for line in content.splitlines(keepends=True):
        begin, position = position, position + len(line)
        text = line.strip().removeprefix(b"\xef\xbb\xbf")
        if not in_comment:
            if text.startswith(b"%"):
                continue
            is_tag = text.startswith(b"[")
            ends = (has_moves or has_gap) if is_tag else (has_moves and not text)
            if start is not None and ends:
                yield start, begin
                start, has_moves, has_gap = None, False, False
            if is_tag:
                start = begin if start is None else start
                continue
            if not text:
                has_gap = start is not None
                continue
            preface = begin
        text, in_comment = without_comments(text, in_comment)
        if text:
            start = preface if start is None else start
            has_moves = True
            if RESULT_AT_END.search(text):
                yield start, position
                start, has_moves, has_gap = None, False, False
    if start is not None:
        yield start, len(content)


def without_comments(text: bytes, in_comment: bool) -> tuple[bytes, bool]:
    """Return one line's moves, and whether a comment is still open at its end."""
    if in_comment:
        _, closed, text = text.partition(b"}")
        if not closed:
            return b"", True
    if b"{" in text or b";" in text:
        text = COMMENT.sub(b"", text)
        text, opened, _ = text.partition(b"{")
        return text.strip(), bool(opened)
    return text.strip(), False


def pgn_opening(game: str, plies: int | None = None) -> Opening:
    """Read the main line of a game, from its FEN tag or the start position.

    What comes after ``plies`` of its moves is not looked at. Raises ValueError, saying what is
    wrong, also where the game is over by then.
    """
    tags, movetext = _split_game(game)
    variant = tags.get("variant", "")
    if variant.lower() not in SAME_RULES | CHESS960:
        raise ValueError(f"the variant {variant!r} is not supported")
    board = start_board(tags.get("fen", chess.STARTING_FEN))
    fen = start_fen(board)
    moves = []
    for san in islice(main_line(movetext), plies):
        try:
            move = board.parse_san(san)
        except ValueError:
            move = chess.Move.null()
        if not move:
            number = f"{board.fullmove_number}{'.' if board.turn == chess.WHITE else '...'}"
            raise ValueError(f"{number} {san} is not a legal move")
        moves.append(written(board, move))
        board.push(move)
    check_not_over(board)
    return Opening(fen, tuple(moves), opening_name(tags))


def _split_game(game: str) -> tuple[dict[str, str], str]:
    """Return the tags by their names in lower case, and the text of the moves."""
    tags: dict[str, str] = {}
    lines = re.split(r"\r\n?|\n", game)
    while lines and (not lines[0].strip() or lines[0].lstrip()[0] in "[%"):
        line = lines.pop(0)
        for match in TAG.finditer(line):
            tags[match["name"].lower()] = re.sub(r"\\(.)", r"\1", match["value"]).strip()
        if not tags.keys() & {"fen", "variant"} and VITAL_TAG.match(line):
            raise ValueError(f"unreadable tag {line.strip()}")
    return tags, "\n".join(lines)


def main_line(movetext: str) -> Iterator[str]:
    """Find the moves in SAN up to the result, without comments, variations, numbers and glyphs."""
    depth = 0
    for match in TOKEN.finditer(movetext):
        token = match.group()
        if token == "{":
            raise ValueError("a comment is opened with '{' and never closed")
        if token[0] in "{;%$":
            continue
        if token in "()":
            depth += 1 if token == "(" else -1
        elif depth == 0:
            if token in RESULTS:
                return
            san = token[number.end() :] if (number := MOVE_NUMBER.match(token)) else token
            san = san.rstrip("!?")
            if san and san != "e.p.":
                yield san
    if depth != 0:
        raise ValueError("a variation is opened with '(' and never closed, or the reverse")


def opening_name(tags: dict[str, str]) -> str:
    """Return the opening's ECO code and name where a tag gives them, else the event."""
    parts = [tags[tag] for tag in ("eco", "opening") if tags.get(tag, "?") not in ("", "?")]
    event = tags.get("event", "?")
    return " ".join(parts) or ("" if event == "?" else event)
