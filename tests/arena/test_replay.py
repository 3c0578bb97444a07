"""The replay of a report's page, in a real browser: what it shows is what python-chess knows."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import chess
import pytest
from browser import WIDTHS, visit
from replayed_games import random_pairs, walk
from scripted_match import identity, pair, run_folder

from arena.game import GameRecord, Opening, PairRecord
from arena.report.replay.section import pieces, replay_section
from arena.report.run import read_run
from arena.report.schema import DecidingPosition, Opinion
from arena.report.summary import summarize

TEMPLATES = Path(__file__).parents[2] / "arena" / "report" / "templates"

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'`&lt;\n\u2028\u202eé"


def hashes(texts: list[str]) -> str:
    digests = (hashlib.sha256(text.encode()).digest() for text in texts)
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)


def write_page(path: Path, pairs: list[PairRecord], deciding=(), names=("raw", "swa")) -> Path:
    """A page with nothing but the replay, under a policy that lets only its own script run."""
    of = identity(pairs=max(16, len(pairs)), names=names)
    run = read_run(run_folder(path.parent / f"{path.stem}-run", of, pairs))
    summary = summarize(run)
    summary["curves"]["deciding"] = list(deciding)
    section = str(replay_section(run, summary))
    colours = (TEMPLATES / "report.css").read_text()
    colours += "body { color: var(--ink); background: var(--paper); margin: 1rem; }"
    scripts = re.findall(r"<script>(.*?)</script>", section, re.DOTALL)
    styles = [*re.findall(r"<style>(.*?)</style>", section, re.DOTALL), colours]
    policy = f"default-src 'none'; script-src {hashes(scripts)}; style-src {hashes(styles)}"
    path.write_text(
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>Match</title><style>{colours}</style></head>"
        f"<body><main><h1>Match</h1>{section}</main></body></html>"
    )
    return path


def position_that_decided(one: PairRecord, number: int, ply: int) -> DecidingPosition:
    """``ply``, from 1, of the pair's game ``number``, with opinions of both nets."""
    game = one.games[number - 1]
    board, move = next(
        (board.copy(), move)
        for place, (board, move) in enumerate(walk(one, game), start=1)
        if place == ply
    )
    assert move is not None
    first, last = (list(board.legal_moves)[place] for place in (0, -1))
    mover = "candidate" if (board.turn == chess.WHITE) is game.candidate_white else "baseline"
    return DecidingPosition(
        pair=one.number + 1,
        game=number,  # type: ignore[typeddict-item]
        ply=ply,
        fen=board.fen(),
        mover=mover,
        move=(*one.opening.moves, *game.moves)[ply - 1],
        mover_q=0.625,
        opponent_q=-0.25,
        points=game.candidate_points,
        baseline=Opinion(q=-0.125, policy=[[board.uci(first, chess960=False), 0.5]]),
        candidate=Opinion(q=0.5, policy=[[board.uci(last, chess960=False), 0.75]]),
    )


PAIRS = random_pairs(14)
DECIDING = [position_that_decided(PAIRS[12], 2, 21), position_that_decided(PAIRS[1], 1, 7)]
NOTHING_DECIDED: list[DecidingPosition] = []


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("replay")
    return write_page(folder / "report.html", PAIRS, DECIDING)


@contextmanager
def opened(chromium, page: Path, **window: Any) -> Iterator[Any]:
    """The page with its games unpacked; it must have had no error when it is closed."""
    with visit(chromium, page, **window) as seen:
        seen.page.wait_for_selector("[data-ready]")
        yield seen
        assert seen.errors == []
        assert len(seen.requests) == 1


def shown(seen) -> str:
    """The FEN of the position on the board."""
    return str(seen.page.locator("#replay-board").get_attribute("data-fen"))


def fens(one: PairRecord, game: GameRecord) -> list[str]:
    return [board.fen() for board, _ in walk(one, game)]


def open_game(seen, pair: int, number: int) -> None:
    seen.page.fill("#replay-text", f"{pair}.{number}")
    seen.page.click(f"#replay-list button:has(:text-is('{pair}.{number}'))")


# --- the laws of chess ---


