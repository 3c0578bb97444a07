"""The flags that every command has, and the one way in which a JSON document leaves the program."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any


def add_output_flags(group: argparse._ActionsContainer, *, json_help: str) -> None:
    """Add ``--json``, ``-q`` and ``-v``."""
    group.add_argument("--json", action="store_true", help=json_help)
    loudness = group.add_mutually_exclusive_group()
    loudness.add_argument("-q", "--quiet", action="store_true", help="show errors only")
    loudness.add_argument(
        "-v", "--verbose", action="store_true", help="show the traceback of an error"
    )


def write_json(document: Any) -> None:
    """Write one document to stdout; a NaN in it is a fault of the program, not a JSON number."""
    sys.stdout.write(json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def write_text(lines: Sequence[str]) -> None:
    """Write lines to stdout."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))
