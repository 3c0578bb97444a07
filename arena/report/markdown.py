"""report.md: what one shows a colleague or pastes into a pull request.

The verdict in one sentence first, then the block to copy, then everything that lets a reader doubt
it: the nets by hash, the conditions, the statistics, the caveats that apply to this match and no
others, and how the games ended.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from arena.report.content import Bullets, Code, Link, Paragraph, Section, Span, Strong, Text, spans
from arena.report.files import atomic_writer
from arena.report.markup import escape, escape_within, table
from arena.report.pictures.files import section as picture_section
from arena.report.pictures.match import pictures
from arena.report.run import Run
from arena.report.schema import Summary
from arena.report.sections import block_of, sections
from arena.report.verdict import heading_of, verdict_sentence


def write_markdown(path: Path, run: Run, summary: Summary) -> None:
    """Write report.md whole or not at all. Raises OSError where it cannot be written."""
    with atomic_writer(path) as file:
        file.write(markdown(run, summary))


def markdown(run: Run, summary: Summary) -> str:
    """Return the report of a run, finished or not, as GitHub's Markdown."""
    heading = heading_of(run.identity)
    parts = [
        f"# {escape(heading.candidate)} against {escape(heading.baseline)}",
        f"**{escape(verdict_sentence(heading, run.judgement, run.doubts))}**",
        "\n".join(["```text", *block_of(run), "```"]),
    ]
    for section in sections(run, summary):
        if section.name == "files":
            parts += picture_section(pictures(summary))
        parts += _section(section)
    return "\n\n".join(part for part in parts if part) + "\n"


def _section(section: Section) -> Iterator[str]:
    yield f"## {section.title}"
    for part in section.parts:
        match part:
            case Paragraph():
                yield _text(part.text)
            case Bullets():
                yield "\n".join(f"- {_text(item)}" for item in part.items)
            case _ if part.rows:
                if part.caption:
                    yield f"{escape(part.caption)}:"
                yield table(list(map(escape, part.header)), (map(_text, row) for row in part.rows))


def _text(text: Text) -> str:
    return "".join(map(_span, spans(text))).strip()


def _span(span: Span) -> str:
    match span:
        case Code():
            # Nothing is escaped within backticks, so what could end them or the cell goes.
            return f"`{''.join(' ' if c in '`|' or not c.isprintable() else c for c in span.text)}`"
        case Strong():
            return f"**{escape(span.text)}**"
        case Link():
            return f"[{span.file}]({span.file})"
        case _:
            return escape_within(span)