def test_every_position_and_move_is_python_chesss(chromium, page):
    expected, notation = [], []
    for one in PAIRS:
        for game in one.games:
            expected.append(fens(one, game))
            line = [board.san(move) for board, move in walk(one, game) if move is not None]
            notation.append(line)
    moves = [move for line in notation for move in line]
    # What the games are for: all that is rare stands in them.
    assert {"O-O", "O-O-O"} <= {move.rstrip("+#") for move in moves}
    assert any("=" in move for move in moves)
    with opened(chromium, page) as seen:
        found = seen.page.evaluate(
            """async () => {
                const text = document.getElementById("replay-data").textContent;
                const games = await replayGames.unpack(text);
                return Array.from({length: games.count}, (_, index) => {
                    const {positions, notation} = games.game(index);
                    return {fens: positions.map(replayRules.fen), notation};
                });
            }"""
        )
    assert [game["fens"] for game in found] == expected
    assert [game["notation"] for game in found] == notation


@pytest.mark.parametrize(
    ("fen", "count"),
    [  # chessprogramming.org/Perft_Results and Chess960_Perft_Results, castling as Shredder-FEN
        ("r3k2r/p1ppqpb1/bn2pnp1/3PN3/1p2P3/2N2Q1p/PPPBBPPP/R3K2R w HAha - 0 1", 97_862),
        ("8/2p5/3p4/KP5r/1R3p1k/8/4P1P1/8 w - - 0 1", 2_812),
        ("r3k2r/Pppp1ppp/1b3nbN/nP6/BBP1P3/q4N2/Pp1P2PP/R2Q1RK1 w ha - 0 1", 9_467),
        ("bqnb1rkr/pp3ppp/3ppn2/2p5/5P2/P2P4/NPP1P1PP/BQ1BNRKR w HFhf - 2 9", 12_189),
        ("2nnrbkr/p1qppppp/8/1ppb4/6PP/3PP3/PPP2P2/BQNNRBKR w HEhe - 1 9", 18_002),
    ],
)
def test_three_plies_have_as_many_lines_as_everybody_counts(chromium, page, fen, count):
    with opened(chromium, page) as seen:
        found = seen.page.evaluate(
            """fen => {
                const {parse, play, legalMoves} = replayRules;
                const count = (position, depth) => depth === 0 ? 1 : legalMoves(position)
                    .reduce((sum, move) => sum + count(play(position, move), depth - 1), 0);
                return count(parse(fen), 3);
            }""",
            fen,
        )
    assert found == count


# --- what one does ---


def test_steps_by_key(chromium, page):
    with opened(chromium, page) as seen:
        open_game(seen, 2, 1)
        expected = fens(PAIRS[1], PAIRS[1].games[0])
        press = seen.page.locator("#replay-board").press
        assert shown(seen) == expected[0]
        for fen in expected[1:6]:
            press("ArrowRight")
            assert shown(seen) == fen
        press("ArrowLeft")
        assert shown(seen) == expected[4]
        press("End")
        assert shown(seen) == expected[-1]
        press("ArrowRight")
        assert shown(seen) == expected[-1]
        press("Home")
        assert shown(seen) == expected[0]
        press("ArrowLeft")
        assert shown(seen) == expected[0]


def test_keys_of_the_page_do_nothing_without_the_board(chromium, page):
    with opened(chromium, page) as seen:
        seen.page.focus("#replay-text")
        before = shown(seen)
        for key in ("ArrowLeft", "Home", "End", "n", "p", "Space"):
            seen.page.keyboard.press(key)
        assert shown(seen) == before
        assert seen.page.input_value("#replay-text") == "np "


def test_steps_by_click_on_buttons_board_moves_and_graph(chromium, page):
    with opened(chromium, page) as seen:
        open_game(seen, 1, 2)
        game = PAIRS[0].games[1]
        expected = fens(PAIRS[0], game)
        seen.page.click("[data-do=forward]")
        assert shown(seen) == expected[1]
        seen.page.click("[data-do=last]")
        seen.page.click("[data-do=back]")
        assert shown(seen) == expected[-2]
        box = seen.page.locator("#replay-board").bounding_box()
        seen.page.click("#replay-board", position={"x": box["width"] * 0.9, "y": 50})
        assert shown(seen) == expected[-1]
        seen.page.click("#replay-board", position={"x": box["width"] * 0.1, "y": 50})
        assert shown(seen) == expected[-2]
        seen.page.click("#replay-moves [data-ply='5']")
        assert shown(seen) == expected[5]
        box = seen.page.locator("#replay-graph").bounding_box()
        seen.page.click("#replay-graph", position={"x": box["width"] / 2, "y": 20})
        assert abs(expected.index(shown(seen)) - (len(expected) - 1) / 2) <= 1
        seen.page.locator("#replay-range").press("Home")
        assert shown(seen) == expected[0]


