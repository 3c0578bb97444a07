"""The registry in lines of text: a table, columns wide as needed, or what there is of one thing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from arena.registry.home import Home
from arena.registry.records import MatchRecord, NetRecord, NightRecord
from arena.registry.store import Registry

SHOWN_DIGITS = 12
"""Of a sha256."""


def printable(text: str) -> str:
    """Return one line without control characters, which could rewrite a terminal."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    return text.strip()


def columns(header: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Return a table: numbers to the right, all else to the left, two spaces between columns."""
    rows = list(rows)
    texts = [["-" if cell is None else printable(str(cell)) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *texts, strict=True)]
    right = [
        bool(rows) and all(cell is None or isinstance(cell, int | float) for cell in column)
        for column in (list(zip(*rows, strict=True)) or [()] * len(header))
    ]
    return [
        "  ".join(
            cell.rjust(width) if is_number else cell.ljust(width)
            for cell, width, is_number in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in (header, *texts)
    ]


def nights_table(registry: Registry) -> list[str]:
    """A line a night: what it has come to."""
    names, decisions = _names(registry), {one.night: one for one in registry.decisions()}
    rows = []
    for night in registry.nights():
        decision = decisions.get(night.number)
        candidate = None if decision is None else decision.candidate
        rows.append(
            (
                night.number,
                night.began,
                names[night.latest],
                None if candidate is None else names[candidate],
                names[night.champion],
                night.state if decision is None else decision.verdict,
                decision.reason if decision else night.note or "",
            )
        )
    return columns(("night", "began", "latest", "candidate", "champion", "result", "why"), rows)


def nets_table(registry: Registry) -> list[str]:
    """A line a net."""
    return columns(
        ("net", "sha256", "kind", "steps", "architecture", "seen"),
        (
            (
                net.name,
                net.sha256[:SHOWN_DIGITS],
                net.kind,
                net.training_steps,
                net.architecture,
                net.seen,
            )
            for net in registry.nets()
        ),
    )


def matches_table(registry: Registry) -> list[str]:
    """A line a match, in the order in which they were first recorded."""
    return _matches(registry.matches(), registry)


def _matches(matches: Iterable[MatchRecord], registry: Registry) -> list[str]:
    names = _names(registry)
    return columns(
        (
            "match",
            "night",
            "stage",
            "candidate",
            "baseline",
            "pairs",
            "LL LD = WD WW",
            "verdict",
            "state",
        ),
        (
            (
                match.folder,
                match.night,
                match.stage,
                names[match.candidate],
                names[match.baseline],
                match.counts.pairs,
                " ".join(map(str, match.counts.pentanomial)),
                match.verdict,
                match.state,
            )
            for match in matches
        ),
    )


def decisions_table(registry: Registry) -> list[str]:
    """A line a decision."""
    names = _names(registry)
    return columns(
        ("night", "decided", "verdict", "candidate", "champion", "hook", "why"),
        (
            (
                one.night,
                one.decided,
                one.verdict,
                None if one.candidate is None else names[one.candidate],
                names[one.champion],
                one.hook,
                one.reason,
            )
            for one in registry.decisions()
        ),
    )


def reigns_table(registry: Registry) -> list[str]:
    """A line a reign."""
    names = _names(registry)
    return columns(
        ("reign", "champion", "sha256", "how", "night", "from", "to"),
        (
            (
                one.number,
                names[one.sha256],
                one.sha256[:SHOWN_DIGITS],
                one.how,
                one.night,
                one.began,
                "pending" if one.pending else one.ended or "now",
            )
            for one in registry.reigns()
        ),
    )


def night_lines(registry: Registry, night: NightRecord) -> list[str]:
    """All of a night but the document of its decision."""
    names = _names(registry)
    lines = [
        f"Night {night.number}: {night.state}, began {night.began}, ended {night.ended or '-'}",
        f"Folder: {night.folder}",
        f"Latest net: {_named(names, night.latest)}; champion: {_named(names, night.champion)}",
    ]
    if night.note is not None:
        lines.append(f"Abandoned: {night.note}")
    for one in registry.decisions():
        if one.night == night.number:
            candidate = "none" if one.candidate is None else _named(names, one.candidate)
            lines += [
                f"Decision: {one.verdict}, candidate: {candidate}",
                f"Why: {one.reason}",
                f"Hook: {one.hook}",
            ]
    matches = registry.matches(night.number)
    return [*map(printable, lines), *(["", *_matches(matches, registry)] if matches else [])]


def net_lines(registry: Registry, net: NetRecord) -> list[str]:
    """A net, its reigns and its matches."""
    steps = "-" if net.training_steps is None else f"{net.training_steps:,}"
    lines = [
        f"Net {net.name}: {net.kind}, {net.architecture}, {steps} training steps",
        f"sha256: {net.sha256}",
        f"Kept: {net.file} ({net.bytes:,} bytes)",
        f"Found: {net.source}, {net.seen}",
    ]
    lines += [
        f"Champion: {one.how}, from {one.began} to "
        f"{'pending' if one.pending else one.ended or 'now'}"
        for one in registry.reigns()
        if one.sha256 == net.sha256
    ]
    matches = [one for one in registry.matches() if net.sha256 in (one.baseline, one.candidate)]
    return [*map(printable, lines), *(["", *_matches(matches, registry)] if matches else [])]


def champion_lines(home: Home, registry: Registry) -> list[str]:
    """Who is champion, since when, and why; and who is about to be."""
    reign, pending, names = registry.champion(), registry.pending(), _names(registry)
    lines = ["No net is champion."]
    if reign is not None:
        night = "" if reign.night is None else f" of night {reign.night}"
        lines = [
            f"Champion: {_named(names, reign.sha256)}",
            f"Since: {reign.began} ({reign.how}{night})",
            f"File: {home.champion}",
        ]
    if pending is not None:
        lines.append(
            f"Pending: {_named(names, pending.sha256)} ({pending.how}); the next night, or "
            "--restore, ends this"
        )
    return list(map(printable, lines))


def _names(registry: Registry) -> dict[str, str]:
    """What each net is called; of namesakes, with the first digits of its sha256."""
    nets = registry.nets()
    times: dict[str, int] = {}
    for net in nets:
        times[net.name] = times.get(net.name, 0) + 1
    return {
        net.sha256: net.name if times[net.name] == 1 else f"{net.name}@{net.sha256[:8]}"
        for net in nets
    }


def _named(names: dict[str, str], sha256: str) -> str:
    return f"{names[sha256]} ({sha256[:SHOWN_DIGITS]})"
