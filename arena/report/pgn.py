"""games.pgn, for every program that reads chess games: derived from the ledger, never stored first.

The ledger is the one source of a match; this file can be deleted and written again, byte for byte.
A comment ``{book}`` marks a move of the opening; every other move carries ``{+0.35/100}`` as
fastchess and cutechess write it, the mover's evaluation in pawns before the slash. Behind it, where
an alpha-beta engine has its depth, stand the visits of the root. Where players are engines or have
clocks it is ``{+0.35/18 0.123s, n=5000 [%clk 0:00:59.877]}``: an engine's depth and nodes as they
do, the seconds spent, and what the clock shows after the move as lichess and python-chess read it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import chess

from arena.game import GameRecord, Opening, PairRecord, Remark
from arena.ledger import GAMES_FILE, impossible_game
from arena.report.characters import printable
from arena.report.files import atomic_writer
from arena.report.notation import Notation
from arena.scores import centipawns

LINE_WIDTH = 80
"""Columns of the move text (PGN standard, section 8.2.1)."""


@dataclass(frozen=True, slots=True)
class MatchTags:
    """What the headers of every game of a match have in common."""

    baseline: str
    candidate: str
    visits: int
    date: str | None = None  # ISO: "2025-01-31"
    of_sides: tuple[Mapping[str, str], Mapping[str, str]] | None = None
    """Tags of baseline and candidate, without White or Black; None: ``visits`` says it all."""


def write_pgn(path: Path, pairs: Iterable[PairRecord], tags: MatchTags) -> None:
    """Write both games of each pair, in the order given; the file appears whole or not at all.

    Raises OSError where the file cannot be written.
    """
    notation = Notation()
    with atomic_writer(path) as file:
        for pair in pairs:
            for number, game in enumerate(pair.games, start=1):
                write_game(file, pair, number, game, tags, notation)


def write_game(
    file: TextIO,
    pair: PairRecord,
    number: int,
    game: GameRecord,
    tags: MatchTags,
    notation: Notation | None = None,
) -> None:
    """Write one game, the ``number``-th of its pair (1 or 2), and an empty line.

    ``notation`` may be that of the game before. Raises LedgerError where a move is illegal.
    """
    opening = pair.opening
    board = opening.board()
    for name, value in _headers(board, pair, number, game, tags):
        file.write(f'[{name} "{header_value(value)}"]\n')
    file.write("\n")
    try:
        sans = (notation or Notation()).moves(board, (*opening.moves, *game.moves))
    except ValueError as error:
        raise impossible_game(
            f"{GAMES_FILE}, pair {pair.number + 1}, game {number}", error
        ) from error
    words = [*_move_text(board, opening, game, sans), *_after(game), game.result]
    _write_wrapped(file, words)
    file.write("\n")


def _headers(
    board: chess.Board, pair: PairRecord, number: int, game: GameRecord, tags: MatchTags
) -> Iterator[tuple[str, str]]:
    """Yield the seven tags that PGN asks for, in its order, then ours. Pairs are counted from 1."""
    nets = (tags.candidate, tags.baseline)
    white, black = nets if game.candidate_white else nets[::-1]
    yield "Event", f"{tags.candidate} against {tags.baseline}"
    yield "Site", "?"
    yield "Date", tags.date.replace("-", ".") if tags.date else "????.??.??"
    yield "Round", f"{pair.number + 1}.{number}"
    yield "White", white
    yield "Black", black
    yield "Result", game.result
    if pair.opening.name:
        yield "Opening", pair.opening.name
    if board.chess960:
        yield "Variant", "Chess960"
    start = board.fen()
    if start != chess.STARTING_FEN:
        yield "SetUp", "1"
        yield "FEN", start
    yield "PlyCount", str(len(pair.opening.moves) + len(game.moves))
    yield "Termination", game.termination.value
    if tags.of_sides is None:
        yield "Visits", str(tags.visits)
        return
    sides = tags.of_sides[::-1] if game.candidate_white else tags.of_sides
    clocks = {side.get("TimeControl") for side in sides}
    if len(clocks) == 1 and (clock := clocks.pop()) is not None:
        yield "TimeControl", clock
    for colour, side in zip(("White", "Black"), sides, strict=True):
        for name, value in side.items():
            if name != "TimeControl" or clocks:
                yield f"{colour}{name}", value


def header_value(text: str) -> str:
    r"""Return text that no reader of PGN can misread inside the quotes of a header.

    The standard escapes ``"`` and ``\`` with a backslash, python-chess does not, so both become
    characters that need no escape. Whatever is not printable becomes a space.
    """
    return printable(text.replace('"', "'").replace("\\", "/")) or "?"


def _move_text(
    board: chess.Board, opening: Opening, game: GameRecord, sans: Sequence[str]
) -> Iterator[str]:
    """Words of the move text: numbers, moves in SAN and their comments."""
    comments = ["{book}"] * len(opening.moves)
    remarks: tuple[Remark | None, ...] = game.remarks or (None,) * len(game.moves)
    comments += map(_comment, game.q, game.visits, remarks)
    begun = 2 * board.fullmove_number + (board.turn == chess.BLACK)  # half moves
    for half, san, comment in zip(itertools.count(begun), sans, comments, strict=False):
        if half % 2 == 0:
            yield f"{half // 2}."
        elif half == begun:
            yield f"{half // 2}..."
        yield san
        yield comment
    if game.forfeit:
        loser = "Black" if (begun + len(sans)) % 2 else "White"
        what = printable(f"{loser}: {game.termination}: {game.forfeit}")
        yield "{" + what.replace("{", "(").replace("}", ")") + "}"


def _comment(q: float, visits: int, remark: Remark | None) -> str:
    """What is known of a move; no remark where the game has none."""
    score = f"{centipawns(q) / 100:+.2f}"
    if remark is None:
        return f"{{{score}/{visits}}}"
    words = f"{remark.score or score}/{remark.depth or visits} {remark.seconds:.3f}s"
    if remark.depth:
        words += f", n={visits}"
    if remark.clock is not None:
        minutes, seconds = divmod(remark.clock, 60)
        words += f" [%clk {int(minutes) // 60}:{int(minutes) % 60:02}:{seconds:06.3f}]"
    return f"{{{words}}}"


def _after(game: GameRecord) -> list[str]:
    """Words of a comment on how an adjudicated game went on for the audit, if it did."""
    if (after := game.played_on) is None:
        return []
    count = len(after.moves)
    plies = f"{count:,} {'ply' if count == 1 else 'plies'}"
    return f"{{played on for {plies}: {after.result}, {after.termination}}}".split()


def _write_wrapped(file: TextIO, words: Iterable[str]) -> None:
    column = 0
    for word in words:
        if column and column + 1 + len(word) > LINE_WIDTH:
            file.write("\n")
            column = 0
        file.write(f" {word}" if column else word)
        column += len(word) + (1 if column else 0)
    file.write("\n")