def test_steps_by_touch(chromium, page):
    with opened(chromium, page, width=360, height=740, has_touch=True, is_mobile=True) as seen:
        open_game(seen, 1, 1)
        expected = fens(PAIRS[0], PAIRS[0].games[0])
        board = seen.page.locator("#replay-board")
        board.scroll_into_view_if_needed()
        box = board.bounding_box()
        seen.page.touchscreen.tap(box["x"] + box["width"] * 0.8, box["y"] + 100)
        seen.page.touchscreen.tap(box["x"] + box["width"] * 0.8, box["y"] + 100)
        assert shown(seen) == expected[2]
        seen.page.touchscreen.tap(box["x"] + box["width"] * 0.2, box["y"] + 100)
        assert shown(seen) == expected[1]
        swipe = """(place, [from, to]) => {
            const options = (clientX) => ({bubbles: true, pointerId: 7, isPrimary: true, button: 0,
                pointerType: "touch", clientX, clientY: 200});
            place.dispatchEvent(new PointerEvent("pointerdown", options(from)));
            place.dispatchEvent(new PointerEvent("pointerup", options(to)));
        }"""
        board.evaluate(swipe, [250, 100])
        assert shown(seen) == expected[2]
        board.evaluate(swipe, [100, 250])
        assert shown(seen) == expected[1]


def test_space_plays_and_stops_at_the_end(chromium, page):
    with opened(chromium, page, reduced_motion="reduce") as seen:
        open_game(seen, 1, 1)
        expected = fens(PAIRS[0], PAIRS[0].games[0])
        board = seen.page.locator("#replay-board")
        board.press("End")
        board.press("ArrowLeft")
        board.press("ArrowLeft")
        board.press(" ")
        assert seen.page.get_attribute("[data-do=play]", "aria-label") == "Pause"
        seen.page.wait_for_selector("[data-do=play][aria-label=Play]")
        assert shown(seen) == expected[-1]
        board.press(" ")  # from the beginning, then stopped
        board.press(" ")
        assert shown(seen) == expected[0]


def test_n_and_p_go_through_the_games_that_pass_the_filter(chromium, page):
    with opened(chromium, page) as seen:
        open_game(seen, 1, 1)
        seen.page.fill("#replay-text", "")
        seen.page.select_option("#replay-colour", "black")
        press = seen.page.locator("#replay-board").press
        heading = seen.page.locator("#replay-game")
        press("n")
        assert heading.inner_text() == "Pair 1, game 2"
        press("n")
        assert heading.inner_text() == "Pair 2, game 2"
        press("p")
        press("p")
        assert heading.inner_text() == "Pair 1, game 2"


def test_the_filter_finds_by_result_colour_end_and_text(chromium, page):
    games = [(one, game) for one in PAIRS for game in one.games]
    won = [game for _, game in games if game.candidate_points == 1.0]
    as_black = [game for game in won if not game.candidate_white]
    resigned = [game for game in as_black if game.termination == "resignation"]
    assert len(won) > len(as_black) > len(resigned) > 0
    with opened(chromium, page) as seen:
        rows = seen.page.locator("#replay-list button")
        assert rows.count() == len(games)
        seen.page.select_option("#replay-result", "1")
        assert rows.count() == len(won)
        seen.page.select_option("#replay-colour", "black")
        assert rows.count() == len(as_black)
        seen.page.select_option("#replay-end", "resignation")
        assert rows.count() == len(resigned)
        count = seen.page.inner_text("#replay-count")
        assert count == f"{len(resigned)} of {len(games)} games"
        for name in ("result", "colour", "end"):
            seen.page.select_option(f"#replay-{name}", "")
        seen.page.fill("#replay-text", "START 3")  # of the opening's name, or of pair 3
        assert rows.count() == 2
        seen.page.fill("#replay-text", "11")
        assert rows.all_inner_texts()[0].startswith("11.1")
        assert rows.count() == 2
        seen.page.fill("#replay-text", "nowhere")
        assert rows.count() == 0
        seen.page.locator("#replay-board").press("n")


