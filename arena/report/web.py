"""Pages for a browser: templates filled in, styles and scripts inside, nothing from the network.

All values are escaped by jinja2 unless a template's own text says otherwise, and nothing from
outside does. The page's Content-Security-Policy lets no script run but the page's own, known by its
hash, so that a mistake here would still run nothing.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


def render(template: str, *, styles: Sequence[str], script: str | None, **values: Any) -> str:
    """Return a page: ``styles`` and ``script`` name files of the templates, put into it whole."""
    code = "" if script is None else _text(script)
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    allowed = "'none'" if script is None else f"'sha256-{digest}'"
    # matplotlib's SVG has style attributes, to which no hash applies.
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src {allowed}; "
    policy += "base-uri 'none'; form-action 'none'"
    page = _environment().get_template(template)
    style = Markup("\n".join(map(_text, styles)))
    return page.render(style=style, script=Markup(code), policy=policy, **values) + "\n"


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("arena.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _text(name: str) -> str:
    """Return a file of the templates as it is."""
    environment = _environment()
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]
