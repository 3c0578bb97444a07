"""Which openings are taken: from which on, how many moves of each, and those a net finds level."""

from __future__ import annotations

from pathlib import Path

import chess
import numpy as np
import pytest
from scripted_games import NETS

from arena.analyze import Analysis
from arena.books import Book, Dealing
from arena.config import ConfigError, MatchConfig, SearchParams
from arena.evaluator import Evaluation, EvaluationError, Leaves
from arena.game import Opening
from arena.match import deck_of, match_identity
from arena.match_file import MATCH_FILE, LedgerError, differences, read_identity, write_identity
from arena.opening_filter import OpeningFilter
from arena.openings import SIFTED_AT_ONCE, Deck, default_book, final_position, read_book
from arena.search import Player
from arena.stand_ins import HashEvaluator
from arena.start_positions import OpeningError

BOTH = (Path("raw"), Path("swa"))
GAMES = "1. e4 e5 2. Nf3 Nc6 *\n1. e4 e5 2. Nc3 *\n1. d4 *\n1. c4 c5 2. Ke3 *\n"


@pytest.fixture
def games(tmp_path: Path) -> Book:
    (tmp_path / "games.pgn").write_text(GAMES)
    book = read_book(tmp_path / "games.pgn")
    assert isinstance(book, Book)
    return book


def dealt(deck: Deck, pairs: int) -> list[str]:
    return [" ".join(deck.opening(pair).moves) for pair in range(pairs)]


# --- plies, start ---


def test_games_are_cut_and_nothing_behind_the_cut_is_read(games: Book) -> None:
    deck = Deck(games, Dealing(order="sequential", plies=2))
    assert dealt(deck, 3) == ["e2e4 e7e5", "d2d4", "c2c4 c7c5"]  # the last game goes wrong later
    assert deck.duplicates == 1
    with pytest.raises(OpeningError, match="Ke3 is not a legal move"):
        dealt(Deck(games, Dealing(order="sequential", plies=3)), 4)


def test_a_finished_game_is_an_opening_where_it_is_cut(tmp_path: Path) -> None:
    (tmp_path / "mate.pgn").write_text("1. f3 e5 2. g4 Qh4# 0-1\n")
    book = read_book(tmp_path / "mate.pgn")
    assert dealt(Deck(book, Dealing(plies=3)), 1) == ["f2f3 e7e5 g2g4"]
    for plies in (4, None):
        with pytest.raises(OpeningError, match="already over by checkmate"):
            Deck(book, Dealing(plies=plies)).opening(0)


@pytest.mark.parametrize("order", ["sequential", "random"])
def test_start_is_a_place_in_the_order(order: str) -> None:
    book = default_book()
    whole = Deck(book, Dealing(order=order, seed=4))  # type: ignore[arg-type]
    later = Deck(book, Dealing(order=order, seed=4, start=101))  # type: ignore[arg-type]
    assert dealt(later, 50) == dealt(whole, 150)[100:]
    later.require(len(book) - 100)
    with pytest.raises(OpeningError, match=rf"has {len(book) - 100} openings \(from number 101 on"):
        later.require(len(book) - 99)


def test_start_may_be_behind_the_end(games: Book) -> None:
    for start in (5, 10**9):
        deck = Deck(games, Dealing(order="sequential", start=start))
        with pytest.raises(OpeningError, match="has 0 openings"):
            deck.require(1)
        with pytest.raises(OpeningError, match="has 0 openings"):
            deck.opening(0)


def test_positions_have_no_moves_to_cut(tmp_path: Path) -> None:
    (tmp_path / "one.epd").write_text(f"{chess.STARTING_FEN}\n")
    with pytest.raises(OpeningError, match="--plies 8: its openings are positions") as caught:
        Deck(read_book(tmp_path / "one.epd"), Dealing(plies=8)).opening(0)
    assert len(str(caught.value).splitlines()) == 2


def test_an_error_stays_one(games: Book) -> None:
    """Nobody gets the opening behind a broken one by asking again."""
    deck = Deck(games, Dealing(order="sequential", start=4))
    for _ in range(2):
        with pytest.raises(OpeningError, match="Ke3 is not a legal move"):
            deck.opening(0)


# --- filter ---


def q_of(opening: Opening) -> float:
    """By the analysis that ``arena analyze`` prints, of a net that is none."""
    player = Player("net", HashEvaluator(5), SearchParams(visits=1))
    [found] = Analysis(player, [(opening.fen, opening.moves)]).evaluate()
    return found.q


@pytest.mark.parametrize(("least", "most"), [(0.0, 0.2), (0.2, 0.6), (0.999, 1.0)])
def test_the_filter_goes_by_what_the_net_says(least: float, most: float) -> None:
    book = default_book()
    openings = [book.opening(index) for index in range(90)]
    passed = OpeningFilter(HashEvaluator(5), least, most)(openings)
    assert passed == [least <= abs(q_of(opening)) <= most for opening in openings]
    assert least > 0.9 or 0 < sum(passed) < 90


class Says:
    """A net for which every position has the same outcome."""

    name, has_moves_left = "says", False

    def __init__(self, win: float, draw: float, loss: float):
        self._wdl = np.array([win, draw, loss], np.float32)

    def evaluate(self, leaves: Leaves) -> Evaluation:
        boards = len(leaves.offsets) - 1
        logits = np.zeros(len(leaves.moves), np.float32)
        return Evaluation(logits, np.tile(self._wdl, (boards, 1)), np.zeros(boards, np.float32))


