"""The keys of summary.json, which scripts rely on: more may come, these stay.

What is said of a class and behind a key is also what the JSON schema and docs/summary.md say of
them: scripts/make_summary_schema.py makes both from this file. "in [a, b]" is checked by the
schema; whole numbers are never negative.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

FORMAT = 2
"""Version of the document; raised when a key changes its meaning, its type or goes."""

MINOR = 1
"""Raised, from 0 for each format, when keys are added. docs/summary.md tells which came when."""

State = Literal["decided", "limit", "unfinished"]


class IngredientSummary(TypedDict):
    """A snapshot that has a share in an averaged net."""

    name: str  # its file's, without .pb.gz
    training_steps: int | None  # that its file tells of
    weight: float  # its share, in [0, 1]; all add up to 1
    loss: float | None  # policy and value loss, in nats


class LayerSummary(TypedDict):
    """What refreshing batch norm changed in one layer of a net.

    Shifts are in standard deviations of the new statistics, ratios new variance over old.
    """

    name: str  # "blocks.0.bn1"
    channels: int  # each with its mean and variance
    mean_shift_max: float  # of the channel that moved most
    mean_shift_rms: float  # root mean square over channels
    variance_ratio_min: float  # of the channels, the least ratio
    variance_ratio_median: float  # the median
    variance_ratio_max: float  # the greatest
    dead_before: int  # channels without variance
    dead_after: int  # the same after the refresh


class SwaSummary(TypedDict):
    """How a net came about that ``swa build`` made, as its manifest says."""

    ingredients: list[IngredientSummary]  # in the order given, without those of no weight
    rule: str  # "mean", "ema decay 0.9 start first"
    refresh: str  # of batch norm: "exact", "averaged" (none), "none" (the net has none), ...
    refresh_positions: int  # whose statistics batch norm now has
    losses_on: str | None  # "held-out" or "refresh" positions; null: no losses were measured
    losses_positions: int  # of all the losses here
    raw_loss: float | None  # policy and value, in nats, of the ingredient that was trained longest
    stale_loss: float | None  # of the average before batch norm was refreshed
    refreshed_loss: float | None  # of the net itself
    layers: NotRequired[list[LayerSummary]]  # from the input to the heads


class NetSummary(TypedDict):
    """One of the two players; what only a net's file tells is null where no session noted it.

    The last three keys are there where players are not two nets under the same settings.
    """

    name: str  # as reports call it
    role: Literal["baseline", "candidate"]  # the candidate is the one that is judged
    sha256: str  # of the file; of an engine's program
    file: str | None  # its name, without the folder
    architecture: str | None  # "6x64 SE 8 relu, convolution policy, wdl value"
    training_steps: int | None  # that its file tells of
    bytes: int | None  # of the file
    heads: str | None  # "policy by convolution (64 channels), value as ..."
    swa: SwaSummary | None  # null, too, for a net without a manifest
    engine: NotRequired[str]  # what a UCI engine calls itself; a net has none
    settings: NotRequired[dict[str, str]]  # its own: {"visits": "200"}, {"option.Hash": "16"}
    effort: NotRequired[str]  # "100 visits", "5,000 nodes"


class ColourSummary(TypedDict):
    """The candidate's games with one colour."""

    games: int  # counted
    wins: int  # the candidate's
    draws: int  # of these games
    losses: int  # the candidate's
    score: float | None  # points a game, in [0, 1]


class OpeningResult(TypedDict):
    """What came of one opening."""

    pair: int  # from 1, as in games.pgn
    opening: str  # its name and moves as people read them: "B20 Sicilian: 1. e4 c5"
    points: float  # the candidate's, of 2
    white_points: float  # White's, of 2


class OpeningsSummary(TypedDict):
    """Which openings the counted pairs started from."""

    file: str  # the book's name, without the folder
    sha256: str  # of the book
    entries: int  # openings in the book
    order: str  # "random" or "sequential"
    used: int  # counted pairs
    distinct: int  # different starts among them
    plies: int | None  # most moves of an opening that are played; null: all
    start: int  # number of the first opening that is taken
    filter: list[float] | None  # |Q| by the baseline's net of those that are taken
    chess960: int  # of the counted pairs' openings, those with castling that Chess960 alone knows
    won: int  # counted pairs of which the candidate won both games
    lost: int  # ... lost both
    white: int  # counted pairs of which White won both games
    black: int  # ... Black
    white_score: float | None  # White's points a game, in [0, 1]
    best: list[OpeningResult]  # up to five of the pairs that the candidate won by most
    worst: list[OpeningResult]  # and lost by most; level pairs are in neither


