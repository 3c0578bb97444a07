"""The outcome of a match in one sentence: who, against whom, what to do, and on what grounds.

The sentence is the first thing in the report and the last in the terminal, so that nobody has to
work out whose Elo it was or why the match ended.
"""

from __future__ import annotations

from collections.abc import Sequence

from arena.judgement import Judgement
from arena.match_file import MatchIdentity
from arena.report.block import Heading, counted, plain, results_block
from arena.report.characters import printable
from arena.report.headline import WORDS, headline, headline_lines, interval
from arena.report.players import effort_of_search, efforts
from arena.stats.sprt import Method, Sprt, Verdict


def heading_of(identity: MatchIdentity) -> Heading:
    """Whose match it is, and the conditions that a reader needs to judge its figures by."""
    baseline, candidate = (printable(net.name) for net in identity.nets)
    return Heading(candidate, baseline, _conditions(identity, efforts(identity)))


def conditions_of(identity: MatchIdentity) -> str:
    """Return the conditions that are not one player's own."""
    return _conditions(identity, effort_of_search(identity.search))


def _conditions(identity: MatchIdentity, effort: str) -> str:
    conditions = [effort, identity.dtype]
    if identity.evaluator != "net":
        conditions.append(identity.evaluator)
    return printable(", ".join([*conditions, identity.openings.file]))


def outcome(identity: MatchIdentity, judgement: Judgement, doubts: Sequence[str] = ()) -> list[str]:
    """Return what a terminal shows of a match that is over: the block and the sentence."""
    heading = heading_of(identity)
    remarks = headline_lines(judgement)
    block = results_block(heading, judgement.counts, judgement.sprt, judgement.llr, remarks)
    return [*block, verdict_sentence(heading, judgement, doubts)]


def verdict_sentence(
    heading: Heading, judgement: Judgement, doubts: Sequence[str] = (), *, advice: bool = True
) -> str:
    """Say what the counted pairs decide, at any moment of a match; nothing where there are doubts.

    ``doubts``: why the figures are not those of the players (``faults.Faults.doubts``).
    ``advice``: say what to do as well; left out where that stands before the sentence.
    """
    grounds = f"{counted(judgement.counts.pairs, 'pair')} ({heading.conditions})"
    names = f"{heading.candidate} against {heading.baseline}"
    if doubts:
        return f"{names}: no verdict, since {'; and '.join(doubts)}. Mend that and play again."
    if judgement.counts.pairs == 0:
        return f"{names}: no pair has been finished yet."
    limit = counted(judgement.limit, "pair")
    found = headline(judgement)
    elo = f"Elo {interval(found.elo)}, {WORDS[found.kind]}" if found else "Elo n/a"
    sprt = judgement.sprt
    if sprt is None or judgement.llr is None:
        so_far = "" if judgement.settled else f" so far, of {limit} asked for"
        return f"{names}: {elo} after {grounds}{so_far}; no test was asked for."
    test = f"{_grounds(judgement, judgement.llr)}, {sprt_name(sprt)}"
    match judgement.verdict:
        case Verdict.PROMOTE:
            todo = ": promote" if advice else ""
            return f"{_passed(heading, sprt)}{todo} (H1 accepted: {test}) after {grounds}; {elo}."
        case Verdict.KEEP:
            todo = f": keep {heading.baseline}" if advice else ""
            return f"{_failed(heading, sprt)}{todo} (H0 accepted: {test}) after {grounds}; {elo}."
    if judgement.settled:
        return (
            f"{names}: no decision within the limit of {limit} ({test}); "
            f"{elo} ({heading.conditions})."
        )
    return f"{names}: unfinished, undecided ({test}) after {grounds}; {elo}."


def _grounds(judgement: Judgement, llr: float) -> str:
    """Return the figure that decides: of a certified test, what speaks for its likelier end."""
    betting = judgement.progress.betting if judgement.progress else None
    if betting is None:
        return f"LLR {plain(llr)}"
    evidence = zip((betting.against_elo0, betting.against_elo1), betting.thresholds, strict=True)
    most, needed = max(evidence, key=lambda pair: pair[0] / pair[1])
    return f"evidence {plain(most)} of {needed:.2f}"


def sprt_name(sprt: Sprt) -> str:
    """``SPRT [0, 10] in normalized Elo``, and how it decides where it is not the plain one."""
    methods = {
        Method.GSPRT: "SPRT",
        Method.OVERSHOOT: "overshoot-corrected SPRT",
        Method.CERTIFIED: "certified test",
    }
    return f"{methods[sprt.method]} [{sprt.elo0:g}, {sprt.elo1:g}] in {sprt.model} Elo"


def _bound(sprt: Sprt, elo: float) -> str:
    """``1.75 normalized Elo``."""
    return f"{elo:g} {sprt.model} Elo"


def _passed(heading: Heading, sprt: Sprt) -> str:
    """Say what was rejected: that the candidate is at most elo0 stronger."""
    if sprt.elo0 == 0:
        claim = "is stronger than"
    elif sprt.elo0 > 0:
        claim = f"is more than {_bound(sprt, sprt.elo0)} stronger than"
    elif sprt.elo0 == -sprt.elo1:
        claim = "is the better pick against"
    elif sprt.elo1 == 0:
        claim = "is no regression against"
    else:
        claim = f"is not {_bound(sprt, -sprt.elo0)} weaker than"
    return f"{heading.candidate} {claim} {heading.baseline}"


def _failed(heading: Heading, sprt: Sprt) -> str:
    """Say what was rejected: that the candidate is at least elo1 stronger."""
    if sprt.elo1 == 0:
        claim = "is weaker than"
    elif sprt.elo1 < 0:
        claim = f"is more than {_bound(sprt, -sprt.elo1)} weaker than"
    elif sprt.elo0 == 0:
        claim = "is not shown to be stronger than"
    elif sprt.elo0 == -sprt.elo1:
        claim = "is the worse pick against"
    else:
        claim = f"is not {_bound(sprt, sprt.elo1)} stronger than"
    return f"{heading.candidate} {claim} {heading.baseline}"
