"""summary.json: every number of a match in one document, derived from the run folder alone.

Console, report and scripts show what stands here and compute nothing of their own. Where a number
has no value yet (an interval from one pair, a ratio to nothing) it is null, never NaN or infinity.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypedDict

from arena.game import GameRecord, PairRecord
from arena.ledger import read_pairs_in_issue_order
from arena.match import Judgement, in_issue_order, judge
from arena.match_file import MatchIdentity, read_identity, to_table
from arena.report.files import atomic_writer
from arena.sessions import Pace, Session, evaluators_of, read_sessions
from arena.stats.elo import (
    EloEstimate,
    likelihood_of_superiority,
    logistic_elo,
    normalized_elo,
    rms_opening_bias,
)
from arena.stats.pentanomial import PairCounts
from arena.stats.sprt import PAIR_MODELS, Sprt

FORMAT = 1
"""Version of the document; raised when a key changes its meaning or goes."""

State = Literal["decided", "limit", "unfinished"]


class NetSummary(TypedDict):
    """One of the two nets; what only its file tells is null where no session noted it."""

    name: str
    role: Literal["baseline", "candidate"]
    sha256: str
    file: str | None
    architecture: str | None  # "6x64 SE 8 relu, convolution policy, wdl value"
    training_steps: int | None


class ColourSummary(TypedDict):
    """The candidate's games with one colour."""

    games: int
    wins: int
    draws: int
    losses: int
    score: float | None  # points a game, in [0, 1]


class OpeningsSummary(TypedDict):
    """Which openings the counted pairs started from."""

    file: str
    sha256: str
    entries: int
    order: str
    used: int  # counted pairs
    distinct: int  # different starts among them


class SprtSummary(TypedDict):
    """The test that was asked for; Elo by its model."""

    elo0: float
    elo1: float
    alpha: float
    beta: float
    model: str


class Summary(TypedDict):
    """summary.json. Every figure is the candidate's, relative to the baseline."""

    format: int
    nets: list[NetSummary]  # baseline, candidate
    config: dict[str, Any]  # match.toml
    state: State  # "unfinished": interrupted, or still being played
    interrupted: bool  # the match has neither a verdict nor all its pairs
    verdict: str  # "promote", "keep" or "undecided"
    decided_at: int | None  # counted pairs when the test ended
    pairs: int  # counted: in the order of issue, without a gap, up to the verdict
    pairs_beyond: int  # finished, but not counted
    pairs_limit: int
    games: int
    pentanomial: list[int]  # [LL, LD, WL+DD, WD, WW]
    wins: int
    draws: int
    losses: int
    points: float
    score: float | None  # points a game, in [0, 1]
    elo: float | None  # logistic
    elo_ci: list[float] | None  # 95 %, as of a match of fixed length
    nelo: float | None  # normalized
    nelo_ci: list[float] | None
    los: float | None  # likelihood of superiority, in [0, 1]
    draw_ratio: float | None  # pairs that end level
    pairs_ratio: float | None  # pairs won to pairs lost
    wl_dd_ratio: float | None  # level pairs of a win and a loss to those of two draws
    opening_bias: float | None  # root mean square, in Elo
    llr: float | None
    llr_bounds: list[float] | None
    sprt: SprtSummary | None
    models: dict[str, dict[str, float | None]]  # "logistic", "normalized": {"llr"}
    by_colour: dict[str, ColourSummary]  # "white", "black"
    terminations: dict[str, int]  # games
    repeated_games: int  # games whose moves are those of an earlier pair's
    mirrored_pairs: int  # pairs of two games with the same moves: the nets played alike
    plies: float | None  # mean length of a game, the opening included
    openings: OpeningsSummary
    versions: dict[str, str]
    device: str | None
    evaluator: str | None  # of all sessions that played: "torch (...), then winograd (...)"
    command: list[str] | None
    date: str | None  # ISO, on which the match began
    sessions: int
    throughput: dict[str, float | None]


@dataclass(frozen=True, slots=True)
class Run:
    """A run folder, read: what was asked, every finished pair, and what they say."""

    folder: Path
    identity: MatchIdentity
    pairs: Sequence[PairRecord]  # by number; behind the counted ones there may be gaps
    judgement: Judgement
    sessions: Sequence[Session]

    @property
    def counted(self) -> Sequence[PairRecord]:
        """The pairs that the verdict rests on: from the first on, without a gap."""
        return self.pairs[: self.judgement.counts.pairs]

    @property
    def state(self) -> State:
        """Why there are no more pairs."""
        if self.judgement.decided_at is not None:
            return "decided"
        return "limit" if self.judgement.settled else "unfinished"