def test_long_lists_are_shown_in_parts(chromium, tmp_path):
    pairs = [pair(number, 1.0, 0.5) for number in range(130)]
    page = write_page(tmp_path / "long.html", pairs)
    with opened(chromium, page) as seen:
        rows = seen.page.locator("#replay-list button")
        assert rows.count() == 100
        seen.page.click("#replay-more")
        assert rows.count() == 200
        seen.page.goto(f"{page.as_uri()}#game-125-1-2")
        assert seen.page.inner_text("#replay-list [aria-current] .replay-round") == "125.1"
        seen.page.click("#replay-earlier")
        assert seen.page.inner_text("#replay-game") == "Pair 125, game 1"


def test_positions_that_decided_are_opened_before_their_move(chromium, page):
    with opened(chromium, page) as seen:
        buttons = seen.page.locator(".replay-deciding button")
        assert buttons.count() == 2
        assert shown(seen) == DECIDING[0]["fen"]  # the first is what the page begins with
        buttons.nth(1).click()
        assert shown(seen) == DECIDING[1]["fen"]
        assert "+0.62" in buttons.nth(1).inner_text()
        assert seen.page.evaluate("document.activeElement.id") == "replay-board"
        board = chess.Board(DECIDING[1]["fen"])
        opinion = seen.page.inner_text("#replay-opinion")
        for net, q in (("baseline", "−0.12"), ("candidate", "+0.50")):
            [[move, share]] = DECIDING[1][net]["policy"]
            assert f"{q}\t{board.san(board.parse_uci(move))} {share:.0%}".replace("%", "\xa0%") in (
                opinion
            )
        assert "+0.62" in opinion
        assert "−0.25" in opinion
        assert seen.page.locator(".replay-arrow").count() == 2
        seen.page.locator("#replay-board").press("ArrowRight")
        assert seen.page.locator("#replay-opinion").is_hidden()
        assert seen.page.locator(".replay-arrow").count() == 0


def test_a_position_has_an_address(chromium, page):
    one = PAIRS[6]
    expected = fens(one, one.games[1])[9]
    with visit(chromium, page) as seen:
        seen.page.goto(f"{page.as_uri()}#game-7-2-9")
        seen.page.wait_for_selector("[data-ready]")
        assert shown(seen) == expected
        assert seen.page.get_attribute("#replay-link", "href") == "#game-7-2-9"
        seen.page.goto(f"{page.as_uri()}#game-7-2-99999")
        assert shown(seen) == fens(one, one.games[1])[-1]
        before = shown(seen)
        seen.page.goto(f"{page.as_uri()}#game-99-1-0")
        assert shown(seen) == before
        assert seen.errors == []


# --- what one sees ---

DRAWN = """flipped => {
    const fen = Array.from({length: 8}, () => Array(8).fill("1"));
    const letters = {pawn: "p", knight: "n", bishop: "b", rook: "r", queen: "q", king: "k"};
    for (const use of document.querySelectorAll("#replay-squares use")) {
        const box = use.getBoundingClientRect();
        const board = document.getElementById("replay-squares").getBoundingClientRect();
        const place = [box.x + box.width / 2 - board.x, box.y + box.height / 2 - board.y]
            .map(along => Math.floor(along / board.width * 8));
        const [file, row] = flipped ? place.map(along => 7 - along) : place;
        const [, colour, kind] = use.getAttribute("href").slice(1).split("-");
        if (fen[row][file] !== "1") throw new Error("two pieces on a square");
        fen[row][file] = colour === "white" ? letters[kind].toUpperCase() : letters[kind];
    }
    return fen.map(row => row.join("").replace(/1+/g, empty => empty.length)).join("/");
}"""
"""The placement of a FEN, read from where the pieces are seen in the window."""


