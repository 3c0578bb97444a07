"""Syzygy tables: what a position with few pieces is worth, and which moves keep its worth.

WDL tables (``.rtbw``) tell win, draw or loss of a position right after a capture or pawn move; DTZ
tables (``.rtbz``) tell in how many plies the next one can be forced. Under the 50-move rule a win
that takes longer ("cursed") is a draw, and so is a loss ("blessed"). python-chess reads the files
(``chess.syzygy``); the metrics are those of https://syzygy-tables.info/metrics.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import chess
import chess.syzygy

_MAGIC = {".rtbw": bytes.fromhex("71e8235d"), ".rtbz": bytes.fromhex("d7660ca5")}
_BLOCK, _REST = 64, 16
"""Every whole file has a length of 64 n + 16 bytes: blocks of data, and a checksum."""

DECISIVE = 2
"""WDL of a win that the 50-move rule does not take away; -2 of such a loss."""

_SURE = 1000
"""Rank of a move that wins, or of one that loses, whatever the 50-move count (lc0)."""


class TablebaseError(ValueError):
    """Tables that cannot be used: where, what is wrong, what to do."""


class RootMoves(NamedTuple):
    """The moves that keep what a position is worth, and whether DTZ tables told them."""

    moves: tuple[chess.Move, ...]
    by_dtz: bool


class Tablebase:
    """The tables of some folders, open until it is closed; to be asked from any thread.

    ``pieces`` is the most pieces on a board, kings included, at which they can be asked: that of
    the largest WDL table, or the limit that was given. Where two folders have the same table it is
    taken from the first. Not every table has to be there: what is lacking tells nothing.
    """

    def __init__(self, folders: Sequence[Path], pieces: int = 0):
        """Open the tables of ``folders``, of at most ``pieces`` pieces (0: all of them).

        Raises TablebaseError for a folder that cannot be read or has no tables, and for a file
        that is none or has been cut off.
        """
        found = _files_of(folders)
        self.pieces = max(map(_pieces, (path for path in found if path.suffix == ".rtbw")))
        if pieces:
            self.pieces = min(self.pieces, pieces)
        files = [path for path in found if _pieces(path) <= self.pieces]
        if not files:
            least = min(map(_pieces, found))
            raise TablebaseError(
                f"{folders[0]}: has no tables of {pieces} pieces or fewer\n"
                f"The smallest there have {least}: raise --tb-pieces."
            )
        self.files = len(files)
        listing = "".join(f"{path.name} {_checked_size(path)}\n" for path in files)
        self.sha256 = hashlib.sha256(listing.encode()).hexdigest()
        """Of the files' names and sizes, sorted: to read terabytes would take hours."""
        self._tables = chess.syzygy.Tablebase()
        for path in files:
            self._tables.add_file(str(path))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all files."""
        self._tables.close()

    def result(self, board: chess.Board) -> int | None:
        """Tell the mover's result with best play from both: 1, 0 or -1; None if it is not known.

        The moves since the last capture or pawn move (``board.halfmove_clock``) count: a win that
        comes too late is a draw. It is not known with castling rights, with more pieces than the
        tables have, where a table is lacking, and in the one case where DTZ's rounding (it may be
        a ply too low) decides. Earlier repetitions of the position are not looked at.
        Raises TablebaseError where a table cannot be read.
        """
        wdl = self.wdl(board)
        if wdl is None or abs(wdl) < DECISIVE:
            return None if wdl is None else 0
        won = 1 if wdl > 0 else -1
        if board.halfmove_clock == 0 or board.is_checkmate():
            return won
        dtz = self._ask(self._tables.probe_dtz, board)
        if dtz is None:
            return None
        zeroed_at = board.halfmove_clock + abs(dtz)
        if zeroed_at == 100:
            return None
        return won if zeroed_at < 100 else 0

    def wdl(self, board: chess.Board) -> int | None:
        """Tell the mover's WDL as if a capture or pawn move came just before: 2, 1, 0, -1, -2.

        1 is a cursed win, -1 a blessed loss. None where it is not known, as in ``result``.
        """
        if board.castling_rights or chess.popcount(board.occupied) > self.pieces:
            return None
        return self._ask(self._tables.probe_wdl, board)

    def root_moves(
        self, board: chess.Board, repeated: bool = False, shortest: bool = False
    ) -> RootMoves | None:
        """Choose among the legal moves as lc0 does at the root; None if the tables do not know all.

        By DTZ tables all moves are alike that win before the 50-move rule can come in; where it
        is near, a position since the last capture or pawn move was ``repeated``, or the
        ``shortest`` are asked for, only those of the least DTZ are left. A lost position allows
        every move that loses, or where it is near, those that come closest to the rule. Without
        DTZ tables it is by WDL alone, which may go in circles. (lc0 src/syzygy/syzygy.cc,
        ``root_probe`` and ``root_probe_wdl``; src/search/classic/search.cc, MakeRootMoveFilter,
        where ``shortest`` is SyzygyFastPlay.) Raises TablebaseError where a table cannot be read.
        """
        if board.castling_rights or chess.popcount(board.occupied) > self.pieces:
            return None
        moves = list(board.legal_moves)
        clock, hurry = board.halfmove_clock, repeated or shortest
        dtzs = self._of_moves(board, moves, self._dtz_after)
        if dtzs is not None:
            return RootMoves(_best(moves, [_rank(dtz, clock, hurry) for dtz in dtzs]), True)
        wdls = self._of_moves(board, moves, self._wdl_after)
        return None if wdls is None else RootMoves(_best(moves, wdls), False)

    def _of_moves(
        self,
        board: chess.Board,
        moves: Iterable[chess.Move],
        value: Callable[[chess.Board], int | None],
    ) -> list[int] | None:
        """Value the positions after all moves; None if one of them is not known."""
        board = board.copy(stack=False)
        values = []
        for move in moves:
            board.push(move)
            found = value(board)
            board.pop()
            if found is None:
                return None
            values.append(found)
        return values

    def _wdl_after(self, board: chess.Board) -> int | None:
        wdl = self.wdl(board)
        return None if wdl is None else -wdl

    def _dtz_after(self, board: chess.Board) -> int | None:
        """DTZ of the move that led here, for who made it, counted from before the move."""
        if board.halfmove_clock == 0:
            wdl = self.wdl(board)
            return None if wdl is None else (0, 101, 1, -1, -101)[-wdl]
        dtz = self._ask(self._tables.probe_dtz, board)
        if dtz is None:
            return None
        if dtz == -1 and board.is_checkmate():
            return 1
        return (dtz < 0) - (dtz > 0) - dtz

    def _ask(self, probe: Callable[[chess.Board], int], board: chess.Board) -> int | None:
        try:
            return probe(board)
        except KeyError:  # chess.syzygy.MissingTableError among them
            return None
        except Exception as error:  # of damaged files python-chess promises nothing
            raise TablebaseError(
                f"the tables fail at {board.fen()}: {error or type(error).__name__}\n"
                "A file is damaged: compare their checksums, and load it again."
            ) from error


def _rank(dtz: int, clock: int, hurry: bool) -> int:
    """Rank of a move by its DTZ, the higher the better (lc0 root_probe)."""
    if dtz > 0:
        return _SURE if dtz + clock <= 99 and not hurry else _SURE - (dtz + clock)
    if dtz < 0:
        return -_SURE if -2 * dtz + clock < 100 else -_SURE + (clock - dtz)
    return 0


def _best(moves: Sequence[chess.Move], ranks: Sequence[int]) -> tuple[chess.Move, ...]:
    best = max(ranks, default=0)
    return tuple(move for move, rank in zip(moves, ranks, strict=True) if rank == best)


# --- files ---


def _files_of(folders: Sequence[Path]) -> list[Path]:
    """All table files by name, each once; TablebaseError for a folder without any."""
    files: dict[str, Path] = {}
    for folder in folders:
        try:
            entries = sorted(folder.iterdir())
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise TablebaseError(
                f"{folder}: cannot be read: {reason}\n"
                "--tb wants the folder that holds Syzygy tables (.rtbw, .rtbz)."
            ) from None
        tables = [path for path in entries if _is_table(path)]
        if not any(path.suffix == ".rtbw" for path in tables):
            below = next((path for path in entries if path.is_dir() and _has_tables(path)), None)
            hint = f"They are in {below}." if below else "Files are named like KQvK.rtbw."
            raise TablebaseError(f"{folder}: has no Syzygy WDL tables\n{hint}")
        for path in tables:
            files.setdefault(path.name, path)
    return [files[name] for name in sorted(files)]


def _is_table(path: Path) -> bool:
    return path.suffix in _MAGIC and chess.syzygy.is_tablename(path.stem)


def _has_tables(folder: Path) -> bool:
    try:
        return any(_is_table(path) for path in folder.iterdir())
    except OSError:
        return False


def _pieces(path: Path) -> int:
    """Pieces of a table: of KQvKR.rtbw four."""
    return len(path.stem) - 1


def _checked_size(path: Path) -> int:
    """Bytes of a file; TablebaseError if it is no table, or not a whole one."""
    try:
        with path.open("rb") as file:
            whole = file.read(4) == _MAGIC[path.suffix]
        size = path.stat().st_size
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise TablebaseError(f"{path}: cannot be read: {reason}") from None
    if not whole or size % _BLOCK != _REST:
        raise TablebaseError(
            f"{path}: not a whole Syzygy table ({size:,} bytes)\nLoad it again, or remove it."
        )
    return size
