from __future__ import annotations

import io
from dataclasses import replace

import pytest

from arena.config import Part
from arena.console import (
    STILL_PLAYING,
    BlockProgress,
    LiveProgress,
    SilentProgress,
    duration,
    pace_line,
    progress,
    running_block,
    short_number,
)
from arena.judgement import Judgement
from arena.match import MatchState
from arena.report.block import Heading, figures, llr_line, results_block
from arena.report.headline import Kind, headline, headline_lines
from arena.report.verdict import verdict_sentence
from arena.sessions import Pace
from arena.stats.elo import logistic_elo
from arena.stats.pentanomial import PairCounts
from arena.stats.sequential import Progress
from arena.stats.sprt import Method, Sprt, Verdict
from arena.stats.stopping import stopping_aware

HEADING = Heading("swa", "raw", "800 visits, fp16, UHO_Lichess_4852_v1.epd")
COUNTS = PairCounts(LL=11, LD=240, WL=180, DD=380, WD=297, WW=14)
SPRT = Sprt(0, 10)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def state(counts: PairCounts = COUNTS, **changes) -> MatchState:
    llr = SPRT.llr(counts) if counts.pairs else None
    judgement = Judgement(5000, counts, progress=Progress(SPRT, counts, llr))
    values = {"finished": counts.pairs, "resumed": 0, "games": counts.games, "seconds": 600.0}
    return MatchState(judgement, **(values | changes))


def test_block_is_fastchess_s_line_by_line():
    # The figures are fastchess's own for these counts; the LLR is exact, fastchess prints 2.48.
    assert results_block(HEADING, COUNTS, SPRT, SPRT.llr(COUNTS)) == [
        "--------------------------------------------------",
        "Results of swa vs raw (800 visits, fp16, UHO_Lichess_4852_v1.epd):",
        "Elo: 9.76 +/- 7.64, nElo: 18.36 +/- 14.38",
        "LOS: 99.38 %, DrawRatio: 49.91 %, PairsRatio: 1.24",
        "Games: 2244, Wins: 505, Losses: 442, Draws: 1297, Points: 1153.5 (51.40 %)",
        "Ptnml(0-2): [11, 240, 560, 297, 14], WL/DD Ratio: 0.47",
        "LLR: 2.47 (84.0%) (-2.94, 2.94) [0.00, 10.00]",
        "Elo of swa relative to raw.",
        "--------------------------------------------------",
    ]


def test_llr_share_is_negative_towards_the_lower_bound():
    assert llr_line(SPRT, -1.4722) == "LLR: -1.47 (-50.0%) (-2.94, 2.94) [0.00, 10.00]"


def test_llr_line_never_shows_minus_zero():
    assert llr_line(Sprt(-5, 5), -0.0001).startswith("LLR: 0.00 (0.0%)")


@pytest.mark.parametrize(
    "counts", [PairCounts(), PairCounts(WW=9), PairCounts(LL=3), PairCounts(DD=4)]
)
def test_what_has_no_value_is_not_a_number_s_name(counts):
    text = "\n".join(results_block(HEADING, counts, SPRT, None))
    assert "Elo: n/a (needs at least 2 different pair results)" in text
    assert "nan" not in text.lower()
    assert "inf" not in text.lower()


def test_an_interval_that_leaves_the_scale_says_so():
    assert figures(PairCounts(WW=3, DD=1))[0].startswith("Elo: 338.04 +/- n/a (too few pairs)")


def test_pace_line():
    pace = Pace(seconds=600, pairs=1122, evaluations=247_200_000, batch_slots=271_648_352)
    line = pace_line(state(finished=1122), pace)
    assert line.startswith("Pace: 112.2 pairs/min, 412k evals/s, batch 91% full, ETA 34:34 (or ~")
    assert line.endswith(" pairs to a decision)")


def test_pace_counts_only_what_this_session_played():
    assert "12.2 pairs/min" in pace_line(state(resumed=1000), Pace())


def test_pace_before_the_first_pair():
    pace = Pace(seconds=10, evaluations=2500)
    line = pace_line(state(PairCounts()), pace)
    assert line == "Pace: no pair finished yet, 250 evals/s"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (860, "14:20"), (3725, "1:02:05"), (90000, "1 d 01:00")],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"), [(950, "950"), (1234, "1.2k"), (412_000, "412k"), (1_200_000, "1.2M")]
)
def test_short_number(value, text):
    assert short_number(value) == text


def test_while_a_match_runs_it_says_what_decides():
    block = running_block(HEADING, state(), Pace())
    assert STILL_PLAYING in block
    assert block[7] == "Elo of swa relative to raw."
    assert block[8].startswith("Pace: ")