def test_pieces_are_seen_where_they_stand(chromium, page):
    with opened(chromium, page, reduced_motion="reduce") as seen:
        for number in (2, 8):  # both sides castle, and Chess960
            open_game(seen, number, 1)
            expected = [
                fen.split()[0] for fen in fens(PAIRS[number - 1], PAIRS[number - 1].games[0])
            ]
            for place in (0, 1, 2, 7, len(expected) - 1):
                seen.page.evaluate(f"location.hash = '#game-{number}-1-{place}'")
                seen.page.wait_for_function(
                    f"document.getElementById('replay-range').value == {place}"
                )
                assert seen.page.evaluate(DRAWN, False) == expected[place]
            seen.page.locator("#replay-board").press("f")
            assert seen.page.evaluate(DRAWN, True) == expected[-1]


def test_the_candidate_is_below_and_its_line_has_its_evaluations(chromium, tmp_path):
    one = pair(0, 1.0, 0.5)
    page = write_page(tmp_path / "report.html", [one])
    with opened(chromium, page) as seen:
        for number, (below, above) in ((1, ("White", "Black")), (2, ("Black", "White"))):
            open_game(seen, 1, number)
            assert seen.page.inner_text("#replay-bottom .replay-name") == "swa"
            assert below in seen.page.inner_text("#replay-bottom")
            assert above in seen.page.inner_text("#replay-top")
            game = one.games[number - 1]
            for kind, first in (("candidate", number - 1), ("baseline", 2 - number)):
                line = seen.page.get_attribute(f"#replay-graph .replay-line-{kind}", "d")
                points = [
                    tuple(map(float, point.split())) for point in line.removeprefix("M").split("L")
                ]
                sign = 1 if first == 0 else -1  # White makes the first move
                assert points == [
                    # The opening has two plies, and SVG counts downwards.
                    (3 + ply, pytest.approx(-sign * round(game.q[ply], 2)))
                    for ply in range(first, len(game.moves), 2)
                ]


def test_a_move_glides_from_its_square_unless_motion_is_not_wanted(chromium, page):
    for motion, count in (("no-preference", 1), ("reduce", 0)):
        with opened(chromium, page, reduced_motion=motion) as seen:
            open_game(seen, 1, 1)
            seen.page.locator("#replay-board").press("Home")
            found = seen.page.evaluate(
                """() => {
                    document.querySelector("[data-do=forward]").click();
                    return document.getAnimations().length;
                }"""
            )
            assert found == count


# --- what one reads ---


def test_moves_are_announced_with_player_and_evaluation(chromium, tmp_path):
    one = pair(0, 1.0, 0.5)
    page = write_page(tmp_path / "report.html", [one])
    with opened(chromium, page) as seen:
        status = seen.page.locator("#replay-status")
        assert status.get_attribute("aria-live") == "polite"
        press = seen.page.locator("#replay-board").press
        press("ArrowRight")
        assert status.inner_text() == "1. a3, opening."
        press("ArrowRight")
        press("ArrowRight")
        assert status.inner_text() == "2. e4, swa: −0.30, draw 25\xa0%."
        press("ArrowRight")
        assert status.inner_text() == "2… e5, raw: +0.20, draw 25\xa0%."
        press("End")
        assert status.inner_text().endswith("End of the game: 1-0, checkmate.")
        squares = seen.page.locator("#replay-squares")
        assert squares.get_attribute("aria-label") == "Position after 5. Qxf7#"
        assert "White: king e1; queen f7" in seen.page.locator("#replay-words").text_content()


def test_without_draw_probabilities_none_are_shown(chromium, tmp_path):
    one = pair(0, 1.0, 0.5)
    games = tuple(replace(game, d=(0.0,) * len(game.moves)) for game in one.games)
    page = write_page(tmp_path / "report.html", [replace(one, games=games)])
    with opened(chromium, page) as seen:
        seen.page.locator("#replay-board").press("End")
        assert "draw" not in seen.page.inner_text("#replay-status")


def test_a_game_without_moves_of_its_own_can_be_opened(chromium, tmp_path):
    one = pair(0, 1.0, 0.5)
    empty = replace(one.games[0], moves=(), q=(), d=(), visits=())
    bare = replace(one, opening=Opening(chess.STARTING_FEN), games=(empty, one.games[1]))
    page = write_page(tmp_path / "report.html", [bare])
    with opened(chromium, page) as seen:
        assert shown(seen) == chess.STARTING_FEN
        seen.page.locator("#replay-board").press("ArrowRight")
        seen.page.click("#replay-graph")
        assert shown(seen) == chess.STARTING_FEN


