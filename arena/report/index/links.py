"""Links between the pages of a folder: relative, and only to what is there."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

from arena.report.characters import printable

REPORTS = ("report.html", "report.md")
"""What a link to a report leads to, the first that is there."""


def report_link(root: Path, folder: Path) -> str | None:
    """Return the link from a page in ``root`` to a folder's report, or None where it has none."""
    for name in REPORTS:
        if (folder / name).is_file():
            return link(root, folder / name)
    return None


def link(root: Path, target: Path) -> str:
    """Return a relative link, every character that means something in one quoted."""
    return quote(os.fsencode(os.path.relpath(target, root)).replace(os.fsencode(os.sep), b"/"))


def shown_path(root: Path, folder: Path) -> str:
    """Return a folder relative to the page's, as text that can be shown and written."""
    path = os.fsencode(os.path.relpath(folder, root)).decode("utf-8", "replace")
    return printable(path.replace(os.sep, "/"))
