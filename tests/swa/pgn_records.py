"""Training records of human games: what Maia's nets were trained on, and feel at home in."""

from __future__ import annotations

import gzip
from pathlib import Path

import chess
import chess.pgn
import numpy as np
from policy_index import index_of
from test_record_planes import Replay

from swa.chunks import write_chunk
from swa.records import V6

RESULTS = {"1-0": 1, "1/2-1/2": 0, "0-1": -1}
"""As white sees it."""


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
