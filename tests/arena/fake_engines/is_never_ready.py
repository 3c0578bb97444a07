"""Does not answer isready, but for the first time."""

from __future__ import annotations

from uci_engine import say, serve

ready = iter(["readyok"])
serve(ready=lambda: say(next(ready, "info string busy")))
