"""Training records of human games: what Maia's nets were trained on, and feel at home in."""

from __future__ import annotations

import gzip
from pathlib import Path

import chess
import chess.pgn
import numpy as np
from test_record_planes import Replay

from swa.chunks import write_chunk
from swa.policy_map import MOVES
from swa.records import V6

INDEX = {name: index for index, name in enumerate(MOVES)}

RESULTS = {"1-0": 1, "1/2-1/2": 0, "0-1": -1}
"""As white sees it."""


def index_of(board: chess.Board, move: chess.Move) -> int:
    """A move's place in the policy: seen by its side, castling onto the rook."""
    target = move.to_square
    if board.is_castling(move):
        file = 7 if chess.square_file(target) == 6 else 0
        target = chess.square(file, chess.square_rank(target))
    flip = 56 if board.turn == chess.BLACK else 0
    name = chess.square_name(move.from_square ^ flip) + chess.square_name(target ^ flip)
    if move.promotion and move.promotion != chess.KNIGHT:
        name += chess.piece_symbol(move.promotion)
    return INDEX[name]


def write_games(pgn: Path, folder: Path, games: int) -> None:
    """The first games of a file, a file of records each."""
    with gzip.open(pgn, "rt", encoding="utf-8", errors="replace") as text:
        for number in range(games):
            game = chess.pgn.read_game(text)
            assert game is not None
            moves = list(game.mainline_moves())
            result = RESULTS[game.headers["Result"]]
            replay, records = Replay(game.board()), np.zeros(len(moves), V6)
            for record, move in zip(records, moves, strict=True):
                board = replay.board
                masks, values = replay.planes()
                bits = np.unpackbits(np.array(masks[:104], "<u8").view(np.uint8), bitorder="little")
                record["planes"] = np.packbits(bits, bitorder="big").view("<u8")
                record["version"], record["input_format"] = 6, 1
                record["probabilities"] = -1
                for legal in board.legal_moves:
                    record["probabilities"][index_of(board, legal)] = 0
                record["probabilities"][index_of(board, move)] = 1
                names = ("us_ooo", "us_oo", "them_ooo", "them_oo")
                for place, name in enumerate(names, start=104):
                    record[f"castling_{name}"] = masks[place] != 0
                record["side_to_move"], record["rule50"] = board.turn == chess.BLACK, values[109]
                record["result_q"] = result if board.turn == chess.WHITE else -result
                record["result_d"] = result == 0
                record["visits"] = 1
                record["played_idx"] = record["best_idx"] = index_of(board, move)
                replay.push(move)
            write_chunk(folder / f"game-{number:03}.gz", records)
