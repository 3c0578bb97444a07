"""Damaged nets: what the reader, and the writer after it, must survive."""

from __future__ import annotations

import random
from collections.abc import Iterator


def mutations(payload: bytes, count: int) -> Iterator[bytes]:
    """Payloads with bits flipped, bytes cut out or put in, most of them where structure is."""
    dice = random.Random(1)
    # Tags, lengths and header stand before the values of each layer.
    structure = [
        at for at in range(len(payload)) if payload[at : at + 1] in b"\x0a\x12\x1a\x20\x22"
    ]
    for _ in range(count):
        mutant = bytearray(payload)
        for _ in range(dice.choice((1, 1, 2, 5))):
            at = dice.choice(structure) + dice.randrange(4) if dice.random() < 0.7 else None
            at = dice.randrange(80) if at is None else min(at, len(mutant) - 1)
            kind = dice.randrange(5)
            if kind < 3:
                mutant[at] ^= 1 << dice.randrange(8)
            elif kind == 3:
                del mutant[at : at + dice.choice((1, 2, 1000))]
            else:
                mutant[at:at] = dice.randbytes(dice.choice((1, 2, 30)))
            if not mutant:
                break
        yield bytes(mutant)
