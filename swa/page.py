"""A page of pictures: one HTML file with their tables, for light and dark, screen and print.

It loads nothing and runs nothing. All text is escaped: names of nets come from anywhere.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment
from markupsafe import Markup

from swa.files import write_whole
from swa.picture import BASELINE, CANDIDATE, DARK, INK, LINE, MUTED, PAPER, Picture, printable, svg

MARK = '<meta name="generator" content="swa">'
"""In every page, near its beginning: only such a file is replaced."""

_STYLE = f"""
:root {{
  color-scheme: light dark;
  --ink: {INK}; --paper: {PAPER}; --muted: {MUTED}; --line: {LINE};
  --baseline: {BASELINE}; --candidate: {CANDIDATE};
}}
@media screen and (prefers-color-scheme: dark) {{
  :root {{
    --ink: {DARK[INK]}; --paper: {DARK[PAPER]}; --muted: {DARK[MUTED]}; --line: {DARK[LINE]};
    --baseline: {DARK[BASELINE]}; --candidate: {DARK[CANDIDATE]};
  }}
}}
body {{
  color: var(--ink); background: var(--paper); margin: 0 auto; max-width: 46rem;
  padding: 1rem; font: 1rem/1.5 "DejaVu Sans", Verdana, sans-serif; overflow-wrap: anywhere;
}}
h1 {{ font-size: 1.4rem; }}
h2 {{ font-size: 1.1rem; margin: 2.5rem 0 0.5rem; }}
figure {{ margin: 0; }}
figcaption {{ color: var(--muted); font-size: 0.9rem; }}
svg {{ display: block; max-width: 38rem; height: auto; }}
.scroll {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-size: 0.85rem; font-variant-numeric: tabular-nums; }}
th, td {{
  border-bottom: 1px solid var(--line); padding: 0.2rem 0.6rem; text-align: right;
  white-space: nowrap; vertical-align: bottom;
}}
th:first-child, td:first-child {{ text-align: left; }}
summary {{ cursor: pointer; margin-top: 0.5rem; }}
@media print {{ figure {{ break-inside: avoid; }} }}
"""

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
{{ mark }}
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'sha256-{{ hash }}'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>{{ style }}</style>
</head>
<body>
<main>
<h1>{{ title }}</h1>
{% for line in lines %}
<p>{{ line }}</p>
{% endfor %}
{% for picture, drawing in pictures %}
<section>
<h2>{{ picture.title }}</h2>
<figure>
{{ drawing }}
<figcaption>{{ picture.caption }}</figcaption>
</figure>
<details>
<summary>The numbers</summary>
<div class="scroll" role="region" aria-label="{{ picture.title }}" tabindex="0">
<table>
<thead>
<tr>{% for cell in picture.header %}<th scope="col">{{ cell|printable }}</th>{% endfor %}</tr>
</thead>
<tbody>
{% for row in picture.rows %}
<tr>{% for cell in row %}<td>{{ cell|printable }}</td>{% endfor %}</tr>
{% endfor %}
</tbody>
</table>
</div>
</details>
</section>
{% endfor %}
</main>
</body>
</html>
"""


def page(title: str, lines: Sequence[str], pictures: Sequence[Picture]) -> str:
    """The page: a heading, a paragraph for each of ``lines``, pictures with their tables."""
    environment = Environment(autoescape=True, trim_blocks=True, keep_trailing_newline=True)
    environment.filters["printable"] = printable
    digest = hashlib.sha256(_STYLE.encode()).digest()
    return environment.from_string(_PAGE).render(
        mark=Markup(MARK),
        hash=base64.b64encode(digest).decode(),
        style=Markup(_STYLE),
        title=printable(title),
        lines=map(printable, lines),
        pictures=[(picture, Markup(svg(picture))) for picture in pictures],
    )


def write_page(path: Path, text: str) -> None:
    """Write a page, in place of an older one at most.

    Raises OSError where that fails, FileExistsError where something else is there.
    """
    if path.exists() or path.is_symlink():
        with path.open("rb") as file:
            if MARK.encode() not in file.read(400):
                raise FileExistsError(17, "is there already, and no page of swa's", str(path))
    write_whole(path, text.encode())