def test_a_pipe_gets_a_whole_block_every_so_many_pairs_and_no_control_character():
    stream = io.StringIO()
    view = progress(HEADING, Pace, report_every=2, quiet=False, stream=stream)
    assert isinstance(view, BlockProgress)
    with view as observer:
        observer.started(state(PairCounts(), finished=3, resumed=3))
        for pairs in range(1, 6):
            observer.pair_counted(state(PairCounts(DD=pairs)))
    text = stream.getvalue()
    assert text.startswith("Resumed: 3 finished pairs were found and are kept.\n")
    assert text.count("Results of swa vs raw") == 2
    assert "\x1b" not in text


def test_a_part_shows_how_far_it_is_and_no_figure():
    """Its pairs count only with those of the other parts: an Elo here would be of a few of them."""
    stream = io.StringIO()
    with progress(HEADING, Pace, report_every=2, quiet=False, stream=stream) as observer:
        for pairs in range(1, 6):
            part = {"part": Part(2, 3), "part_left": 20 - pairs, "finished": pairs}
            observer.pair_counted(state(PairCounts(), **part))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 6
    assert lines[0].startswith("Part 2/3 of swa vs raw (800 visits, ")
    assert lines[1].startswith("Pairs: 2 finished, 18 to play; arena merge judges them")
    assert lines[2] == "Pace: 0.2 pairs/min, ETA 1:30:00"


