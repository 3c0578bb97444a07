"""summary.json: every number of a match in one document, derived from the run folder alone.

Console, report and scripts show what stands here and compute nothing of their own. Where a number
has no value yet (an interval from one pair, a ratio to nothing) it is null, never NaN or infinity.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from arena.faults import Faults
from arena.game import GameRecord, PairRecord
from arena.judgement import Judgement
from arena.match_file import EngineIdentity, to_table
from arena.report.adjudication import adjudication_summary
from arena.report.curves.match import curves_of
from arena.report.files import atomic_writer
from arena.report.headline import anytime, headline
from arena.report.nets import swa_summary
from arena.report.openings import best_and_worst, opening_scores, opening_text, white_points
from arena.report.opinions import opinions_summary, with_opinions
from arena.report.players import effort
from arena.report.run import Run, replaying
from arena.report.schema import (
    FORMAT,
    MINOR,
    AnytimeSummary,
    CertifiedSummary,
    ColourSummary,
    FaultsSummary,
    HeadlineSummary,
    HomogeneitySummary,
    NetSummary,
    OpeningResult,
    OpeningsSummary,
    SprtSummary,
    Summary,
)
from arena.sessions import Pace, Session, devices_of, evaluators_of
from arena.stats.confidence import confidence_sequence
from arena.stats.elo import (
    EloEstimate,
    likelihood_of_superiority,
    logistic_elo,
    normalized_elo,
    rms_opening_bias,
)
from arena.stats.homogeneity import homogeneity
from arena.stats.pentanomial import PairCounts
from arena.stats.sprt import PAIR_MODELS, Sprt, Verdict

SHOWN_FAULTS = 10
"""Different faults of harness or machine that are told."""


def summarize(run: Run) -> Summary:
    """Work out every number of a run. Raises LedgerError where games that it needs are no chess."""
    with replaying(run.folder):
        openings, curves = _openings(run), curves_of(run.identity, run.counted, run.sessions)
    identity, judgement, counts = run.identity, run.judgement, run.judgement.counts
    elo, nelo = logistic_elo(counts), normalized_elo(counts)
    games = [game for pair in run.counted for game in pair.games]
    last = run.sessions[-1] if run.sessions else None
    sprt = identity.sprt
    return Summary(
        format=FORMAT,
        minor=MINOR,
        nets=_nets(run),
        config=to_table(identity),
        state=run.state,
        interrupted=run.state == "unfinished",
        verdict=(Verdict.UNDECIDED if run.doubts else judgement.verdict).value,
        doubts=run.doubts,
        faults=_faults(run.faults),
        decided_at=None if judgement.decided_at is None else judgement.decided_at + 1,
        headline=_headline(judgement),
        pairs=counts.pairs,
        pairs_repeated=len(judgement.repeats),
        pairs_beyond=len(run.pairs) - judgement.seen,
        pairs_limit=identity.pairs,
        earlier_limits=list(identity.earlier_limits),
        games=counts.games,
        pentanomial=list(counts.pentanomial),
        wins=counts.wins,
        draws=counts.draws,
        losses=counts.losses,
        points=counts.points,
        score=counts.score,
        elo=elo.elo,
        elo_ci=_interval(elo),
        nelo=nelo.elo,
        nelo_ci=_interval(nelo),
        los=likelihood_of_superiority(counts),
        anytime=_anytime(judgement),
        draw_ratio=counts.draw_ratio,
        pairs_ratio=counts.pairs_ratio,
        wl_dd_ratio=counts.wl_dd_ratio,
        opening_bias=rms_opening_bias(counts),
        llr=judgement.llr,
        llr_bounds=None if sprt is None else list(sprt.bounds),
        overshoot_bounds=_overshoot_bounds(judgement),
        sprt=None if sprt is None else _sprt(sprt),
        certified=_certified(judgement),
        homogeneity=_homogeneity(run),
        models=_models(sprt, counts),
        by_colour=_by_colour(games),
        terminations=dict(Counter(game.termination.value for game in games).most_common()),
        adjudication=adjudication_summary(identity.adjudication, games, _evaluations(run.sessions)),
        repeated_games=_repeated_games(run.pairs[: judgement.seen]),
        mirrored_pairs=sum(pair.games[0].moves == pair.games[1].moves for pair in run.counted),
        plies=_mean_plies(run.counted),
        openings=openings,
        versions=dict(last.versions) if last else {},
        device=", then ".join(devices_of(run.sessions)) or None,
        parallel=last.parallel if last else None,
        evaluator=", then ".join(evaluators_of(run.sessions)) or None,
        command=list(last.command) if last else None,
        date=run.sessions[0].started[:10] if run.sessions else None,
        sessions=len(run.sessions),
        parts=list(dict.fromkeys(str(one.part) for one in run.sessions if one.part)),
        throughput=_throughput(run.sessions),
        opinions=opinions_summary(run.opinions.document),
        curves=with_opinions(curves, run.opinions.document),
    )


def write_summary(path: Path, summary: Summary) -> None:
    """Write summary.json whole or not at all. Raises OSError where it cannot be written."""
    with atomic_writer(path) as file:
        file.write(summary_json(summary))


def summary_json(summary: Summary) -> str:
    """Return the document as text; a number that JSON does not know is an error, not a NaN."""
    return json.dumps(summary, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def _nets(run: Run) -> list[NetSummary]:
    # A session has its nets in the order of the match; one file may be there twice, by other heads.
    files = {
        (net.sha256, [one.sha256 for one in session.nets[:place]].count(net.sha256)): net
        for session in run.sessions
        for place, net in enumerate(session.nets)
    }
    seen: Counter[str] = Counter()
    nets = []
    for net in run.identity.nets:
        file = files.get((net.sha256, seen[net.sha256])) or files.get((net.sha256, 0))
        seen[net.sha256] += 1
        known = NetSummary(
            name=net.name,
            role=net.role,
            sha256=net.sha256,
            file=file.file if file else None,
            architecture=file.architecture if file else None,
            training_steps=file.training_steps if file else None,
            bytes=file.bytes if file else None,
            heads=file.heads if file else None,
            swa=swa_summary(file.swa) if file else None,
        )
        if isinstance(net, EngineIdentity):
            known["file"], known["engine"] = net.file, net.id
        if not run.identity.plain:
            known["settings"], known["effort"] = net.settings, effort(run.identity, net)
        nets.append(known)
    return nets


def _faults(faults: Faults) -> FaultsSummary:
    return FaultsSummary(
        void=len(faults.void),
        void_by=dict(Counter(void.what for void in faults.void).most_common(SHOWN_FAULTS)),
        forfeits={
            "baseline": dict(faults.baseline.most_common()),
            "candidate": dict(faults.candidate.most_common()),
        },
    )


def _interval(estimate: EloEstimate) -> list[float | None] | None:
    if estimate.low is None and estimate.high is None:
        return None
    return [estimate.low, estimate.high]


def _sprt(sprt: Sprt) -> SprtSummary:
    return SprtSummary(
        elo0=sprt.elo0,
        elo1=sprt.elo1,
        alpha=sprt.alpha,
        beta=sprt.beta,
        model=sprt.model.value,
        method=sprt.method.value,
    )


def _overshoot_bounds(judgement: Judgement) -> list[float] | None:
    progress = judgement.progress
    return list(progress.bounds) if progress and progress.overshoot else None


def _headline(judgement: Judgement) -> HeadlineSummary | None:
    found = headline(judgement)
    if found is None:
        return None
    return HeadlineSummary(
        kind=found.kind.value,
        elo=found.elo.elo,
        elo_ci=_interval(found.elo),
        nelo=found.nelo.elo if found.nelo else None,
        nelo_ci=_interval(found.nelo) if found.nelo else None,
        los=found.los,
    )


def _anytime(judgement: Judgement) -> AnytimeSummary | None:
    if not judgement.counts.pairs:
        return None
    score = confidence_sequence(judgement.counts)
    return AnytimeSummary(score_ci=[score.low, score.high], elo_ci=_interval(anytime(judgement)))


def _certified(judgement: Judgement) -> CertifiedSummary | None:
    betting = judgement.progress.betting if judgement.progress else None
    if betting is None:
        return None
    promote_at, keep_at = betting.thresholds
    return CertifiedSummary(
        against_elo0=betting.against_elo0,
        against_elo1=betting.against_elo1,
        promote_at=promote_at,
        keep_at=keep_at,
    )


def _homogeneity(run: Run) -> HomogeneitySummary | None:
    parts = run.parts
    found = homogeneity(parts)
    if found is None:
        return None
    return HomogeneitySummary(
        parts=[list(part.pentanomial) for part in parts],
        chi2=found.statistic,
        degrees=found.dof,
        p_value=found.p_value,
    )


def _models(sprt: Sprt | None, counts: PairCounts) -> dict[str, dict[str, float | None]]:
    """Read the test's bounds in both units, to compare with programs that use the other one."""
    if sprt is None or not counts.pairs:
        return {model.value: {"llr": None} for model in PAIR_MODELS}
    return {model.value: {"llr": replace(sprt, model=model).llr(counts)} for model in PAIR_MODELS}


