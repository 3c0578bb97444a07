"""Pages for a browser: templates filled in, styles and scripts inside, nothing from the network.

All values are escaped by jinja2 unless a template's own text says otherwise, and nothing from
outside does. The page's Content-Security-Policy lets no script run and no style apply but the
page's own, known by their hashes, so that a mistake here would still run nothing.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


def render(
    template: str,
    *,
    styles: Sequence[str],
    script: str | None,
    more_styles: Sequence[str] = (),
    more_scripts: Sequence[str] = (),
    **values: Any,
) -> str:
    """Return a page: ``styles`` and ``script`` name files of the templates, put into it whole.

    ``more_styles`` and ``more_scripts`` are the texts of elements that the values bring with them.
    """
    style = "\n".join(map(source, styles))
    code = "" if script is None else source(script)
    scripts = [*([] if script is None else [code]), *more_scripts]
    policy = (
        f"default-src 'none'; style-src {_hashes([style, *more_styles])}; "
        f"script-src {_hashes(scripts)}; base-uri 'none'; form-action 'none'"
    )
    page = environment().get_template(template)
    return page.render(style=Markup(style), script=Markup(code), policy=policy, **values) + "\n"


@cache
def environment() -> Environment:
    """Return what fills in the templates: everything is escaped, and nothing may be missing."""
    return Environment(
        loader=PackageLoader("arena.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def source(name: str) -> str:
    """Return a file of the templates as it is."""
    loader = environment().loader
    assert loader is not None
    return loader.get_source(environment(), name)[0]


def _hashes(texts: Sequence[str]) -> str:
    """Return the sources that a policy names: nothing but these texts (CSP level 3, 2.3.1)."""
    digests = (hashlib.sha256(text.encode()).digest() for text in texts)
    return " ".join(f"'sha256-{base64.b64encode(one).decode()}'" for one in digests) or "'none'"
