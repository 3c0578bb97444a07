"""The section of the page in which every game of the match can be replayed.

It needs no network and no style or script but its own, which stand in one ``<style>`` and one
``<script>`` element of it; a page with a Content-Security-Policy lets these through by their hash.
Games come as base64 in a script element that no browser runs (``arena.report.replay.packing``).
"""

from __future__ import annotations

import base64
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from typing import Any

import chess
import chess.svg
from markupsafe import Markup

from arena.game import PairRecord
from arena.report.characters import printable
from arena.report.replay.packing import hundredths, packed_games
from arena.report.run import Run
from arena.report.schema import DecidingPosition, Summary
from arena.report.web import environment, source

_SCRIPTS = ("replay_rules.js", "replay_games.js", "replay_board.js", "replay_list.js", "replay.js")


def replay_section(run: Run, summary: Summary) -> Markup:
    """Return the ``<section id="games">`` of a run's page.

    Some 0.3 MB for 1,000 games of 120 plies, and 30 kB besides. Raises LedgerError where the ledger
    has a game that nobody can have played.
    """
    baseline, candidate = (printable(net["name"]) for net in summary["nets"])
    names = {"baseline": baseline, "candidate": candidate}
    pairs = {pair.number + 1: pair for pair in run.pairs}
    deciding = [one for one in summary["curves"]["deciding"] if one["pair"] in pairs]
    section = (
        environment()
        .get_template("replay.html.j2")
        .render(
            names,
            games=2 * len(run.pairs),
            pairs=len(run.pairs),
            played_on=any(game.played_on for pair in run.pairs for game in pair.games),
            deciding=[_card(one, pairs[one["pair"]], names) for one in deciding],
            pieces=Markup(pieces()),
            data=base64.b64encode(packed_games(run, summary)).decode(),
            style=Markup(replay_style()),
            script=Markup(replay_script()),
        )
    )
    return Markup(section)


def replay_style() -> str:
    """Return the text of the section's one ``<style>`` element."""
    return source("replay.css")


def replay_script() -> str:
    """Return the text of the section's one ``<script>`` element that runs."""
    return "\n".join(map(source, _SCRIPTS))


def _card(one: DecidingPosition, pair: PairRecord, names: Mapping[str, str]) -> dict[str, Any]:
    """What the button of a position that decided says."""
    board = chess.Board(one["fen"], chess960=True)
    move = board.parse_uci(one["move"])
    dots = "." if board.turn == chess.WHITE else "…"
    opponent = "baseline" if one["mover"] == "candidate" else "candidate"
    return {
        **one,
        "san": f"{board.fullmove_number}{dots} {board.san(move)}",
        "result": pair.games[one["game"] - 1].result.replace("1/2", "½"),
        "mover_name": names[one["mover"]],
        "opponent": opponent,
        "opponent_name": names[opponent],
        "mover_q": _signed(one["mover_q"]),
        "opponent_q": _signed(one["opponent_q"]),
    }


def _signed(value: float) -> str:
    """An evaluation as the page writes all of them: "+0.35", "−0.02", "0.00"."""
    rounded = hundredths(value)
    return f"{rounded / 100:+.2f}".replace("-", "−") if rounded else "0.00"


def pieces() -> str:
    """The drawings of python-chess, each a ``<g id="replay-white-king">``, for ``<use>``.

    Its ``style`` attributes become those of SVG, which no Content-Security-Policy forbids.
    """
    drawn = []
    for text in chess.svg.PIECES.values():
        group = ET.fromstring(text)
        group.set("id", f"replay-{group.get('id')}")
        group.attrib.pop("class", None)
        for element in group.iter():
            for rule in element.attrib.pop("style", "").split(";"):
                name, _, value = rule.partition(":")
                if value:
                    element.set(name.strip(), value.strip())
        drawn.append(ET.tostring(group, encoding="unicode"))
    return "".join(drawn)
