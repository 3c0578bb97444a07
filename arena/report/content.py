"""What a report says, before it is Markdown or HTML: sections of plain text and tables.

All text is as it was given: names with markup in them are not escaped here but by what lays out the
report (markdown.py, page.py). What is more than text has a type of its own, so that no name can
become a link or a heading.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """Something to type or to compare letter by letter: a flag, the beginning of a hash."""

    text: str


@dataclass(frozen=True, slots=True)
class Strong:
    """What the eye should find first."""

    text: str


@dataclass(frozen=True, slots=True)
class Link:
    """A file beside the report."""

    file: str


Span = str | Code | Strong | Link
Text = str | tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Some sentences."""

    text: Text


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list of sentences in no order."""

    items: Sequence[Text]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells; the first cell of a row says what the others are of."""

    header: Sequence[str]
    rows: Sequence[Sequence[Text]]
    numbers: frozenset[int] = frozenset()  # columns, from 0, to be set one below the other
    caption: str = ""  # where a section has several


Part = Paragraph | Bullets | Table


@dataclass(frozen=True, slots=True)
class Section:
    """One heading and what follows; empty parts are left out when it is laid out."""

    name: str  # of its place in a page: "conditions"
    title: str
    parts: Sequence[Part]


def spans(text: Text) -> tuple[Span, ...]:
    """Return a text as the spans it consists of."""
    return (text,) if isinstance(text, str) else text


def joined(texts: Iterable[Text], between: str) -> Text:
    """Return texts as one, as ``str.join`` does."""
    found: list[Span] = []
    for text in texts:
        found += [*([between] if found else []), *spans(text)]
    return tuple(found)


def with_code(text: str) -> Text:
    """Return a sentence of our own, in which backticks enclose what is ``Code``.

    Nothing from outside may be in it.
    """
    return tuple(
        Code(part) if place % 2 else part for place, part in enumerate(text.split("`")) if part
    )
