"""The keys of summary.json, which scripts rely on: more may come, these stay."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

FORMAT = 2
"""Version of the document; raised when a key changes its meaning or goes."""

State = Literal["decided", "limit", "unfinished"]


class IngredientSummary(TypedDict):
    """A snapshot that has a share in an averaged net."""

    name: str
    training_steps: int | None
    weight: float  # its share: all add up to 1
    loss: float | None  # policy and value, in nats


class SwaSummary(TypedDict):
    """How a net came about that ``swa build`` made, as its manifest says."""

    ingredients: list[IngredientSummary]
    rule: str  # "mean", "ema decay 0.9 start first"
    refresh: str  # of batch norm: "exact", "averaged" (none), "none" (the net has none), ...
    refresh_positions: int
    losses_on: str | None  # "held-out" or "refresh" positions; null: no losses were measured
    losses_positions: int
    raw_loss: float | None  # of the ingredient that was trained longest
    stale_loss: float | None  # of the average before batch norm was refreshed
    refreshed_loss: float | None  # of the net itself


class NetSummary(TypedDict):
    """One of the two players; what only a net's file tells is null where no session noted it.

    The last three keys are there where players are not two nets under the same settings.
    """

    name: str
    role: Literal["baseline", "candidate"]
    sha256: str
    file: str | None
    architecture: str | None  # "6x64 SE 8 relu, convolution policy, wdl value"
    training_steps: int | None
    bytes: int | None  # of the file
    heads: str | None  # "policy by convolution (64 channels), value as ..."
    swa: SwaSummary | None  # null, too, for a net without a manifest
    engine: NotRequired[str]  # what a UCI engine calls itself; a net has none
    settings: NotRequired[dict[str, str]]  # its own: {"visits": "200"}, {"option.Hash": "16"}
    effort: NotRequired[str]  # "100 visits", "5,000 nodes"


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
    plies: int | None  # most moves of an opening that are played; null: all
    start: int  # number of the first opening that is taken
    filter: list[float] | None  # |Q| by the baseline's net of those that are taken
    chess960: int  # of the counted pairs' openings, those with castling that Chess960 alone knows
    won: int  # counted pairs of which the candidate won both games
    lost: int
    white: int  # counted pairs of which White won both games
    black: int
    white_score: float | None  # White's points a game, in [0, 1]


class SprtSummary(TypedDict):
    """The test that was asked for; Elo by its model."""

    elo0: float
    elo1: float
    alpha: float
    beta: float
    model: str
    method: str  # "gsprt", "overshoot" or "certified"


class HeadlineSummary(TypedDict):
    """The Elo to quote, with a 95 % interval that allows for how the match ended."""

    kind: str  # "anytime" while it runs, "stopping-aware" after a test, "fixed-length" without one
    elo: float | None  # logistic
    elo_ci: list[float | None] | None
    nelo: float | None
    nelo_ci: list[float | None] | None
    los: float | None


class AnytimeSummary(TypedDict):
    """The 95 % confidence sequence: it holds at every moment of the match at once."""

    score_ci: list[float]  # of the mean score, in [0, 1]
    elo_ci: list[float | None] | None


class CertifiedSummary(TypedDict):
    """The certified test's evidence, in nats, and what decides."""

    against_elo0: float
    against_elo1: float
    promote_at: float
    keep_at: float


class HomogeneitySummary(TypedDict):
    """Whether the sessions of a match agree: chi-squared of lost, level and won pairs."""

    parts: list[list[int]]  # pentanomial of each
    chi2: float
    degrees: int
    p_value: float


class FaultsSummary(TypedDict):
    """What went wrong."""

    void: int  # times that a pair was played in vain: a fault of harness or machine
    void_by: dict[str, int]  # the most frequent ones, as they were noted
    forfeits: dict[str, dict[str, int]]  # games that "baseline", "candidate" lost, by termination


class AdjudicatedNetSummary(TypedDict):
    """What a rule did to one of the nets."""

    wins: int  # adjudicated
    draws: int
    losses: int
    wronged: int  # audited games in which it would have got more
    points_withheld: float  # in the audited games: what it would have got less what it was given


class RuleSummary(TypedDict):
    """What a rule of adjudication did; an audited game was played on, a wrong one ended otherwise.

    ``maximal length`` foretells nothing and has no audits.
    """

    rule: str  # as in "terminations"
    games: int
    audited: int
    wrong: int
    error: float | None  # wrong to audited
    error_ci: list[float] | None  # exact 95 %
    plies_saved: float | None  # estimated from the audited games
    evaluations_saved: float | None
    by_net: dict[str, AdjudicatedNetSummary]  # "baseline", "candidate"


class SavingSummary(TypedDict):
    """What rules of adjudication saved, estimated from the audited games."""

    saved: float
    share: float  # of what there would have been without rules
    share_unaudited: float  # what that share would be if no game had been played on


class AdjudicationSummary(TypedDict):
    """What all rules of adjudication together did."""

    rules: list[RuleSummary]  # those that ended a counted game
    audited: int
    wrong: int
    error: float | None
    error_ci: list[float] | None
    plies: SavingSummary | None
    evaluations: SavingSummary | None


class PathPoint(TypedDict):
    """The match up to one of its counted pairs."""

    pairs: int  # counted until then
    score: float  # points a game, in [0, 1]
    elo: float | None  # logistic
    elo_ci: list[float | None] | None  # 95 %, of the confidence sequence
    llr: float | None  # of the test; None without one


class CalibrationBin(TypedDict):
    """Positions in which a player was to move and expected about the same; bins of equal count."""

    positions: int
    expected: float  # mean of its expected score (q + 1) / 2, in [0, 1]
    scored: float  # mean of what its games then brought, in [0, 1]


