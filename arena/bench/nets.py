"""The nets of a benchmark that names none: real ones where they are at hand, else random ones."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from swa.net import Net, load_net
from swa.net_proto import NetMessage
from swa.spec import NetSpec, PolicyKind, PolicySpec, ValueKind, ValueSpec, parameters

RANDOM_NETS = ((6, 64), (2, 32), (10, 128))
"""Blocks and filters: the size of the Maia nets, one that a laptop trains in an hour, a large one
for a CPU."""

SHARED_NETS = ("maia-1500.pb.gz", "maia-1900.pb.gz")


def random_net(blocks: int, filters: int, seed: int = 0, *, batch_norm: bool = False) -> Net:
    """Make a net in memory, with squeeze-excitation, convolution policy and WDL value.

    Its speed is that of any net of this architecture; its play is random. ``batch_norm`` gives it
    norms that change nothing; else there are none, as in a net whose norms are folded.
    """
    spec = NetSpec(
        blocks=blocks,
        filters=filters,
        se=8,
        policy=PolicySpec(PolicyKind.CONVOLUTION, filters),
        value=ValueSpec(ValueKind.WDL, channels=32, hidden=128),
        batch_norm=batch_norm,
    )
    random = np.random.default_rng(seed)
    weights = {}
    for name, shape, _ in parameters(spec):
        if name.endswith((".gamma", ".beta", ".mean", ".variance")):
            one = name.endswith((".gamma", ".variance"))
            weights[name] = np.full(shape, one, np.float32)
            continue
        # Activations of about 1 in every layer, as in a trained net: tiny ones (denormal numbers)
        # would be slow, huge ones infinite.
        deviation = 0.0 if name.endswith(".bias") else np.sqrt(1.0 / np.prod(shape[1:]))
        weights[name] = (deviation * random.standard_normal(shape)).astype(np.float32)
    name = f"random-{blocks}x{filters}-{seed}"
    return Net(
        spec=spec,
        weights=weights,
        name=name,
        path=Path(name),
        sha256="",
        format="pb",
        network="NETWORK_SE_WITH_HEADFORMAT",
        encoding="float32",
        min_version=(0, 0, 0),
        training_steps=None,
        message=NetMessage(),
    )


def match_nets(named: Sequence[Net]) -> tuple[Net, Net]:
    """Who plays: the first two nets that were named; a single one against itself; else stand-ins.

    These are two Maia nets where ``ARENA_SHARED`` or ``../shared`` holds them, else random ones.
    """
    if named:
        return named[0], named[min(1, len(named) - 1)]
    shared = Path(os.environ.get("ARENA_SHARED") or Path("..") / "shared")
    paths = [shared / "nets" / name for name in SHARED_NETS]
    if all(path.is_file() for path in paths):
        return load_net(paths[0]), load_net(paths[1])
    return random_net(*RANDOM_NETS[0], seed=0), random_net(*RANDOM_NETS[0], seed=1)
