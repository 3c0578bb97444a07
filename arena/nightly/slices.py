"""Each stage's slice of the book of openings: whether it is large enough for what a match takes."""

from __future__ import annotations

from pathlib import Path

from arena.books import Dealing
from arena.nightly.night import NightError
from arena.nightly.settings import NightlySettings
from arena.openings import DEFAULT_BOOK, Deck, read_book


def check_slices(settings: NightlySettings, seed: int) -> None:
    """Refuse a book in which a stage would run into the openings of the next one.

    A match passes over openings that lead to a position it has had, so it takes more of them than
    it has pairs; how many more depends on the night's order. Raises NightError, and OpeningError
    where the book comes to its end or has an opening that cannot be played.
    """
    ends = [*list(settings.starts.values())[1:], None]
    for (name, stage), end in zip(settings.stages.items(), ends, strict=True):
        start = settings.starts[name]
        config = settings.match(stage, (Path("a"), Path("b")), seed=seed, start=start)
        book = read_book(config.openings or DEFAULT_BOOK)
        deck = Deck(book, Dealing(config.order, seed, config.plies, start))
        deck.opening(config.pairs - 1)
        taken = config.pairs + deck.duplicates
        if end is not None and start + taken > end:
            raise NightError(
                f"{book.path}: its openings repeat positions, so that the {name} stage takes "
                f"{taken:,} of them for {config.pairs:,} pairs and runs into the next stage's\n"
                "No two stages may share one: play fewer pairs, or take a larger book ([match] "
                "openings)."
            )
