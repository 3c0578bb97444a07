"""Pairs of random legal games, as python-chess knows them."""

from __future__ import annotations

import random

import chess

from arena.game import GameRecord, Opening, PairRecord, Termination, written


def random_pair(number: int, opening: Opening, plies: int, seed: int = 0) -> PairRecord:
    """Both games are drawn, and are of so many plies unless they end before."""
    chance = random.Random(f"{seed} {number}")
    games = [_game(candidate_white, opening, plies, chance) for candidate_white in (True, False)]
    return PairRecord(number, opening, (games[0], games[1]))


def _game(candidate_white: bool, opening: Opening, plies: int, chance: random.Random) -> GameRecord:
    board = opening.board()
    for move in opening.moves:
        board.push_uci(move)
    moves: list[str] = []
    while len(moves) < plies and any(board.legal_moves):
        legal = sorted(board.legal_moves, key=chess.Move.uci)
        # Castling, captures and promotions first: they are rare otherwise.
        telling = [m for m in legal if board.is_castling(m) or m.promotion or board.is_capture(m)]
        move = chance.choice(telling if telling and chance.random() < 0.3 else legal)
        moves.append(written(board, move))
        board.push(move)
    return GameRecord(
        candidate_white=candidate_white,
        moves=tuple(moves),
        result="1/2-1/2",
        termination=Termination.THREEFOLD,
        q=(0.0,) * len(moves),
        d=(0.5,) * len(moves),
        visits=(1,) * len(moves),
    )