class LengthRow(TypedDict):
    """The candidate's games of one colour and about one length."""

    colour: Literal["white", "black"]
    plies_from: int  # of the whole game, the opening included
    plies_to: int  # inclusive
    wins: int
    draws: int
    losses: int


class OpeningGroup(TypedDict):
    """Counted pairs whose openings belong together."""

    name: str  # their common name, or their first moves
    pairs: int
    score: float  # the candidate's points a game, in [0, 1]
    score_ci: list[float] | None  # 95 %; None where there are too few pairs
    white_score: float


class DivergencePoint(TypedDict):
    """Positions that both players had before them in the two games of a pair."""

    ply: int  # of the players' own moves, from 1
    positions: int
    differ: int  # in which they chose different moves


class OpinionPoint(TypedDict):
    """What both nets say without search of a sample of the match's positions, by ply.

    A ply is that of the move to be made, from 1, in the whole game, the opening included. A policy
    is the softmax of the net's logits over the legal moves.
    """

    plies_from: int
    plies_to: int  # inclusive
    positions: int
    kl: float  # mean of KL(baseline's policy || candidate's), in nats
    top_differs: float  # share of positions in which their first choices differ
    value_difference: float  # mean of |q - q|


class Opinion(TypedDict):
    """What one net says of a position without search."""

    q: float  # of the side to move, in [-1, 1]
    policy: list[list[str | float]]  # up to three moves with their share: [["e2e4", 0.61], ...]


class DecidingPosition(TypedDict):
    """A position of which the players thought most differently, in a pair that was not level."""

    pair: int  # from 1, as in games.pgn
    game: int  # 1 or 2 of the pair
    ply: int  # of the whole game, from 1: the move that was played here
    fen: str
    mover: Literal["baseline", "candidate"]
    move: str  # UCI
    mover_q: float  # by the mover's search, of the mover
    opponent_q: float  # by the opponent's search one ply before, of the same side
    points: float  # the candidate's, of the game
    baseline: Opinion | None  # None where the nets were not asked
    candidate: Opinion | None


class SessionSpeed(TypedDict):
    """One session that came to an end."""

    started: str  # ISO 8601
    seconds: float
    pairs: int
    pairs_per_minute: float | None
    evaluations_per_second: float | None
    batch_fill: float | None
    cache_hit_share: float | None


class Curves(TypedDict):
    """What the pictures of a report show; lists are empty where there is nothing to show."""

    path: list[PathPoint]  # at most 400 points, evenly spaced; the last is the whole match
    calibration: dict[str, list[CalibrationBin]]  # "baseline", "candidate"
    lengths: list[LengthRow]
    opening_groups: list[OpeningGroup]  # by pairs, descending
    divergence: list[DivergencePoint]
    opinions: list[OpinionPoint]
    deciding: list[DecidingPosition]  # at most ten
    sessions: list[SessionSpeed]


class Summary(TypedDict):
    """summary.json. Every figure is the candidate's, relative to the baseline."""

    format: int
    nets: list[NetSummary]  # baseline, candidate
    config: dict[str, Any]  # match.toml
    state: State  # "unfinished": interrupted, or still being played
    interrupted: bool  # the match has neither a verdict nor all its pairs
    verdict: str  # "promote", "keep" or "undecided", which it also is where there are doubts
    doubts: list[str]  # why no verdict is given, whatever the counts say: too many faults
    faults: FaultsSummary
    decided_at: int | None  # number, from 1, of the pair that ended the test
    headline: HeadlineSummary | None  # None before two different pair results
    pairs: int  # counted: in the order of issue, without a gap, up to the verdict, no repeats
    pairs_repeated: int  # not counted, as one of their games was in an earlier pair
    pairs_beyond: int  # finished, but not counted
    pairs_limit: int
    earlier_limits: list[int]  # what it was before it was raised, ascending
    games: int
    pentanomial: list[int]  # [LL, LD, WL+DD, WD, WW]
    wins: int
    draws: int
    losses: int
    points: float
    score: float | None  # points a game, in [0, 1]
    elo: float | None  # logistic; this and all down to ``los`` as of a match of fixed length
    elo_ci: list[float | None] | None  # 95 %
    nelo: float | None  # normalized
    nelo_ci: list[float | None] | None
    los: float | None  # likelihood of superiority, in [0, 1]
    anytime: AnytimeSummary | None
    draw_ratio: float | None  # pairs that end level
    pairs_ratio: float | None  # pairs won to pairs lost
    wl_dd_ratio: float | None  # level pairs of a win and a loss to those of two draws
    opening_bias: float | None  # root mean square, in Elo
    llr: float | None
    llr_bounds: list[float] | None
    sprt: SprtSummary | None
    certified: CertifiedSummary | None
    homogeneity: HomogeneitySummary | None  # of the sessions, where there are several
    models: dict[str, dict[str, float | None]]  # "logistic", "normalized": {"llr"}
    by_colour: dict[str, ColourSummary]  # "white", "black"
    terminations: dict[str, int]  # games
    adjudication: AdjudicationSummary | None  # where there are rules
    repeated_games: int  # games move for move like one of an earlier pair, colours as well
    mirrored_pairs: int  # pairs of two games with the same moves: the nets played alike
    plies: float | None  # mean length of a game, the opening included
    openings: OpeningsSummary
    versions: dict[str, str]
    device: str | None
    evaluator: str | None  # of all sessions that played: "torch (...), then winograd (...)"
    command: list[str] | None
    date: str | None  # ISO, on which the match began
    sessions: int
    parts: list[str]  # "2/3": what was played apart, on machines of their own
    throughput: dict[str, float | None]
    curves: Curves