class SprtSummary(TypedDict):
    """The test that was asked for; Elo by its model."""

    elo0: float  # keep: the candidate is so much stronger
    elo1: float  # promote: the candidate is so much stronger
    alpha: float  # chance to promote at elo0, in (0, 1)
    beta: float  # chance to keep at elo1, in (0, 1)
    model: str  # of Elo: "normalized", "logistic" or "bayesian"
    method: str  # "gsprt", "overshoot" or "certified"


class HeadlineSummary(TypedDict):
    """The Elo to quote, with a 95 % interval that allows for how the match ended."""

    kind: str  # "anytime" while it runs, "stopping-aware" after a test, "fixed-length" without one
    elo: float | None  # logistic
    elo_ci: list[float | None] | None  # 95 %; a null end is past a score of 0 or 1
    nelo: float | None  # normalized; null while it runs
    nelo_ci: list[float | None] | None  # 95 %
    los: float | None  # likelihood of superiority, in [0, 1]


class AnytimeSummary(TypedDict):
    """The 95 % confidence sequence: it holds at every moment of the match at once."""

    score_ci: list[float]  # of the mean score, in [0, 1]
    elo_ci: list[float | None] | None  # the same in logistic Elo


class CertifiedSummary(TypedDict):
    """The certified test's evidence, in nats, and what decides."""

    against_elo0: float  # that the candidate is elo0 stronger or less
    against_elo1: float  # that the candidate is elo1 stronger or more
    promote_at: float  # what against_elo0 must reach
    keep_at: float  # what against_elo1 must reach


class HomogeneitySummary(TypedDict):
    """Whether the sessions of a match agree: chi-squared of lost, level and won pairs."""

    parts: list[list[int]]  # pentanomial of each
    chi2: float  # the statistic
    degrees: int  # of freedom
    p_value: float  # in [0, 1]; a low one tells of sessions that differ


class FaultsSummary(TypedDict):
    """What went wrong."""

    void: int  # times that a pair was played in vain: a fault of harness or machine
    void_by: dict[str, int]  # the most frequent ones, as they were noted
    forfeits: dict[str, dict[str, int]]  # games that "baseline", "candidate" lost, by termination


class AdjudicatedNetSummary(TypedDict):
    """What a rule did to one of the nets."""

    wins: int  # adjudicated
    draws: int  # adjudicated
    losses: int  # adjudicated
    wronged: int  # audited games in which it would have got more
    points_withheld: float  # in the audited games: what it would have got less what it was given


class RuleSummary(TypedDict):
    """What a rule of adjudication did; an audited game was played on, a wrong one ended otherwise.

    ``maximal length`` foretells nothing and has no audits.
    """

    rule: str  # as in "terminations"
    games: int  # that it ended
    audited: int  # of them, those that were played on
    wrong: int  # of those, the ones that ended otherwise
    error: float | None  # wrong to audited, in [0, 1]
    error_ci: list[float] | None  # exact 95 %
    plies_saved: float | None  # estimated from the audited games
    evaluations_saved: float | None  # the same of positions that a net saw
    by_net: dict[str, AdjudicatedNetSummary]  # "baseline", "candidate"


class SavingSummary(TypedDict):
    """What rules of adjudication saved, estimated from the audited games."""

    saved: float  # plies or evaluations, less what the audit cost
    share: float  # of what there would have been without rules; at most 1
    share_unaudited: float  # what that share would be if no game had been played on


class AdjudicationSummary(TypedDict):
    """What all rules of adjudication together did."""

    rules: list[RuleSummary]  # those that ended a counted game
    audited: int  # games that were played on
    wrong: int  # of them, those that ended otherwise
    error: float | None  # wrong to audited, in [0, 1]
    error_ci: list[float] | None  # exact 95 %
    plies: SavingSummary | None  # moves of either side; null where nobody knows
    evaluations: SavingSummary | None  # positions that a net saw; null where nobody knows


