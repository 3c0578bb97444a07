"""The licence that a net file tells: bytes of any kind in it, a text for people, or nothing.

lc0's trainer leaves the field empty (tf/net.py), and so do all the real nets that we have seen.
"""

from __future__ import annotations

import textwrap
from typing import Any

from swa.spec import NetError


def licence_text(message: Any) -> str | None:
    """The licence in a net's message; None where there is none, or only white space."""
    return bytes(message.license).decode(errors="replace").strip() or None


def shorten_licence(text: str) -> str:
    """The beginning of a licence, which can be pages long, in one printable line."""
    words = "".join(letter if letter.isprintable() else " " for letter in text[:1000])
    return textwrap.shorten(words, 60, placeholder=" ...")


def encoded_licence(text: str) -> bytes:
    """A licence as a net file holds it, in UTF-8.

    Raises NetError for one that says nothing, and for one that UTF-8 cannot hold: the lone
    surrogates by which Python stands for bytes of a command line that are not UTF-8.
    """
    if not text.strip():
        raise NetError("the licence is empty", "Give a text, or leave --licence out.")
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        remedy = "Give --licence in UTF-8."
        raise NetError(f"the licence {ascii(text)[:60]} is not UTF-8", remedy) from error
