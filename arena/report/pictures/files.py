"""Pictures beside report.md: their PNG files, and the section of the report that shows them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from arena.report.markup import escape, table
from arena.report.pictures.match import PICTURES
from swa.picture import Picture, write_png

FOLDER = "pictures"
"""Within a run folder."""


def write_pictures(folder: Path, pictures: Sequence[Picture]) -> None:
    """Write the pictures of a run folder as PNG, each whole or not at all.

    Pictures of an earlier report that are none of this one's go; files of other names stay.
    Raises OSError where the folder cannot be written.
    """
    place = folder / FOLDER
    if pictures:
        place.mkdir(exist_ok=True)
    for picture in pictures:
        write_png(place / f"{picture.name}.png", picture)
    for name in PICTURES.keys() - {picture.name for picture in pictures}:
        (place / f"{name}.png").unlink(missing_ok=True)
    if place.is_dir() and not any(place.iterdir()):
        place.rmdir()


def section(pictures: Sequence[Picture]) -> Iterator[str]:
    """Yield report.md's section on the pictures, if there are any: each with its numbers."""
    if not pictures:
        return
    yield "## Pictures"
    for picture in pictures:
        yield f"### {escape(picture.title)}"
        yield f"![{escape(picture.title)}]({FOLDER}/{picture.name}.png)"
        yield escape(picture.caption)
        yield "<details>\n<summary>Numbers</summary>"
        yield table(picture.header, (list(map(escape, row)) for row in picture.rows))
        yield "</details>"
