"""Which devices torch may compute on, found without importing torch where that suffices."""

from __future__ import annotations

import sys
from pathlib import Path

ACCELERATOR_FILES = ("nvidia*", "nvhost*", "nvgpu*", "nvmap", "kfd", "dxg")
"""Under /dev, of the drivers without which torch sees no GPU on Linux: NVIDIA's for cards and for
boards, AMD's, and that of Linux within Windows."""


def may_have_accelerator() -> bool:
    """Whether torch should be asked for a GPU: False where it could not find one anyway.

    Importing torch takes seconds; looking for the files of a driver takes microseconds.
    """
    if sys.platform != "linux":
        return True
    return any(next(Path("/dev").glob(name), None) for name in ACCELERATOR_FILES)


def first_device() -> str:
    """The first of cuda, mps and cpu that is there. Imports torch."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def is_available(device: str) -> bool:
    """Whether torch can compute on what it calls ``device``. Imports torch."""
    import torch

    try:
        torch.zeros(1, device=torch.device(device)).item()  # "meta" has tensors without numbers
    except (RuntimeError, AssertionError, NotImplementedError, ImportError):
        return False
    return True