class PathPoint(TypedDict):
    """The match up to one of its counted pairs."""

    pairs: int  # counted until then
    score: float  # points a game, in [0, 1]
    elo: float | None  # logistic
    elo_ci: list[float | None] | None  # 95 %, of the confidence sequence
    llr: float | None  # of the test, in nats; null without one


class CalibrationBin(TypedDict):
    """Positions in which a player was to move and expected about the same; bins of equal count."""

    positions: int  # in which the player was to move and said what it expects
    pairs: int  # that they are from
    expected: float  # mean of its expected score (q + 1) / 2, in [0, 1]
    scored: float  # mean of what its games then brought, as they were counted, in [0, 1]
    scored_ci: list[float] | None  # 95 %, a pair being the unit; null where there are few pairs


class LengthRow(TypedDict):
    """The candidate's games of one colour and about one length."""

    colour: Literal["white", "black"]  # the candidate's
    plies_from: int  # of the whole game, the opening included
    plies_to: int  # inclusive
    wins: int  # the candidate's
    draws: int  # of these games
    losses: int  # the candidate's


class OpeningGroup(TypedDict):
    """Counted pairs whose openings belong together."""

    name: str  # their common name, or their first moves
    pairs: int  # counted
    score: float  # the candidate's points a game, in [0, 1]
    score_ci: list[float] | None  # 95 %, at every moment; null where there are few pairs
    white_score: float  # White's points a game, in [0, 1]


class DivergencePoint(TypedDict):
    """Positions that both players had before them in the two games of a pair."""

    ply: int  # of the players' own moves, from 1
    positions: int  # that were the same in both games so far
    differ: int  # in which they chose different moves


class OpinionPoint(TypedDict):
    """What both nets say without search of a sample of the match's positions, by ply.

    A ply is that of the move to be made, from 1, in the whole game, the opening included. A policy
    is the softmax of the net's logits over the legal moves.
    """

    plies_from: int  # of the whole game, from 1: of the move to be made
    plies_to: int  # inclusive
    positions: int  # of the sample
    kl: float  # mean of KL(baseline's policy || candidate's), in nats
    top_differs: float  # share of positions in which their first choices differ, in [0, 1]
    value_difference: float  # mean of |q - q|, in [0, 2]


class OpinionsSummary(TypedDict):
    """How both nets were asked about positions; what they said is in the curves."""

    pairs: int  # that counted then; fewer than now where the match has gone on
    evaluator: str  # "winograd (float32 on a CPU)"


class Opinion(TypedDict):
    """What one net says of a position without search."""

    q: float  # of the side to move, in [-1, 1]
    policy: list[list[str | float]]  # up to three moves with their share: [["e2e4", 0.61], ...]


class DecidingPosition(TypedDict):
    """A position of which the players thought most differently, in a pair that was not level."""

    pair: int  # from 1, as in games.pgn
    game: int  # 1 or 2 of the pair
    ply: int  # of the whole game, from 1: the move that was played here
    fen: str  # of the position before that move
    mover: Literal["baseline", "candidate"]  # who made it
    move: str  # UCI
    mover_q: float  # by the mover's search, of the mover, in [-1, 1]
    opponent_q: float  # by the opponent's search one ply before, of the same side, in [-1, 1]
    points: float  # the candidate's, of the game
    baseline: Opinion | None  # what it says without search; null where nets were not asked
    candidate: Opinion | None  # the same of the candidate


class SessionSpeed(TypedDict):
    """One session that came to an end."""

    started: str  # ISO 8601
    seconds: float  # that it took
    pairs: int  # finished in it
    pairs_per_minute: float | None  # finished
    evaluations_per_second: float | None  # positions that the nets saw
    batch_fill: float | None  # share of the batches' places that held one, in [0, 1]
    cache_hit_share: float | None  # share of positions that needed no net, in [0, 1]