def test_a_terminal_gets_the_view_in_place(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    view = progress(HEADING, Pace, report_every=1, quiet=False, stream=stream)
    assert isinstance(view, LiveProgress)
    with view as observer:
        observer.started(state())
    assert "Results of swa vs raw" in stream.getvalue()
    assert "\x1b[" in stream.getvalue()


def test_no_color_leaves_no_colour(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    with progress(HEADING, Pace, report_every=1, quiet=False, stream=stream) as observer:
        observer.started(state())
    assert "\x1b[3" not in stream.getvalue()


def test_a_dumb_terminal_is_treated_as_a_pipe(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("FORCE_COLOR", "1")
    view = progress(HEADING, Pace, report_every=1, quiet=False, stream=Terminal())
    assert isinstance(view, BlockProgress)


def test_quiet_shows_nothing():
    stream = Terminal()
    view = progress(HEADING, Pace, report_every=1, quiet=True, stream=stream)
    assert type(view) is SilentProgress
    with view as observer:
        observer.pair_counted(state())
    assert stream.getvalue() == ""


def judgement(verdict: Verdict, sprt: Sprt | None = SPRT, limit: int = 5000) -> Judgement:
    decided = None if verdict is Verdict.UNDECIDED else COUNTS.pairs - 1
    progress = None if sprt is None else Progress(sprt, COUNTS, 2.95, verdict)
    return Judgement(limit, COUNTS, progress=progress, decided_at=decided)


@pytest.mark.parametrize(
    ("sprt", "verdict", "sentence"),
    [
        (SPRT, Verdict.PROMOTE, "swa is stronger than raw: promote (H1 accepted: LLR 2.95, "),
        (SPRT, Verdict.KEEP, "swa is not shown to be stronger than raw: keep raw (H0 accepted: "),
        (Sprt(-10, 0), Verdict.PROMOTE, "swa is no regression against raw: promote (H1 "),
        (Sprt(-10, 0), Verdict.KEEP, "swa is weaker than raw: keep raw (H0 accepted: "),
        (Sprt(2, 10), Verdict.PROMOTE, "swa is more than 2 normalized Elo stronger than raw: "),
        (Sprt(-30, 2), Verdict.PROMOTE, "swa is not 30 normalized Elo weaker than raw: promote"),
        (Sprt(-30, 2), Verdict.KEEP, "swa is not 2 normalized Elo stronger than raw: keep raw"),
        (Sprt(-60, -2), Verdict.PROMOTE, "swa is not 60 normalized Elo weaker than raw: promote"),
        (Sprt(-60, -2), Verdict.KEEP, "swa is more than 2 normalized Elo weaker than raw: keep"),
        (Sprt(2, 10), Verdict.KEEP, "swa is not 10 normalized Elo stronger than raw: keep raw"),
        (Sprt(-10, 10), Verdict.PROMOTE, "swa is the better pick against raw: promote (H1 "),
        (Sprt(-10, 10), Verdict.KEEP, "swa is the worse pick against raw: keep raw (H0 "),
        (SPRT, Verdict.UNDECIDED, "swa against raw: unfinished, undecided (LLR 2.95, SPRT [0, 10]"),
        (None, Verdict.UNDECIDED, "swa against raw: Elo 9.76 [-"),
    ],
)
def test_verdict_says_who_what_and_why(sprt, verdict, sentence):
    text = verdict_sentence(HEADING, judgement(verdict, sprt))
    assert text.startswith(sentence)
    assert "1,122 pairs (800 visits, fp16, UHO_Lichess_4852_v1.epd)" in text


def test_the_verdict_of_a_certified_test_rests_on_its_evidence():
    progress = Progress.start(Sprt(0, 100, method=Method.CERTIFIED))
    while progress.verdict is Verdict.UNDECIDED:
        progress = progress.then(PairCounts(WD=1)).then(PairCounts(DD=1))
    decided = progress.counts.pairs - 1
    text = verdict_sentence(
        HEADING, Judgement(5000, progress.counts, progress=progress, decided_at=decided)
    )
    assert "(H1 accepted: evidence 3." in text
    assert "of 3.00, certified test [0, 100] in normalized Elo)" in text


def test_verdict_at_the_limit_is_no_verdict():
    text = verdict_sentence(HEADING, judgement(Verdict.UNDECIDED, limit=1122))
    assert text.startswith("swa against raw: no decision within the limit of 1,122 pairs (LLR 2.95")
    aware = stopping_aware(COUNTS, SPRT)
    assert aware is not None
    assert aware.elo.elo is not None
    assert f"Elo {aware.elo.elo:.2f} [" in text
    assert "allowing for the test's stop" in text


def test_the_headline_is_of_the_kind_that_the_match_allows():
    running = judgement(Verdict.UNDECIDED)
    kinds = [
        (running, Kind.ANYTIME),
        (judgement(Verdict.UNDECIDED, None), Kind.ANYTIME),
        (judgement(Verdict.PROMOTE), Kind.STOPPING_AWARE),
        (judgement(Verdict.UNDECIDED, limit=1122), Kind.STOPPING_AWARE),
        (judgement(Verdict.UNDECIDED, None, limit=1122), Kind.FIXED_LENGTH),
    ]
    for match, kind in kinds:
        found = headline(match)
        assert found is not None
        assert found.kind is kind
        assert found.elo.low < found.elo.elo < found.elo.high
    assert headline(Judgement.start(SPRT, 10)) is None
    sweep = headline(Judgement(5, PairCounts(WW=5)))
    assert sweep.kind is Kind.ANYTIME  # the only one that has an interval of it
    assert sweep.elo.elo is None
    assert sweep.elo.low > -200
    assert sweep.elo.high is None
    assert headline(running).elo.margin > 1.3 * logistic_elo(COUNTS).margin


def test_a_decided_match_labels_what_is_of_fixed_length():
    lines = headline_lines(judgement(Verdict.PROMOTE))
    assert lines[0].startswith("Elo ")
    assert lines[0].endswith("(95 %, allowing for the test's stop).")
    assert lines[1] == (
        "Elo, nElo and LOS above describe a match of fixed length, which this is not."
    )
    assert headline_lines(judgement(Verdict.UNDECIDED))[1].endswith("which this is not yet.")
    assert headline_lines(judgement(Verdict.UNDECIDED, None, limit=1122)) == []


@pytest.mark.parametrize("method", [Method.OVERSHOOT, Method.CERTIFIED])
def test_what_decides_is_shown_where_it_is_not_the_llr_alone(method):
    progress = Progress.start(Sprt(0, 10, method=method))
    for _ in range(3):
        progress = progress.then(PairCounts(WD=1)).then(PairCounts(DD=1))
    line = headline_lines(Judgement(5000, progress.counts, progress=progress))[0]
    if method is Method.OVERSHOOT:
        assert line.startswith("Bounds corrected for overshoot: (-2.94, 2.9")
    else:
        assert line.startswith("Certified: 0.")
        assert "of 3.00 against 0.00, " in line
        assert line.endswith("of 3.00 against 10.00 normalized Elo; these decide, not the LLR.")


def test_verdict_before_anything_was_played():
    text = verdict_sentence(HEADING, Judgement.start(SPRT, 10))
    assert text == "swa against raw: no pair has been finished yet."


@pytest.mark.parametrize("sprt", [SPRT, None])
def test_a_raised_limit_has_no_figure_of_a_fixed_length(sprt):
    ended = judgement(Verdict.UNDECIDED, sprt, COUNTS.pairs)
    kinds = {SPRT: Kind.STOPPING_AWARE, None: Kind.FIXED_LENGTH}
    assert headline(ended).kind is kinds[sprt]
    raised = replace(ended, raised=True)
    assert headline(raised).kind is Kind.ANYTIME
    assert "describe a match of fixed length, which this is not." in headline_lines(raised)[-1]


def test_a_verdict_after_a_raised_limit_is_quoted_like_any_other():
    decided = replace(judgement(Verdict.PROMOTE), raised=True)
    assert headline(decided).kind is Kind.STOPPING_AWARE
