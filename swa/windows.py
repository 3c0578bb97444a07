"""Positions in memory to be trained on, a window of them: gathered once, taken in any order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from swa import planes
from swa.batches import Batch
from swa.spec import PLANES


class TrainingBatch(NamedTuple):
    """B positions with M legal moves in all, and what a net should say of them."""

    masks: NDArray[np.uint64]  # [B, 112] packed planes (swa.planes)
    values: NDArray[np.float32]  # [B, 112]
    moves: NDArray[np.uint16]  # [M] policy indices of the legal moves, position after position
    offsets: NDArray[np.int64]  # [B + 1] position b has moves[offsets[b] : offsets[b + 1]]
    policy: NDArray[np.float32]  # [M] target probabilities; a position's add up to 1
    result: NDArray[np.float32]  # [B, 3] win, draw, loss of the game, the side to move's view
    searched: NDArray[np.float32]  # [B, 3] the same after the search, of its best move; or NaN
    plies_left: NDArray[np.float32]  # [B] to the game's end; NaN where the record does not know


class Game(NamedTuple):
    """Which game it is, whatever the order of reading."""

    file: int
    number: int  # in the file


class Positions(NamedTuple):
    """n positions with M legal moves in all, 1.1 kB each; ``TrainingBatch`` tells the fields."""

    masks: NDArray[np.uint64]
    rule50: NDArray[np.float32]  # [n] the one plane whose value is not 1
    moves: NDArray[np.uint16]
    offsets: NDArray[np.int64]
    policy: NDArray[np.float32]
    result: NDArray[np.float32]
    searched: NDArray[np.float32]
    plies_left: NDArray[np.float32]
    games: tuple[Game, ...]
    bounds: NDArray[np.int64]  # [games + 1] game g has the positions bounds[g] : bounds[g + 1]

    def rows(
        self, take: Callable[[Game, int], NDArray[np.bool_]] | None = None
    ) -> NDArray[np.int64]:
        """All positions by game, whatever the order of reading; or those that ``take`` says.

        ``take`` is given a game and how many positions it has.
        """
        found = [np.zeros(0, np.int64)]
        for place in sorted(range(len(self.games)), key=self.games.__getitem__):
            rows = np.arange(self.bounds[place], self.bounds[place + 1])
            found.append(rows[take(self.games[place], len(rows))] if take else rows)
        return np.concatenate(found)

    def take(self, rows: NDArray[np.int64]) -> TrainingBatch:
        """The positions at ``rows``."""
        counts = self.offsets[rows + 1] - self.offsets[rows]
        offsets = np.concatenate([[0], np.cumsum(counts)])
        places = np.arange(offsets[-1]) + np.repeat(self.offsets[rows] - offsets[:-1], counts)
        values = np.ones((len(rows), PLANES), np.float32)
        values[:, planes.RULE50] = self.rule50[rows]
        return TrainingBatch(
            masks=self.masks[rows],
            values=values,
            moves=self.moves[places],
            offsets=offsets,
            policy=self.policy[places],
            result=self.result[rows],
            searched=self.searched[rows],
            plies_left=self.plies_left[rows],
        )


class _Column:
    """An array that grows in place: joining pieces would take their memory a second time."""

    def __init__(self, kind: type[np.generic], *shape: int) -> None:
        self._array: NDArray[Any] = np.zeros((0, *shape), kind)
        self._size = 0

    def add(self, part: NDArray[Any]) -> None:
        """Append rows."""
        size = self._size + len(part)
        if size > len(self._array):
            self._resize(size + size // 8)
        self._array[self._size : size] = part
        self._size = size

    def whole(self) -> NDArray[Any]:
        """All rows; nothing is added after it."""
        self._resize(self._size)
        return self._array

    def _resize(self, size: int) -> None:
        self._array.resize((size, *self._array.shape[1:]), refcheck=False)  # nobody else has it


class Gathering:
    """Positions that are being read."""

    def __init__(self) -> None:
        # In the order of the fields of Positions; lengths in place of offsets.
        self._columns = {
            "masks": _Column(np.uint64, PLANES),
            "rule50": _Column(np.float32),
            "moves": _Column(np.uint16),
            "lengths": _Column(np.int64),
            "policy": _Column(np.float32),
            "result": _Column(np.float32, 3),
            "searched": _Column(np.float32, 3),
            "plies_left": _Column(np.float32),
        }
        self._games: list[Game] = []
        self._sizes: list[int] = []

    def add_game(self, game: Game, size: int) -> None:
        """Say of which game the next ``size`` positions are."""
        self._games.append(game)
        self._sizes.append(size)

    def add(self, batch: Batch) -> None:
        """Append positions."""
        parts = batch._asdict()
        parts["rule50"] = batch.values[:, planes.RULE50]
        parts["lengths"] = np.diff(batch.offsets)
        for name, column in self._columns.items():
            column.add(parts[name])

    def positions(self) -> Positions:
        """All of them; nothing is added after it."""
        columns = {name: column.whole() for name, column in self._columns.items()}
        lengths = columns.pop("lengths")
        return Positions(
            **columns,
            offsets=np.concatenate([[0], np.cumsum(lengths)]),
            games=tuple(self._games),
            bounds=np.concatenate([[0], np.cumsum(np.array(self._sizes, np.int64))]),
        )
