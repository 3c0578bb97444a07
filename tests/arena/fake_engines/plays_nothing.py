"""Says that there is no move, where there is one."""

from __future__ import annotations

from uci_engine import after, say, serve

serve(after(12, lambda board, limits: say("bestmove (none)")))
