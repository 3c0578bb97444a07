"""What a match's rules of adjudication did: how often, to whom, how often wrongly, what for.

A rule is wrong where a game that was played on ended otherwise. Which games are played on is drawn
by lot, so their share of errors holds for all games that the rule ended. A game in which an engine
failed after the adjudication says nothing about the rule and is not an audit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from arena.adjudication_rules import AdjudicationRules
from arena.game import (
    ADJUDICATIONS,
    FORFEITS,
    WHITE_POINTS,
    GameRecord,
    Result,
    Termination,
)
from arena.report.block import counted, percent, plain
from arena.report.schema import (
    AdjudicatedNetSummary,
    AdjudicationSummary,
    RuleSummary,
    SavingSummary,
)
from arena.stats.proportion import proportion_interval

MUCH = 0.01
"""Share of errors from which on a report warns of a rule."""


def conditions(rules: AdjudicationRules) -> str:
    """Name the rules in the words of their flags, but for the audit, which changes no result."""
    words = [f"draw {rules.draw}"] if rules.draw else []
    words += [f"resign {rules.resign}"] if rules.resign else []
    words += ["by tablebases"] if rules.tablebase else []
    words += [f"maxmoves {rules.maxmoves}"] if rules.maxmoves else []
    return "; ".join(words) or "none: games end by the rules of chess"


def adjudication_summary(
    rules: AdjudicationRules, games: Sequence[GameRecord], evaluations: int
) -> AdjudicationSummary | None:
    """Count what the rules did in ``games``; None where there are no rules.

    What they saved is estimated: an adjudicated game that was not played on would have cost as much
    from there on as those under the same rule that were, on average. ``evaluations`` is how many
    took place, 0 if that is not known.
    """
    if not rules.any:
        return None
    ended = {
        rule: found
        for rule in Termination
        if rule in ADJUDICATIONS and (found := [game for game in games if game.termination is rule])
    }
    by_rule = [_rule_summary(rule, found) for rule, found in ended.items()]
    audits = [audit for found in ended.values() for audit in _audits(found)]
    wrong = sum(map(_is_wrong, audits))
    plies = sum(len(game.moves) + _plies_after(game) for game in games)
    return AdjudicationSummary(
        rules=by_rule,
        audited=len(audits),
        wrong=wrong,
        error=wrong / len(audits) if audits else None,
        error_ci=list(proportion_interval(wrong, len(audits))) if audits else None,
        plies=_saving(
            [rule["plies_saved"] for rule in by_rule], sum(map(_plies_after, games)), plies
        ),
        evaluations=_saving(
            [rule["evaluations_saved"] for rule in by_rule],
            sum(map(_evaluations_after, games)),
            evaluations,
        ),
    )


def _saving(of_rules: Sequence[float | None], audits: int, spent: int) -> SavingSummary | None:
    """What was saved, of what was spent, ``audits`` among it; None where nobody knows."""
    known = [saved for saved in of_rules if saved is not None]
    if not known or not spent:
        return None
    saved = sum(known)
    return SavingSummary(
        saved=saved,
        share=saved / (saved + spent),
        share_unaudited=(saved + audits) / (saved + spent),
    )


def _rule_summary(rule: Termination, games: Sequence[GameRecord]) -> RuleSummary:
    audits = _audits(games)
    wrong = sum(map(_is_wrong, audits))
    not_audited = sum(game.played_on is None for game in games)

    def saved(after: Callable[[GameRecord], int]) -> float | None:
        if not audits or rule is Termination.MAX_LENGTH:
            return None
        return not_audited * sum(map(after, audits)) / len(audits)

    return RuleSummary(
        rule=rule.value,
        games=len(games),
        audited=len(audits),
        wrong=wrong,
        error=wrong / len(audits) if audits else None,
        error_ci=list(proportion_interval(wrong, len(audits))) if audits else None,
        plies_saved=saved(_plies_after),
        evaluations_saved=saved(_evaluations_after),
        by_net={
            "baseline": _net_summary(games, audits, candidate=False),
            "candidate": _net_summary(games, audits, candidate=True),
        },
    )


def _net_summary(
    games: Sequence[GameRecord], audits: Sequence[GameRecord], *, candidate: bool
) -> AdjudicatedNetSummary:
    points = [_points(game.result, game, candidate) for game in games]
    withheld = [
        _points(game.played_on.result, game, candidate) - _points(game.result, game, candidate)
        for game in audits
        if game.played_on is not None
    ]
    return AdjudicatedNetSummary(
        wins=points.count(1.0),
        draws=points.count(0.5),
        losses=points.count(0.0),
        wronged=sum(more > 0.0 for more in withheld),
        points_withheld=sum(withheld),
    )


def _points(result: Result, game: GameRecord, candidate: bool) -> float:
    white = WHITE_POINTS[result]
    return white if game.candidate_white is candidate else 1.0 - white


def _audits(games: Sequence[GameRecord]) -> list[GameRecord]:
    return [
        game
        for game in games
        if game.played_on is not None and game.played_on.termination not in FORFEITS
    ]


def _is_wrong(audit: GameRecord) -> bool:
    return audit.played_on is not None and audit.played_on.result != audit.result


def _plies_after(game: GameRecord) -> int:
    return len(game.played_on.moves) if game.played_on is not None else 0


def _evaluations_after(game: GameRecord) -> int:
    return game.played_on.evaluations if game.played_on is not None else 0


# --- as report.md shows it ---

HEADER = ("rule", "games", "candidate won-drawn-lost", "played on", "ended otherwise", "95 %")


def rule_rows(summary: AdjudicationSummary) -> Iterator[list[str]]:
    """Yield a row for each rule; net by net below it where one of them was wronged."""
    for rule in summary["rules"]:
        candidate = rule["by_net"]["candidate"]
        yield [
            rule["rule"],
            f"{rule['games']:,}",
            f"{candidate['wins']:,}-{candidate['draws']:,}-{candidate['losses']:,}",
            f"{rule['audited']:,}",
            _wrong(rule),
            _share_interval(rule["error_ci"]),
        ]


def _wrong(rule: RuleSummary) -> str:
    if not rule["audited"]:
        return "-"
    words = f"{rule['wrong']:,} ({percent(rule['error'])})"
    if rule["wrong"]:
        wronged = (f"{net['wronged']:,} against the {role}" for role, net in rule["by_net"].items())
        words += f": {', '.join(wronged)}"
    return words


def _share_interval(ends: Sequence[float] | None) -> str:
    return "-" if ends is None else f"{percent(ends[0])} to {percent(ends[1])}"


def saving(summary: AdjudicationSummary) -> str:
    """Say in a sentence what the rules saved, by what the games that were played on cost."""
    found = {"evaluations": summary["evaluations"], "moves": summary["plies"]}
    known = {what: saved for what, saved in found.items() if saved is not None}
    if not known:
        return ""
    shares = (f"{percent(saved['share'])} of all {what}" for what, saved in known.items())
    without = (percent(saved["share_unaudited"]) for saved in known.values())
    return (
        f"Saved, by the {counted(summary['audited'], 'game')} played on: {' and '.join(shares)}; "
        f"without the audit it would be {' and '.join(without)}."
    )


def adjudication_caveats(summary: AdjudicationSummary | None) -> Iterator[str]:
    """Say where the rules should not be trusted."""
    if summary is None:
        return
    foretold = sum(
        rule["games"] for rule in summary["rules"] if rule["rule"] != Termination.MAX_LENGTH
    )
    if foretold and not summary["audited"]:
        yield (
            f"{counted(foretold, 'game')} {'was' if foretold == 1 else 'were'} adjudicated and "
            "none was played on: nobody knows how many would have ended otherwise (`--audit`)."
        )
    for rule in summary["rules"]:
        if rule["error"] is None or rule["error"] <= MUCH:
            continue
        shift = rule["by_net"]["candidate"]["points_withheld"] / rule["audited"]
        yield (
            f"Of {counted(rule['audited'], 'game')} played on after a {rule['rule']}, "
            f"{rule['wrong']:,} ended otherwise ({percent(rule['error'])}); to the candidate each "
            f"such adjudication gave {plain(-shift, 3)} points too many on average."
        )
