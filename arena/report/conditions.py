"""Who played and how: a report's sections on the nets or players and on the conditions."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import fields

from arena.config import SearchParams
from arena.match_file import MatchIdentity, NetIdentity, PlayerIdentity, TablesIdentity
from arena.report.adjudication import conditions as adjudication_conditions
from arena.report.block import percent
from arena.report.content import Code, Section, Table, Text, joined
from arena.report.nets import net_rows
from arena.report.players import effort
from arena.report.run import Run
from arena.report.schema import NetSummary, OpeningsSummary, Summary
from arena.report.verdict import sprt_name

SHOWN_HASH = 16
"""Digits of a sha256 in a table; summary.json has all 64."""


def players_section(summary: Summary) -> Section:
    """Say who played, by hash, and what averaged nets were made from."""
    are_nets = all("engine" not in net for net in summary["nets"])
    header = ["what", *(net["role"] for net in summary["nets"])]
    table = Table(header, list(_nets(summary["nets"])))
    return Section("nets", "Nets" if are_nets else "Players", [table])


def conditions_section(run: Run, summary: Summary) -> Section:
    """Say under which conditions, on what and by which command."""
    return Section(
        "conditions", "Conditions", [Table(["what", "value"], list(_rows(run, summary)))]
    )


def parts_text(summary: Summary) -> str:
    """``parts 1/3, 2/3``: what of a match is here that was played apart."""
    return f"{'part' if len(summary['parts']) == 1 else 'parts'} {', '.join(summary['parts'])}"


def numbers_text(values: Sequence[int]) -> str:
    """``1,000, then 2,000``."""
    return ", then ".join(f"{value:,}" for value in values)


def _nets(nets: Sequence[NetSummary]) -> Iterator[list[Text]]:
    for fact, words in net_rows(nets):
        yield [fact, *(map(_hash, words) if fact == "sha256" else words)]


def _hash(sha256: str) -> Text:
    return (Code(sha256[:SHOWN_HASH]),)


def _rows(run: Run, summary: Summary) -> Iterator[list[Text]]:
    identity, openings = run.identity, summary["openings"]
    if identity.plain:
        yield ["visits a move", str(identity.search.visits)]
        yield ["search", _search(identity.search)]
    else:
        for player in identity.nets:
            yield [player.name, _plays(identity, player)]
    if identity.sprt is not None:
        sprt = identity.sprt
        yield ["test", f"{sprt_name(sprt)}, alpha {sprt.alpha:g}, beta {sprt.beta:g}"]
    limit = f"{identity.pairs:,}"
    if identity.sprt is None:
        limit += ", all to be played" if summary["state"] == "unfinished" else ", all played"
    if identity.earlier_limits:
        limit += f"; raised, from {numbers_text(identity.earlier_limits)}"
    yield ["most pairs", limit]
    yield [
        "openings",
        (
            f"{openings['file']} (sha256 ",
            *_hash(openings["sha256"]),
            f"), {openings['entries']:,} entries in {openings['order']} order, "
            f"seed {identity.seed}{_selection(openings)}; each opening played twice, colours "
            "swapped",
        ),
    ]
    if identity.tables is not None:
        yield ["tablebases", _tablebases(identity.tables)]
    yield ["adjudication", adjudication_conditions(identity.adjudication)]
    if identity.adjudication.foretell:
        yield ["played on all the same", f"{percent(identity.adjudication.audit)} of such games"]
    yield ["numbers", identity.dtype]
    if summary["device"] is not None:
        in_flight = f"{summary['parallel']} games in flight"
        yield ["device", f"{summary['device']}, {in_flight}"]
    if summary["evaluator"] is not None:
        yield ["evaluator", summary["evaluator"]]
    if summary["versions"]:
        versions = (f"{name} {version}" for name, version in summary["versions"].items())
        yield ["versions", ", ".join(versions)]
    if summary["date"] is not None:
        parts = summary["sessions"]
        sessions = f", played in {parts} sessions" if parts > 1 else ""
        of_parts = f", {parts_text(summary)}" if summary["parts"] else ""
        yield ["begun", summary["date"] + sessions + of_parts]
    yield from _speed(summary)
    if summary["command"] is not None:
        yield ["command", shlex.join(summary["command"])]


def _tablebases(tables: TablesIdentity) -> Text:
    use = "nets search by them" if tables.search else "nets do not search by them"
    if tables.search and tables.fast_play:
        use += ", and win by the least DTZ"
    return (
        f"Syzygy, up to {tables.pieces} pieces, {tables.files:,} files (sha256 of their names and "
        "sizes ",
        *_hash(tables.sha256),
        f"); {use}",
    )


def _plays(identity: MatchIdentity, player: PlayerIdentity) -> Text:
    """Say how long a player thinks, and how: a net's search, an engine's command and options."""
    words: list[Text] = [effort(identity, player)]
    if player.limits.timemargin:
        words.append(f"timemargin {player.limits.timemargin} ms")
    if isinstance(player, NetIdentity):
        return joined([*words, _search(identity.search_of(player))], "; ")
    own = (f"{key} {value}" for key, value in player.settings.items())
    words += (text for text in own if text.split()[0] not in player.limits.words)
    for file in player.files:
        name, _, sha256 = file.rpartition(" ")
        words.append((f"with {name} (sha256 ", *_hash(sha256), ")"))
    return joined(words, "; ")


def _selection(openings: OpeningsSummary) -> str:
    """Say which of a book's openings are taken, as far as it is not all of them and whole."""
    words = []
    if openings["start"] > 1:
        words.append(f"from number {openings['start']:,} on")
    if openings["plies"] is not None:
        words.append(f"at most {openings['plies']} plies of each")
    if openings["filter"] is not None:
        low, high = openings["filter"]
        words.append(f"only those that the baseline's net values at {low:g} to {high:g} either way")
    if openings["chess960"]:
        words.append(f"{openings['chess960']:,} of those used with castling as in Chess960")
    return "".join(f", {part}" for part in words)


def _search(search: SearchParams) -> str:
    """Name the parameters that differ from lc0's; ``visits`` has a row of its own."""
    default = SearchParams()
    changed = [
        f"{parameter.name.replace('_', '-')} {getattr(search, parameter.name)}"
        for parameter in fields(search)
        if parameter.name != "visits"
        and getattr(search, parameter.name) != getattr(default, parameter.name)
    ]
    return f"lc0's defaults{' but for ' if changed else ''}{', '.join(changed)}"


def _speed(summary: Summary) -> Iterator[list[Text]]:
    figures = summary["throughput"]
    rate, evaluations = figures["pairs_per_minute"], figures["evaluations_per_second"]
    if rate is not None:
        words = f"{rate:.1f} pairs/min"
        words += f", {evaluations:,.0f} evaluations/s" if evaluations is not None else ""
        yield ["speed", words]
