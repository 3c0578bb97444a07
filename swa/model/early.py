"""What an early net makes of boards and moves, so that it may be used like any other."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from swa.leela_chess import MOVE_INDEX, ODD_BOARDS, SIDES_CHANGED
from swa.planes import BLACK_TO_MOVE


class EarlyViews(nn.Module):
    """lc0's planes as leela-chess's first nets had them, and their moves as lc0 has them."""

    sides_changed: Tensor  # [112]
    odd_boards: Tensor  # [112, 1, 1]
    moves: Tensor  # [2, 1858] for white and black

    def __init__(self) -> None:
        super().__init__()
        for name, table in (
            ("sides_changed", SIDES_CHANGED),
            ("odd_boards", ODD_BOARDS[:, None, None]),
            ("moves", MOVE_INDEX),
        ):
            self.register_buffer(name, torch.tensor(table), persistent=False)

    def planes(self, planes: Tensor) -> Tensor:
        """[B, 112, 8, 8] to the same: odd boards from the side of who moved on them."""
        changed = planes.index_select(1, self.sides_changed)
        return torch.where(self.odd_boards, changed.flip(2), changed)

    def policy(self, logits: Tensor, planes: Tensor) -> Tensor:
        """Logits [B, 1924] of moves on the board to [B, 1858], seen from the mover."""
        black = planes[:, BLACK_TO_MOVE, 0, 0].long()
        return logits.gather(1, self.moves[black])