def test_the_bounds_belong_to_the_range_and_sides_do_not_matter() -> None:
    opening = [Opening(chess.STARTING_FEN)]
    for win, loss in ((0.75, 0.25), (0.25, 0.75)):
        net = Says(win, 0.0, loss)
        assert OpeningFilter(net, 0.5, 1.0)(opening) == [True]
        assert OpeningFilter(net, 0.0, 0.5)(opening) == [True]
        assert OpeningFilter(net, 0.0, 0.499)(opening) == [False]
        assert OpeningFilter(net, 0.501, 1.0)(opening) == [False]


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(EvaluationError, match="says: the evaluation of an opening is not a finite"):
        OpeningFilter(Says(np.nan, 0, 0), 0.0, 1.0)([Opening(chess.STARTING_FEN)])


def test_a_deck_deals_what_passes_in_the_same_order_and_blocks() -> None:
    book, asked = default_book(), []
    net = OpeningFilter(HashEvaluator(5), 0.0, 0.3)

    def sieve(openings):
        asked.append(len(openings))
        return net(openings)

    plain, sifted = Deck(book), Deck(book, sieve=sieve)
    everything = [plain.opening(pair) for pair in range(2 * SIFTED_AT_ONCE)]
    passes = net(everything)
    kept = [opening for opening, passed in zip(everything, passes, strict=True) if passed]
    assert 10 < len(kept) < 118
    backwards = [sifted.opening(pair) for pair in reversed(range(len(kept)))]
    assert backwards[::-1] == kept
    assert asked == [SIFTED_AT_ONCE] * 2
    assert sifted.sifted == len(everything) - len(kept)


def test_a_book_that_is_filtered_away_says_so(games: Book) -> None:
    deck = Deck(games, Dealing(order="sequential", plies=2), lambda openings: [False, True, False])
    assert dealt(deck, 1) == ["d2d4"]
    message = r"has 1 openings \(1 more repeat a position, 2 more are outside of --opening-filter\)"
    with pytest.raises(OpeningError, match=message) as caught:
        deck.opening(1)
    assert "filter less" in str(caught.value)


# --- settings and match.toml ---


def config(**settings: object) -> MatchConfig:
    return MatchConfig(nets=BOTH, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"start": 0}, "--start 0: openings are numbered from 1"),
        ({"plies": 0}, "--plies 0: an opening has at least 1 ply"),
        ({"opening_filter": (0.5, 0.5)}, "--opening-filter 0.5 0.5: must be LOW below HIGH"),
        ({"opening_filter": (-0.1, 0.5)}, "--opening-filter -0.1 0.5: must be"),
        ({"opening_filter": (0.0, 1.5)}, "both from 0 to 1"),
        ({"opening_filter": (0.0, float("nan"))}, "--opening-filter 0 nan: must be"),
    ],
)
def test_settings_by_which_nothing_is_taken_are_refused(
    settings: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        config(**settings)


BEFORE = """
[openings]
file = "games.pgn"
sha256 = "{sha256}"
entries = 4
order = "sequential"

[sprt]
"""


def test_match_toml_without_the_settings_is_as_it_was(games: Book, tmp_path: Path) -> None:
    identity = match_identity(config(order="sequential"), NETS, games)
    write_identity(tmp_path, identity)
    assert BEFORE.format(sha256=games.sha256) in (tmp_path / MATCH_FILE).read_text()
    assert read_identity(tmp_path) == identity


def test_the_settings_are_the_match_s(games: Book, tmp_path: Path) -> None:
    chosen = config(order="sequential", plies=2, start=2, opening_filter=(0.25, 0.5))
    identity = match_identity(chosen, NETS, games)
    write_identity(tmp_path, identity)
    text = (tmp_path / MATCH_FILE).read_text()
    assert "\nplies = 2\nstart = 2\nleast-q = 0.25\nmost-q = 0.5\n" in text
    assert read_identity(tmp_path) == identity
    assert differences(match_identity(config(order="sequential"), NETS, games), identity) == [
        "openings.plies: 0 -> 2",
        "openings.start: 1 -> 2",
        "openings.least-q: 0.0 -> 0.25",
        "openings.most-q: 1.0 -> 0.5",
    ]
    assert dealt(deck_of(identity, games), 2) == ["e2e4 e7e5", "d2d4"]


def test_a_filter_that_lets_all_pass_is_none(games: Book) -> None:
    everything = match_identity(config(opening_filter=(0.0, 1.0)), NETS, games)
    assert everything == match_identity(config(), NETS, games)


def test_settings_of_the_wrong_kind_in_match_toml_are_refused(games: Book, tmp_path: Path) -> None:
    write_identity(tmp_path, match_identity(config(plies=2), NETS, games))
    path = tmp_path / MATCH_FILE
    path.write_text(path.read_text().replace("plies = 2", 'plies = "2"'))
    with pytest.raises(LedgerError, match="'plies' in openings cannot be '2'"):
        read_identity(tmp_path)


def test_final_positions_of_what_is_dealt_are_distinct_when_cut() -> None:
    deck = Deck(default_book(), Dealing(plies=3))
    cut = [deck.opening(pair) for pair in range(200)]
    assert {len(opening.moves) for opening in cut} == {3}
    assert len({final_position(opening).epd() for opening in cut}) == 200
    assert deck.duplicates > 0
