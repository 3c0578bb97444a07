"""What a test may say; apart from the tests, which take seconds to import."""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    """What a test says of the candidate."""

    PROMOTE = "promote"
    KEEP = "keep"
    UNDECIDED = "undecided"
