"""The command that is told a decision: a mail, a chat, an upload are its business."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PATIENCE = 600.0
"""Seconds that a hook may take: it holds up the next night."""


def run_hook(
    command: Sequence[str], document: Mapping[str, Any], folder: Path, seconds: float = PATIENCE
) -> str | None:
    """Run a command in ``folder`` with the decision as JSON on its input.

    What it writes goes to stderr. Returns why it failed, None where it ended with 0.
    """
    try:
        # Its output must not mix with our own on stdout, which a script may read.
        ended = subprocess.run(
            command,
            input=json.dumps(document, ensure_ascii=False).encode(),
            cwd=folder,
            stdout=2,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"did not end within {seconds:g} seconds and was stopped"
    except OSError as error:
        return f"cannot be run: {(error.strerror or str(error)).lower()}"
    except ValueError as error:  # a NUL in its words
        return f"cannot be run: {error}"
    if ended.returncode < 0:
        return f"was ended by signal {-ended.returncode}"
    return f"ended with exit code {ended.returncode}" if ended.returncode else None