def read_run(folder: Path) -> Run:
    """Read a run folder, finished or not. Raises LedgerError where it is none or is damaged."""
    identity = read_identity(folder)
    pairs = read_pairs_in_issue_order(folder)
    points = {pair.number: pair.points for pair in pairs}
    judgement = judge(in_issue_order(points), identity.sprt, identity.pairs)
    return Run(folder, identity, pairs, judgement, read_sessions(folder))


def summarize(run: Run) -> Summary:
    """Work out every number of a run."""
    identity, judgement, counts = run.identity, run.judgement, run.judgement.counts
    elo, nelo = logistic_elo(counts), normalized_elo(counts)
    games = [game for pair in run.counted for game in pair.games]
    last = run.sessions[-1] if run.sessions else None
    sprt = identity.sprt
    return Summary(
        format=FORMAT,
        nets=_nets(run),
        config=to_table(identity),
        state=run.state,
        interrupted=run.state == "unfinished",
        verdict=judgement.verdict.value,
        decided_at=None if judgement.decided_at is None else judgement.decided_at + 1,
        pairs=counts.pairs,
        pairs_beyond=len(run.pairs) - counts.pairs,
        pairs_limit=identity.pairs,
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
        draw_ratio=counts.draw_ratio,
        pairs_ratio=counts.pairs_ratio,
        wl_dd_ratio=counts.wl_dd_ratio,
        opening_bias=rms_opening_bias(counts),
        llr=judgement.llr,
        llr_bounds=None if sprt is None else list(sprt.bounds),
        sprt=None if sprt is None else _sprt(sprt),
        models=_models(sprt, counts),
        by_colour=_by_colour(games),
        terminations=dict(Counter(game.termination.value for game in games).most_common()),
        repeated_games=_repeated_games(run.counted),
        mirrored_pairs=sum(pair.games[0].moves == pair.games[1].moves for pair in run.counted),
        plies=_mean_plies(run.counted),
        openings=_openings(run),
        versions=dict(last.versions) if last else {},
        device=last.device if last else None,
        evaluator=", then ".join(evaluators_of(run.sessions)) or None,
        command=list(last.command) if last else None,
        date=run.sessions[0].started[:10] if run.sessions else None,
        sessions=len(run.sessions),
        throughput=_throughput(run.sessions),
    )


def write_summary(path: Path, summary: Summary) -> None:
    """Write summary.json whole or not at all. Raises OSError where it cannot be written."""
    with atomic_writer(path) as file:
        file.write(summary_json(summary))


def summary_json(summary: Summary) -> str:
    """Return the document as text; a number that JSON does not know is an error, not a NaN."""
    return json.dumps(summary, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def _nets(run: Run) -> list[NetSummary]:
    files = {net.sha256: net for session in run.sessions for net in session.nets}
    nets = []
    for net in run.identity.nets:
        file = files.get(net.sha256)
        nets.append(
            NetSummary(
                name=net.name,
                role=net.role,
                sha256=net.sha256,
                file=file.file if file else None,
                architecture=file.architecture if file else None,
                training_steps=file.training_steps if file else None,
            )
        )
    return nets


def _interval(estimate: EloEstimate) -> list[float] | None:
    if estimate.low is None or estimate.high is None:
        return None
    return [estimate.low, estimate.high]


def _sprt(sprt: Sprt) -> SprtSummary:
    return SprtSummary(
        elo0=sprt.elo0, elo1=sprt.elo1, alpha=sprt.alpha, beta=sprt.beta, model=sprt.model.value
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
    """Games that bring nothing new: move for move a game of an earlier pair.

    The two games of one pair may well be the same, from nets that play alike: that is a result.
    """
    seen: set[int] = set()
    repeated = 0
    for pair in pairs:
        # Hashes, since the moves themselves would double the memory of a long match.
        keys = [hash((pair.opening.fen, *pair.opening.moves, *game.moves)) for game in pair.games]
        repeated += sum(key in seen for key in keys)
        seen.update(keys)
    return repeated


def _mean_plies(pairs: Sequence[PairRecord]) -> float | None:
    lengths = [len(pair.opening.moves) + len(game.moves) for pair in pairs for game in pair.games]
    return sum(lengths) / len(lengths) if lengths else None


def _openings(run: Run) -> OpeningsSummary:
    book = run.identity.openings
    starts = {(pair.opening.fen, pair.opening.moves) for pair in run.counted}
    return OpeningsSummary(
        file=book.file,
        sha256=book.sha256,
        entries=book.entries,
        order=book.order,
        used=len(run.counted),
        distinct=len(starts),
    )


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
