"""Start positions of Chess960: read, played, refereed, written; refused where a net is lost."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import chess
import chess.pgn
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_match import pair as scripted_pair
from test_openings import book_of

from arena.boards import board_of, legal_uci, position_of, replay
from arena.books import BookFormat, Dealing
from arena.cli import main
from arena.config import SearchParams
from arena.engine_identity import find_engine
from arena.game import FORFEITS, GameRecord, GameTask, Opening, PairRecord, Termination, written
from arena.lane import _uci_moves
from arena.ledger import decode_pair, encode_pair
from arena.openings import Deck, final_position, read_book
from arena.players import EnginePlayer, Limits, NetPlayer
from arena.referee import RefereeError, check_game
from arena.report.pgn import MatchTags, write_game
from arena.search import BatchedSearch
from arena.search_settings import Player
from arena.selfplay import _Dealer
from arena.selfplay_config import SelfplayConfig
from arena.stand_ins import HashEvaluator
from arena.start_positions import OpeningError, legal_board, start_board, start_fen
from swa.spec import InputFormat

STANDARD = 518
"""The number of the ordinary start position among the 960."""

NUMBERS = st.integers(0, 959).filter(lambda number: number != STANDARD)


def start(number: int) -> chess.Board:
    return chess.Board.from_chess960_pos(number)


def opening(number: int) -> Opening:
    return Opening(start(number).fen(shredder=True))


# --- reading ---


def test_every_start_position_is_read_in_both_spellings() -> None:
    ordinary = 0
    for number in range(960):
        board = start(number)
        read = [start_board(board.fen(shredder=shredder)) for shredder in (False, True)]
        assert read[0] == read[1] == board
        standard = str(board.piece_at(chess.E1)) == "K" and all(
            str(board.piece_at(corner)) == "R" for corner in (chess.A1, chess.H1)
        )
        ordinary += standard
        assert {one.chess960 for one in read} == {not standard}
        assert {start_fen(one) for one in read} == {board.fen(shredder=not standard)}
        assert Opening(start_fen(read[0])).chess960 is not standard
    # King and rooks as in ordinary chess leave three light and two dark squares for the bishops,
    # then three for the queen.
    assert ordinary == 18


def test_lines_and_games_of_chess960_are_the_same_opening() -> None:
    board = start(0)  # BBQNNRKR
    lines = "\n".join([board.fen(shredder=True), board.fen(), board.epd(), f"{board.epd()} id x;"])
    found = [book_of(lines, BookFormat.EPD).opening(index) for index in range(4)]
    assert found == [opening(0), opening(0), opening(0), replace(opening(0), name="x")]
    for variant in ("Chess960", "fischerandom", "Fischerrandom", "chess 960"):
        game = f'[Variant "{variant}"]\n[FEN "{board.fen()}"]\n\n1. g3 g6 2. Nd3 *'
        moves = ("g2g3", "g7g6", "e1d3")
        assert book_of(game).opening(0) == replace(opening(0), moves=moves)


def test_castling_is_written_as_everywhere_but_where_only_chess960_knows_it() -> None:
    pieces = "r1k4r/pppppppp/8/8/8/8/PPPPPPPP/R1K4R"
    game = f'[FEN "{pieces} w KQkq - 0 1"]\n\n1. O-O O-O-O *'
    assert book_of(game).opening(0) == Opening(f"{pieces} w HAha - 0 1", ("c1h1", "c8a8"))
    mixed = "1r2k2r/8/8/8/8/8/8/1R2K2R"  # one rook on its own square, the other one not
    read = book_of(f'[FEN "{mixed} w KQkq - 0 1"]\n\n1. O-O O-O-O *').opening(0)
    assert read == Opening(f"{mixed} w HBhb - 0 1", ("e1g1", "e8b8"))
    board = read.board()
    assert written(board, board.parse_uci("e1h1")) == "e1g1"


@pytest.mark.parametrize(
    ("fen", "reason"),
    [
        ("4k3/8/8/8/8/8/8/4K3 w K - 0 1", "bad castling rights"),
        ("4k3/8/8/8/8/8/4K3/7R w K - 0 1", "bad castling rights"),
        ("rk6/8/8/8/8/8/8/RK5R w HAha - 0 1", "bad castling rights"),
        ("8/8/8/8/8/8/8/1R2K2R w HB - 0 1", "no black king"),
    ],
)
def test_rights_of_no_game_are_refused(fen: str, reason: str) -> None:
    with pytest.raises(ValueError, match=rf"impossible position \(.*{reason}"):
        start_board(fen)


def test_double_chess960_has_another_back_rank_for_each_side() -> None:
    fen = "bqnrkrnb/pppppppp/8/8/8/8/PPPPPPPP/RKRBBNQN w CAfd - 0 1"
    board = start_board(fen)
    assert board.chess960
    assert start_fen(board) == fen


def test_what_is_standard_chess_stays_it() -> None:
    board = start_board("r3k2r/8/8/8/8/8/8/R3K2R w HAha - 0 1")  # Shredder's spelling of KQkq
    assert not board.chess960
    assert start_fen(board) == "r3k2r/8/8/8/8/8/8/R3K2R w KQkq - 0 1"
    with pytest.raises(ValueError, match="bad castling rights"):  # records know no Chess960
        legal_board(start(0).fen())


# --- who can play it ---


def test_a_net_that_knows_no_rooks_is_not_given_chess960() -> None:
    assert not InputFormat.CLASSICAL_112_PLANE.knows_chess960
    board = start(7)
    book = book_of(f"{chess.STARTING_FEN}\n{board.fen()}\n", BookFormat.EPD)
    order = Dealing(order="sequential")
    deck = Deck(book, order, novices=["maia-1100"])
    assert deck.opening(0) == Opening(chess.STARTING_FEN)
    with pytest.raises(OpeningError, match="castling as in Chess960") as caught:
        deck.opening(1)
    assert "maia-1100 cannot play it" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 3
    assert Deck(book, order).opening(1) == opening(7)


def test_positions_without_such_castling_are_for_everybody() -> None:
    board = start(7)
    board.castling_rights = chess.BB_EMPTY
    deck = Deck(book_of(board.fen(), BookFormat.EPD), novices=["maia-1100"])
    assert not deck.opening(0).chess960


def test_self_play_refuses_what_records_cannot_hold(tmp_path: Path) -> None:
    (tmp_path / "960.epd").write_text(start(7).fen())
    config = SelfplayConfig(net=NetPlayer(path=tmp_path / "net"), out=tmp_path / "out")
    with pytest.raises(OpeningError, match="castling as in Chess960"):
        _Dealer(config, read_book(tmp_path / "960.epd")).task(0)


# --- playing ---


@given(NUMBERS, st.randoms(use_true_random=False))
def test_kernel_and_python_chess_agree_on_moves(number: int, luck) -> None:
    """Knights and bishops are taken off first, so that castling comes soon."""
    board = start(number)
    for square, piece in board.piece_map().items():
        if piece.piece_type in (chess.KNIGHT, chess.BISHOP, chess.QUEEN):
            board.remove_piece_at(square)
    for _ in range(12):
        moves = list(board.legal_moves)
        position = position_of(board)
        assert sorted(legal_uci(position)) == sorted(written(board, move) for move in moves)
        again = board_of(position, board.ply())
        assert again.epd() == board.epd()
        assert {*again.legal_moves} == {*moves} or not again.chess960
        if not moves or board.is_insufficient_material():
            break
        castling = [move for move in moves if board.is_castling(move)]
        board.push(luck.choice(castling or moves))


@pytest.mark.parametrize(
    ("pieces", "moves"),
    [
        ("r3kr2/pppppppp/8/8/8/8/PPPPPPPP/R3KR2", ("e1f1", "e8c8")),
        ("1r2k1r1/pppppppp/8/8/8/8/PPPPPPPP/1R2K1R1", ("e1g1", "e8b8")),
        ("3rk2r/pppppppp/8/8/8/8/PPPPPPPP/3RK2R", ("e1d1", "e8g8")),
        ("1k4r1/pppppppp/8/8/8/8/PPPPPPPP/1K4R1", ("b1g1", "b8g8")),
        ("rk5r/pppppppp/8/8/8/8/PPPPPPPP/RK5R", ("b1a1", "b8h8")),
    ],
)
def test_the_kernel_spells_castling_as_the_rest_does(pieces: str, moves: tuple[str, ...]) -> None:
    rights = "Kk" if pieces.startswith("1k") else "KQkq"
    start = start_board(f"{pieces} w {rights} - 0 1")
    line, indices = replay(start, moves, 3)
    assert tuple(_uci_moves(line.positions[0], indices)) == moves
    after = board_of(line.positions[2], 2)
    board = start.copy()
    for text in moves:
        move = board.parse_uci(text)
        assert board.is_castling(move)
        assert written(board, move) == text
        board.push(move)
    assert after.board_fen() == board.board_fen()


@pytest.fixture(scope="module")
def played() -> list[tuple[Opening, GameRecord]]:
    """Games from start positions without the pieces between kings and rooks."""
    starts = []
    for number in range(0, 960, 30):
        board = start(number)
        for square, piece in board.piece_map().items():
            if piece.piece_type not in (chess.KING, chess.ROOK, chess.PAWN):
                board.remove_piece_at(square)
        starts.append(Opening(start_fen(start_board(board.fen()))))
    tasks = [GameTask(pair, True, one, white=0, black=1) for pair, one in enumerate(starts)]
    params = SearchParams(visits=4)
    players = [Player(f"net {seed}", HashEvaluator(seed), params) for seed in (1, 2)]
    search = BatchedSearch(players, parallel=16, lanes=1)
    return [(game.task.opening, game.record) for game in search.play([iter(tasks)])]


def castlings(start: Opening, game: GameRecord) -> list[str]:
    board, found = final_position(start), []
    for text in game.moves:
        move = board.parse_uci(text)
        if board.is_castling(move):
            found.append(text)
        board.push(move)
    return found


def test_games_are_what_python_chess_makes_of_them(played) -> None:
    found = []
    for start_position, game in played:
        check_game(start_position, game)
        found += castlings(start_position, game)
    takes_rook = [text for text in found if text not in ("e1g1", "e1c1", "e8g8", "e8c8")]
    assert len(takes_rook) >= 10


def test_the_ledger_and_the_pgn_keep_them(played) -> None:
    shortest = sorted(played, key=lambda one: len(one[1].moves))[:12]
    assert any(castlings(*one) for one in shortest)
    for start_position, game in shortest:
        other = replace(game, candidate_white=False)
        pair = PairRecord(0, start_position, (game, other))
        assert decode_pair(json.loads(encode_pair(pair))) == pair
        file = io.StringIO()
        write_game(file, pair, 1, game, MatchTags("raw", "swa", 4))
        read = chess.pgn.read_game(io.StringIO(file.getvalue()))
        assert read is not None
        assert read.errors == []
        assert read.headers.is_chess960() == start_position.chess960
        moves = [written(node.parent.board(), node.move) for node in read.mainline()]
        assert tuple(moves) == game.moves


def test_the_referee_wants_one_spelling() -> None:
    mixed = Opening("1r2k2r/8/8/8/8/8/8/1R2K2R w HBhb - 0 1")
    game = GameRecord(True, ("e1h1",), "1-0", Termination.RESIGNATION, (0.0,), (0.0,), (1,))
    with pytest.raises(RefereeError, match="e1h1 should be written e1g1"):
        check_game(mixed, game)
    check_game(mixed, replace(game, moves=("e1g1",)))
    check_game(mixed, replace(game, moves=("e1b1",)))
    with pytest.raises(RefereeError, match="e1c1 is not legal"):
        check_game(mixed, replace(game, moves=("e1c1",)))


def test_fingerprints_tell_starts_apart() -> None:
    one = scripted_pair(0, 1.0, 0.5)
    other = replace(one, opening=opening(7))
    assert one.result.fingerprints != other.result.fingerprints


# --- engines ---

FAKES = Path(__file__).parent / "fake_engines"


def test_an_engine_that_does_not_know_it_is_found_out_before_it_plays() -> None:
    player = EnginePlayer(
        command=sys.executable, args=(str(FAKES / "uci_engine.py"),), limits=Limits()
    )
    assert not find_engine(player).chess960


def test_stockfish_plays_chess960(tmp_path: Path) -> None:
    places = os.pathsep.join([os.environ.get("PATH", ""), "/usr/games"])
    if shutil.which("stockfish", path=places) is None:
        pytest.skip("needs stockfish: apt-get install stockfish")
    starts = "\n".join(start(number).fen() for number in (3, 400, 800))
    (tmp_path / "960.epd").write_text(starts)
    engine = ["--engine", "cmd=stockfish", "nodes=40"]
    words = ["--openings", str(tmp_path / "960.epd"), "--pairs", "3", "--no-sprt", "-q"]
    out = ["--parallel", "2", "--out", str(tmp_path / "run")]
    assert main(["run", *engine, "name=a", *engine[:2], "nodes=50", "name=b", *words, *out]) == 0
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert (summary["games"], summary["openings"]["chess960"]) == (6, 3)
    assert set(summary["terminations"]) <= {end.value for end in Termination} - FAULTS
    with (tmp_path / "run" / "games.pgn").open() as file:
        games = list(iter(lambda: chess.pgn.read_game(file), None))
    assert len(games) == 6
    assert all(game.headers.is_chess960() and not game.errors for game in games)


FAULTS = {end.value for end in FORFEITS}