class Curves(TypedDict):
    """What the pictures of a report show; lists are empty where there is nothing to show."""

    path: list[PathPoint]  # at most 400 points, evenly spaced; the last is the whole match
    calibration: dict[str, list[CalibrationBin]]  # "baseline", "candidate"
    lengths: list[LengthRow]  # by length, ascending, then by colour
    opening_groups: list[OpeningGroup]  # by pairs, descending; "others" last
    divergence: list[DivergencePoint]  # by ply, as long as a pair had such a position
    opinions: list[OpinionPoint]  # by ply; empty where nets were not asked
    deciding: list[DecidingPosition]  # at most ten, the widest difference first
    sessions: list[SessionSpeed]  # oldest first


class Summary(TypedDict):
    """summary.json. Every figure is the candidate's, relative to the baseline."""

    format: int  # the version of this document: another one means other things
    minor: int  # raised when keys are added, which readers leave alone that do not know them
    nets: list[NetSummary]  # [baseline, candidate]
    config: dict[str, Any]  # match.toml
    state: State  # "unfinished": interrupted, or still being played
    interrupted: bool  # the match has neither a verdict nor all its pairs
    verdict: str  # "promote", "keep" or "undecided", which it also is where there are doubts
    doubts: list[str]  # why no verdict is given, whatever the counts say: too many faults
    faults: FaultsSummary  # what went wrong
    decided_at: int | None  # number, from 1, of the pair that ended the test
    headline: HeadlineSummary | None  # null where nothing can be quoted yet
    pairs: int  # counted: in the order of issue, without a gap, up to the verdict, no repeats
    pairs_repeated: int  # not counted, as one of their games was in an earlier pair
    pairs_beyond: int  # finished, but not counted
    pairs_limit: int  # how many pairs were asked for, at most
    earlier_limits: list[int]  # what it was before it was raised, ascending
    games: int  # counted: two a pair
    pentanomial: list[int]  # pairs of the candidate: [LL, LD, WL+DD, WD, WW]
    wins: int  # the candidate's games
    draws: int  # games
    losses: int  # the candidate's games
    points: float  # the candidate's, 1 a game
    score: float | None  # points a game, in [0, 1]
    elo: float | None  # logistic; this and all down to ``los`` as of a match of fixed length
    elo_ci: list[float | None] | None  # 95 %
    nelo: float | None  # normalized
    nelo_ci: list[float | None] | None  # 95 %
    los: float | None  # likelihood of superiority, in [0, 1]
    anytime: AnytimeSummary | None  # null before the first pair
    draw_ratio: float | None  # pairs that end level
    pairs_ratio: float | None  # pairs won to pairs lost
    wl_dd_ratio: float | None  # level pairs of a win and a loss to those of two draws
    opening_bias: float | None  # root mean square, in Elo
    llr: float | None  # of the test, in nats, even where it is certified; null without a test
    llr_bounds: list[float] | None  # [keep at or below, promote at or above], in nats
    overshoot_bounds: list[float] | None  # as they stand, of a test by "overshoot"; else null
    sprt: SprtSummary | None  # the test; null without one
    certified: CertifiedSummary | None  # null where the test is another one
    homogeneity: HomogeneitySummary | None  # of the sessions, where there are several
    models: dict[str, dict[str, float | None]]  # "logistic", "normalized": {"llr"} in that Elo
    by_colour: dict[str, ColourSummary]  # "white", "black"
    terminations: dict[str, int]  # games by the reason why they ended, the most frequent first
    adjudication: AdjudicationSummary | None  # where there are rules
    repeated_games: int  # games move for move like one of an earlier pair, colours as well
    mirrored_pairs: int  # pairs of two games with the same moves: the nets played alike
    plies: float | None  # mean length of a game, the opening included
    openings: OpeningsSummary  # where the pairs started from
    versions: dict[str, str]  # of Python and the libraries, in the last session
    device: str | None  # of all sessions that played: "cpu (...), then cuda:0 (...)"
    parallel: int | None  # games in flight, in the last session
    evaluator: str | None  # of all sessions that played: "torch (...), then winograd (...)"
    command: list[str] | None  # of the last session, word by word
    date: str | None  # ISO, on which the match began
    sessions: int  # how often the match was started
    parts: list[str]  # "2/3": what was played apart, on machines of their own
    throughput: dict[str, float | None]  # seconds, pairs and rates of all sessions that ended
    opinions: OpinionsSummary | None  # null where the nets were not asked
    curves: Curves  # what pictures show
