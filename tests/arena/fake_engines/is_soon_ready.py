"""Needs two seconds to get ready for a game, as one that clears a large hash does."""

from __future__ import annotations

import time

from uci_engine import say, serve


def get_ready() -> None:
    time.sleep(2.0)
    say("readyok")


serve(ready=get_ready)