@pytest.mark.parametrize(("width", "scheme"), [(WIDTHS[0], "dark"), (WIDTHS[1], "light")])
def test_is_accessible_and_as_wide_as_the_window(chromium, page, width, scheme):
    with opened(chromium, page, width=width, color_scheme=scheme) as seen:
        assert seen.width_needed == width
        assert seen.page.locator("#replay-opinion").is_visible()
        seen.page.click("summary")
        assert seen.width_needed == width
        assert seen.grave_faults() == []


# --- what may go wrong ---


def test_hostile_names_run_no_script(chromium, tmp_path):
    pairs = [
        replace(one, opening=replace(one.opening, name=HOSTILE))
        for one in (pair(0, 1.0, 0.5), pair(1, 0.0, 0.5))
    ]
    forfeit = replace(pairs[0].games[0], forfeit=HOSTILE)
    pairs[0] = replace(pairs[0], games=(forfeit, pairs[0].games[1]))
    deciding = [position_that_decided(pairs[0], 1, 4)]
    names = (HOSTILE.replace("\n", " "), HOSTILE.replace("\n", " ") + "2")
    page = write_page(tmp_path / "report.html", pairs, deciding, names)
    with opened(chromium, page, width=360) as seen:
        seen.page.locator("#replay-board").press("End")
        assert "<img src=x" in seen.page.inner_text("#replay-bottom")
        assert "<img src=x" in seen.page.inner_text("#replay-about")
        assert "<img src=x" in seen.page.inner_text(".replay-list")
        assert seen.page.locator("img").count() == 0
        assert seen.page.locator("script").count() == 2
        assert seen.width_needed == 360
        # What reverses the rest of a line is shown nowhere.
        assert "\u202e" not in seen.page.locator("#games").text_content()


def test_the_evaluation_beside_a_long_name_stays_in_one_line(chromium, tmp_path):
    names = ("baseline-of-the-night-" * 4, "candidate" * 12)
    page = write_page(tmp_path / "report.html", PAIRS, DECIDING, names)
    with opened(chromium, page, width=360) as seen:
        seen.page.locator("#replay-board").press("End")
        for side in ("top", "bottom"):
            value = seen.page.locator(f"#replay-{side} .replay-value")
            # A box for each line.
            lines = value.evaluate(
                "of => { const all = document.createRange(); all.selectNodeContents(of);"
                " return all.getClientRects().length; }"
            )
            assert lines == 1
        assert seen.width_needed == 360


def test_a_browser_that_cannot_unpack_says_so(chromium, page):
    with chromium.new_context() as window:
        window.add_init_script("delete globalThis.DecompressionStream")
        browser_page = window.new_page()
        browser_page.goto(page.as_uri())
        problem = browser_page.locator("#replay-problem")
        problem.wait_for(state="visible")
        assert "DecompressionStream" in problem.inner_text()
        assert "games.pgn" in problem.inner_text()
        assert browser_page.locator("#replay-app").is_hidden()


def test_without_script_the_page_says_where_the_games_are(chromium, page):
    with visit(chromium, page, java_script_enabled=False) as seen:
        assert "games.pgn" in seen.page.inner_text("noscript")
        assert seen.page.locator("#replay-app").is_hidden()


def test_a_match_without_pairs_has_no_board(tmp_path):
    run = read_run(run_folder(tmp_path / "run", identity(), []))
    section = replay_section(run, summarize(run))
    assert "No pair is finished yet." in section
    assert "<script" not in section


def test_no_source_can_end_its_script_element():
    for path in TEMPLATES.glob("*.js"):
        assert "</script" not in path.read_text().lower()
        assert "<!--" not in path.read_text()


def test_pieces_are_all_of_python_chess_without_style():
    drawn = pieces()
    for colour in ("white", "black"):
        for kind in chess.PIECE_NAMES[1:]:
            assert drawn.count(f'id="replay-{colour}-{kind}"') == 1
    assert "style=" not in drawn
