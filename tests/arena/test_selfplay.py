"""Self-play: what is written, that nothing but the settings decides it, and what is refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import chess
import numpy as np
import pytest
from scipy import stats
from tiny_net import TINY, calm_weights, net_message

import arena.cli
from arena.analyze import Analysis
from arena.boards import policy_index, position_of
from arena.config import ConfigError
from arena.evaluator import WinogradEvaluator
from arena.game import GameTask, Opening, Termination, game_seed
from arena.kernel.flight import MOVES_KEPT
from arena.players import NetPlayer
from arena.search import BatchedSearch
from arena.search_settings import Player
from arena.selfplay import SelfplayError, play_games
from arena.selfplay_config import SelfplayConfig, SelfplayParams
from arena.selfplay_records import Tally, tally_of
from arena.stand_ins import HashEvaluator
from arena.training_records import MAX_LENGTH
from swa.chunks import read_records
from swa.net import load_net
from swa.records import ADJUDICATED, Records

GAMES = 6


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("net") / "tiny.pb"
    path.write_bytes(net_message(TINY, calm_weights(TINY, 3)).SerializeToString())
    return path


def config(net: Path, out: Path, **chosen) -> SelfplayConfig:
    search = SelfplayParams(visits=chosen.pop("visits", 5))
    settings = {"games": GAMES, "max_plies": 50, "nncache": 1000, "search": search} | chosen
    return SelfplayConfig(net=NetPlayer(path=net), out=out, **settings)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.gz")}


def games(folder: Path) -> list[Records]:
    paths = sorted(folder.rglob("*.gz"), key=lambda path: int(path.name.split(".")[1]))
    return [chunk.records for path in paths for chunk in read_records(path)]


@pytest.fixture(scope="module")
def played(net: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("played") / "records"
    progress = play_games(config(net, out))
    assert progress.tally.games == GAMES
    return out


# --- records ---


def test_files_are_numbered_and_readable(played: Path) -> None:
    assert set(files(played)) == {f"00000/training.{number}.gz" for number in range(GAMES)}
    assert len(games(played)) == GAMES


def test_targets_are_shares_of_visits(played: Path) -> None:
    for records in games(played):
        policy = records["probabilities"]
        shares = np.where(policy > 0, policy, 0)
        np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
        # A root of N visits has N - 1 below it, all of them made for this move.
        visits = shares * (records["visits"][:, None] - 1)
        assert (records["visits"] == 5).all()
        np.testing.assert_allclose(visits, visits.round(), atol=1e-5)
        rows = np.arange(len(records))
        assert (shares[rows, records["played_idx"]] > 0).all()
        assert (shares[rows, records["best_idx"]] > 0).all()
        assert (records["policy_kld"] >= 0).all()
        for what in ("root", "best", "played", "orig"):
            assert (np.abs(records[f"{what}_q"]) <= 1).all()
            assert (records[f"{what}_d"] >= 0).all()
        ended = (records["invariance_info"] & ADJUDICATED) != 0
        assert ended.all() == ended.any()
        if not ended.any():
            assert records["plies_left"][-1] == 1
        np.testing.assert_array_equal(np.diff(records["plies_left"]), -1)


def test_the_nets_own_opinion_and_the_divergence_from_it(net: Path, tmp_path: Path) -> None:
    """Of the start position, by another way to the same net and by the definition."""
    play_games(config(net, tmp_path / "out", games=1, book=False, visits=40, max_plies=1))
    record = games(tmp_path / "out")[0][0]
    loaded = load_net(net)
    player = Player("tiny", WinogradEvaluator(loaded), SelfplayParams(visits=1))
    said = Analysis(player, [("startpos", [])]).evaluate()[0]
    assert record["orig_q"] == pytest.approx(said.q, abs=1e-6)
    assert record["orig_d"] == pytest.approx(said.wdl[1], abs=1e-6)
    assert record["orig_m"] == pytest.approx(said.moves_left, rel=1e-6)
    board = chess.Board()
    expected = 0.0
    for move, prior in said.policy.items():
        share = float(record["probabilities"][policy_index(position_of(board), move)])
        expected += share * np.log(share / prior) if share > 0 else 0.0
    assert record["policy_kld"] == pytest.approx(expected, rel=1e-5)


def test_the_first_moves_follow_the_temperature() -> None:
    """Without noise all games search the start alike; the moves of 1500 are as they should be."""
    params = SelfplayParams(visits=60, noise_epsilon=0.0, temperature=0.7)
    player = Player("hash", HashEvaluator(5), params)
    start = Opening(chess.STARTING_FEN)
    tasks = (
        GameTask(n, True, start, 0, 0, seed=game_seed(9, n), most_plies=1) for n in range(1500)
    )
    search = BatchedSearch([player], 64, 1, 10_000, keep_searches=True)
    records = [game.record for game in search.play([tasks])]
    assert {record.termination for record in records} == {Termination.MAX_LENGTH}
    shares = records[0].shares
    assert all((record.shares == shares).all() for record in records)
    start_position = position_of(chess.Board())
    moves = [policy_index(start_position, record.moves[0]) for record in records]
    counts = np.array([moves.count(move) for move in shares["move"]])
    assert counts.sum() == len(moves)
    weights = shares["visits"] ** (1 / 0.7)
    expected = weights / weights.sum() * len(moves)
    often = expected >= 5
    counts = np.append(counts[often], counts[~often].sum())
    expected = np.append(expected[often], expected[~often].sum())
    assert stats.chisquare(counts[expected > 0], expected[expected > 0]).pvalue > 1e-4


def test_noise_makes_searches_differ_from_game_to_game() -> None:
    def first_search(epsilon: float, seed: int) -> bytes:
        params = SelfplayParams(visits=60, noise_epsilon=epsilon, temperature=0.0)
        search = BatchedSearch([Player("h", HashEvaluator(5), params)], 1, 1, 0, True)
        task = GameTask(0, True, Opening(chess.STARTING_FEN), 0, 0, seed=seed, most_plies=1)
        return next(iter(search.play([iter([task])]))).record.shares.tobytes()

    assert len({first_search(0.25, seed) for seed in range(5)}) == 5
    assert len({first_search(0.0, seed) for seed in range(5)}) == 1


def test_long_games_with_many_shares_get_room() -> None:
    """The notes of a game outgrow what there was to begin with, and nothing is lost."""
    params = SelfplayParams(visits=40)
    search = BatchedSearch([Player("h", HashEvaluator(2), params)], 2, 1, 0, True)
    tasks = [GameTask(n, True, Opening(chess.STARTING_FEN), 0, 0, seed=n + 3) for n in range(2)]
    longest = 0
    for game in search.play([iter(tasks)]):
        record = game.record
        longest = max(longest, record.shares.size)
        ends = record.notes["end"]
        assert ends[-1] == record.shares.size
        sums = np.add.reduceat(record.shares["visits"], np.append(0, ends[:-1]))
        np.testing.assert_array_equal(sums, record.notes["visits"] - 1)
    assert longest > MOVES_KEPT * 4


def test_a_kept_tree_with_noise_plays_the_same_games_however_many_at_once() -> None:
    params = SelfplayParams(visits=12, reuse_tree=True)

    def play(parallel: int) -> dict[int, tuple[str, ...]]:
        search = BatchedSearch([Player("h", HashEvaluator(2), params)], parallel, 1, 0, True)
        start = Opening(chess.STARTING_FEN)
        tasks = [GameTask(n, True, start, 0, 0, seed=n, most_plies=40) for n in range(6)]
        return {game.task.pair: game.record.moves for game in search.play([iter(tasks)])}

    alone = play(1)
    assert play(6) == alone
    assert len(set(alone.values())) == 6


# --- nothing but the settings decides ---


@pytest.mark.parametrize(("parallel", "nncache"), [(1, 0), (3, 1000), (64, 50)])
def test_the_bytes_do_not_depend_on_how_many_are_played_at_once(
    net: Path, played: Path, tmp_path: Path, parallel: int, nncache: int
) -> None:
    play_games(config(net, tmp_path / "out", parallel=parallel, nncache=nncache))
    assert files(tmp_path / "out") == files(played)
    summary = (tmp_path / "out" / "selfplay.json").read_bytes()
    assert summary == (played / "selfplay.json").read_bytes()


def test_another_seed_plays_other_games(net: Path, played: Path, tmp_path: Path) -> None:
    play_games(config(net, tmp_path / "out", seed=1))
    assert not set(files(tmp_path / "out").values()) & set(files(played).values())


def test_what_a_crash_leaves_is_played_again(net: Path, played: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    play_games(config(net, out, games=4))
    few = files(out)
    assert few.items() <= files(played).items()
    torn = out / "00000" / "training.2.gz"
    whole = torn.read_bytes()
    torn.write_bytes(whole[: len(whole) * 3 // 5])  # some records can be read
    (out / "00000" / ".training.5.gz.tmp").write_bytes(b"half a file")
    notes: list[str] = []
    progress = play_games(config(net, out), note=notes.append)
    assert progress.resumed == 3
    assert any("training.2.gz is damaged" in line for line in notes)
    assert files(out) == files(played)
    assert not list(out.rglob("*.tmp"))
    again = play_games(config(net, out))
    assert again.tally == progress.tally
    assert again.search.visits == 0


def test_killed_and_resumed_it_ends_with_the_same_folder(
    net: Path, played: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = ["selfplay", "--net", str(net), "--out", str(out), "--games", str(GAMES)]
    words += ["--max-plies", "50", "--visits", "5", "--parallel", "2", "-q"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen([sys.executable, "-m", "arena", *words], env=environment)
    give_up = time.monotonic() + 120
    while not list(out.rglob("*.gz")) and time.monotonic() < give_up:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(files(out)) > 0
    assert files(out).items() <= files(played).items()
    assert arena.cli.main(words) == 0
    assert files(out) == files(played)


# --- resignation ---


def test_resigning_cuts_the_games_that_were_played_through(net: Path, tmp_path: Path) -> None:
    """The same seeds with and without: what was predicted of a game is what happens to it."""
    percent = 45.0  # a net of random weights seldom despairs
    settings = {"games": 8, "resign_percentage": percent}
    through = config(net, tmp_path / "through", resign_playthrough=100.0, **settings)
    told = play_games(through).tally
    resigned = play_games(config(net, tmp_path / "resigned", **settings)).tally
    assert told.played_through == 8
    assert told.resigned == 0
    assert 0 < told.would_have_resigned == resigned.resigned
    assert resigned.played_through == resigned.would_have_resigned == 0
    wrong = 0
    for whole, cut in zip(games(through.out), games(tmp_path / "resigned"), strict=True):
        score = (whole["best_q"] + np.float32(1)) / np.float32(2)
        below = np.flatnonzero(score[1:] < np.float32(percent / 100)) + 1
        if below.size == 0:
            assert whole.tobytes() == cut.tobytes()
            continue
        assert len(cut) == below[0]
        assert (cut["invariance_info"] & ADJUDICATED).all()
        assert not (cut["invariance_info"] & MAX_LENGTH).any()
        np.testing.assert_array_equal(cut["probabilities"], whole["probabilities"][: below[0]])
        # The one to move behind the last record has resigned.
        assert cut["result_q"][-1] == 1
        wrong += int(whole["result_q"][below[0]] >= 0)
    assert told.wrongly_drawn + told.wrongly_won == wrong
    assert told.wrong_share == wrong / told.would_have_resigned


def records_with(best_q: list[float], white_result: int) -> Records:
    from swa.records import V6

    records = np.zeros(len(best_q), V6)
    records["best_q"] = best_q
    records["side_to_move"] = np.arange(len(best_q)) % 2
    records["result_q"] = np.where(records["side_to_move"] == 1, -white_result, white_result)
    return records


@pytest.mark.parametrize(
    ("best_q", "white_result", "would", "drawn", "won"),
    [
        ([-0.99, 0.0, 0.0, 0.0], -1, 0, 0, 0),  # nobody resigns before the first move
        ([0.0, -0.99, 0.9, -0.99], 1, 1, 0, 0),  # black would, and lost
        ([0.0, -0.99, 0.9, -0.99], -1, 1, 0, 1),  # black would, and won
        ([0.0, -0.99, 0.9, -0.99], 0, 1, 1, 0),
        ([0.0, 0.0, -0.91, -0.99], 1, 1, 0, 1),  # the first who would counts: white
        ([0.0, -0.9, 0.0, 0.0], 1, 0, 0, 0),  # 5 % is not below 5 %
    ],
)
def test_wrong_resignations_are_counted(
    best_q: list[float], white_result: int, would: int, drawn: int, won: int
) -> None:
    tally = tally_of(records_with(best_q, white_result), 0.05, played_through=True)
    found = (tally.would_have_resigned, tally.wrongly_drawn, tally.wrongly_won)
    assert found == (would, drawn, won)
    assert tally.played_through == 1
    assert (tally.white_wins, tally.draws, tally.black_wins) == (
        int(white_result > 0),
        int(white_result == 0),
        int(white_result < 0),
    )
    without = tally_of(records_with(best_q, white_result), 0.05, played_through=False)
    assert without.would_have_resigned == 0
    assert without.played_through == 0


def test_tallies_add_up_and_no_resignations_have_no_share() -> None:
    one = Tally(games=1, positions=30, draws=1)
    assert one + one == Tally(games=2, positions=60, draws=2)
    assert one.wrong_share is None


def test_the_longest_game_is_a_draw_that_says_so(played: Path) -> None:
    stopped = [g for g in games(played) if (g["invariance_info"] & MAX_LENGTH).any()]
    assert stopped
    for records in stopped:
        assert (records["result_q"] == 0).all()
        assert (records["result_d"] == 1).all()
        assert (records["invariance_info"] & ADJUDICATED).all()


# --- bad input ---


def test_other_settings_are_not_gone_on_with(net: Path, played: Path) -> None:
    asked = config(net, played, seed=5, resign_percentage=3.0)
    with pytest.raises(SelfplayError) as refusal:
        play_games(asked)
    text = str(refusal.value)
    assert "seed: 0 -> 5" in text
    assert "resign-percentage: 0.0 -> 3.0" in text
    other = replace(config(net, played), search=SelfplayParams(visits=5, temperature=0.5))
    with pytest.raises(SelfplayError, match=r"temperature: 1\.0 -> 0\.5"):
        play_games(other)


def test_a_folder_of_something_else_is_left_alone(net: Path, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"x")
    with pytest.raises(SelfplayError, match="no folder of self-play"):
        play_games(config(net, tmp_path))
    with pytest.raises(SelfplayError, match="is a file"):
        play_games(config(net, tmp_path / "photo.jpg"))
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


def test_settings_that_cannot_be_read_are_told(net: Path, played: Path, tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text("{")
    with pytest.raises(SelfplayError, match="cannot be read"):
        play_games(config(net, tmp_path))


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"games": 0}, "--games 0"),
        ({"visits": 1}, "--visits 1: a target needs at least 2"),
        ({"resign_percentage": 101.0}, "--resign-percentage 101: must be from 0 to 100"),
        ({"resign_playthrough": -1.0}, "--resign-playthrough -1"),
        ({"max_plies": -1}, "--max-plies -1"),
        ({"parallel": 0}, "--parallel 0"),
        ({"seed": -1}, "--seed -1"),
        ({"openings": Path("x.epd"), "book": False}, "contradict"),
    ],
)
def test_bad_settings_are_refused(chosen: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config(Path("net"), Path("out"), **chosen)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"noise_epsilon": 1.5}, "--noise-epsilon 1.5: must be from 0 to 1"),
        ({"noise_alpha": 0.0}, "--noise-alpha 0"),
        ({"temperature": -0.1}, "--temperature -0.1: must be from 0 to 100"),
        ({"temp_value_cutoff": 101.0}, "--temp-value-cutoff 101"),
        ({"tempdecay_moves": 641}, "--tempdecay-moves 641"),
        ({"temp_cutoff_move": -1}, "--temp-cutoff-move -1"),
        ({"temperature": float("nan")}, "is not a number"),
    ],
)
def test_bad_chances_are_refused(chosen: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SelfplayParams(**chosen)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "error: --net is missing"),
        (["--net", "no.pb.gz", "--out", "OUT"], "no.pb.gz"),
        (["--net", "NET"], "error: --out is missing"),
        (["--net", "NET", "--out", "OUT", "--openings", "none.epd"], "none.epd"),
        (["--net", "NET", "--out", "OUT", "--nois-epsilon", "1"], "did you mean --noise-epsilon"),
    ],
)
def test_the_command_refuses_in_a_few_lines(
    words: list[str], message: str, net: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"NET": str(net), "OUT": str(tmp_path / "out")}
    assert arena.cli.main(["selfplay", *(places.get(word, word) for word in words)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) <= 3
    assert not (tmp_path / "out").exists()


def test_the_command_tells_what_became_of_the_games(
    net: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["selfplay", "--net", str(net), "--out", str(tmp_path / "out"), "--games", "3"]
    words += ["--visits", "4", "--max-plies", "30"]
    words += ["--resign-percentage", "45", "--resign-playthrough", "100"]
    assert arena.cli.main(words) == 0
    text = capsys.readouterr().out
    assert text.startswith("3 games, ")
    assert "played through: 3" in text
    assert arena.cli.main([*words, "--json"]) == 0
    assert '"resumed": 3' in capsys.readouterr().out
