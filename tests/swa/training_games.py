"""Files of records whose positions can be told apart, by game and ply."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from record_bytes import tar_of

from swa.chunks import pack_chunk
from swa.records import V6, Records

LENGTHS = (20, 1, 7, 33, 12, 2, 18, 25, 9, 40, 5, 16)
"""Positions of the games of ``mixed_files``."""


def game(number: int, length: int) -> Records:
    """A game of V6; ``number`` is its first plane, rule50 counts its positions."""
    dice = np.random.default_rng(number)
    records = np.zeros(length, V6)
    records["version"], records["input_format"] = 6, 1
    records["planes"][1:, 13] = 1  # a board before this one: the game does not begin here
    records["planes"][:, 0] = number + 1
    records["rule50"] = np.arange(length)
    records["probabilities"] = -1
    for record in records:
        moves = dice.choice(1858, dice.integers(1, 6), replace=False)
        record["probabilities"][moves] = dice.dirichlet(np.ones(len(moves)))
    records["result_q"] = dice.integers(-1, 2)
    records["result_d"] = records["result_q"] == 0
    records["best_q"] = dice.uniform(-0.5, 0.5, length)
    records["plies_left"] = np.arange(length, 0, -1)
    return records


def write_games(folder: Path, lengths: list[int], first: int = 0) -> Path:
    """A file for each game."""
    folder.mkdir(exist_ok=True)
    for number, length in enumerate(lengths, first):
        (folder / f"game-{number:04}.gz").write_bytes(pack_chunk(game(number, length)))
    return folder


def mixed_files(folder: Path) -> Path:
    """Twelve games: four in a tar, three in one file, one without gzip, the rest in files."""
    games = [game(number, length) for number, length in enumerate(LENGTHS)]
    packed = {f"{number}.gz": pack_chunk(records) for number, records in enumerate(games[:4])}
    (folder / "a.tar").write_bytes(tar_of(packed))
    (folder / "b.gz").write_bytes(pack_chunk(np.concatenate(games[4:7])))
    (folder / "c").write_bytes(games[7].tobytes())
    (folder / "LICENSE").write_text("not records")
    write_games(folder / "more", list(LENGTHS[8:]), 8)
    return folder


def identities(batch) -> list[tuple[int, int]]:
    """Game and ply of each position."""
    numbers = [int.from_bytes(int(mask).to_bytes(8, "little")[:1]) for mask in batch.masks[:, 0]]
    games = [int(f"{number:08b}"[::-1], 2) - 1 for number in numbers]
    return list(zip(games, batch.values[:, 109].astype(int).tolist(), strict=True))
