"""The net as a torch module: the reference for every other forward pass, and what is trained.

One module serves both ends. With batch norm as layers of its own it trains, and its statistics can
be refreshed; to play, batch norm is folded into the convolutions beforehand (``for_play``), which
gives the same module built from the same kind of ``NetSpec``, only with ``batch_norm=False``.
"""

from swa.batchnorm import fold
from swa.model.activation import activate
from swa.model.net import (
    Outputs,
    Tower,
    answers,
    for_play,
    tower,
    unpack,
    weights_of,
)

__all__ = [
    "Outputs",
    "Tower",
    "activate",
    "answers",
    "fold",
    "for_play",
    "tower",
    "unpack",
    "weights_of",
]