def _by_colour(games: Sequence[GameRecord]) -> dict[str, ColourSummary]:
    colours = {}
    for name, white in (("white", True), ("black", False)):
        points = [game.candidate_points for game in games if game.candidate_white is white]
        colours[name] = ColourSummary(
            games=len(points),
            wins=points.count(1.0),
            draws=points.count(0.5),
            losses=points.count(0.0),
            score=sum(points) / len(points) if points else None,
        )
    return colours


def _repeated_games(pairs: Sequence[PairRecord]) -> int:
    """Games that bring nothing new: move for move a game of an earlier pair, colours as well."""
    keys = [key for pair in pairs for key in pair.result.fingerprints]
    return len(keys) - len(set(keys))


def _mean_plies(pairs: Sequence[PairRecord]) -> float | None:
    lengths = [len(pair.opening.moves) + len(game.moves) for pair in pairs for game in pair.games]
    return sum(lengths) / len(lengths) if lengths else None


def _openings(run: Run) -> OpeningsSummary:
    book = run.identity.openings
    starts = {(pair.opening.fen, pair.opening.moves) for pair in run.counted}
    scores = opening_scores(run.counted)
    best, worst = best_and_worst(run.counted)
    filtered = (book.least_q, book.most_q) != (0.0, 1.0)
    return OpeningsSummary(
        file=book.file,
        sha256=book.sha256,
        entries=book.entries,
        order=book.order,
        used=len(run.counted),
        distinct=len(starts),
        plies=book.plies or None,
        start=book.start,
        filter=[book.least_q, book.most_q] if filtered else None,
        chess960=sum(pair.opening.chess960 for pair in run.counted),
        won=scores.won,
        lost=scores.lost,
        white=scores.white,
        black=scores.black,
        white_score=scores.white_score,
        best=list(map(_opening_result, best)),
        worst=list(map(_opening_result, worst)),
    )


def _opening_result(pair: PairRecord) -> OpeningResult:
    return OpeningResult(
        pair=pair.number + 1,
        opening=opening_text(pair.opening),
        points=pair.candidate_points,
        white_points=white_points(pair),
    )


def _evaluations(sessions: Sequence[Session]) -> int:
    """All evaluations of a match, as its games count them: whoever answered, a net or its cache.

    0 where a session left no figures.
    """
    counts = [session.pace.evaluations + session.pace.cache_hits for session in sessions]
    return sum(counts) if all(counts) else 0


def _throughput(sessions: Sequence[Session]) -> dict[str, float | None]:
    """Sum the sessions that came to an end; the others left no figures."""
    pace = sum((session.pace for session in sessions), Pace())
    return {
        "seconds": pace.seconds,
        "pairs": pace.pairs,
        "pairs_per_minute": pace.pairs_per_minute,
        "visits_per_second": pace.visits_per_second,
        "evaluations_per_second": pace.evaluations_per_second,
        "batch_fill": pace.batch_fill,
        "cache_hit_share": pace.cache_hit_share,
    }
