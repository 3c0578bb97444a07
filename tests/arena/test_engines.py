"""UCI engines as players: they are asked rightly, and every fault is known for what it is."""

from __future__ import annotations

import json
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import chess.pgn
import pytest

from arena import engine_process, engines
from arena.adjudication import JudgeOf, judges
from arena.adjudication_rules import AdjudicationRules, DrawRule
from arena.cli import main
from arena.config import SearchParams
from arena.engine_process import Heartbeat
from arena.engines import EngineError, engine_player
from arena.evaluator import Evaluation, Leaves
from arena.external import Answer, Fault, GameState
from arena.faults import read_void
from arena.game import GameTask, Remark, Termination
from arena.lane import FinishedGame
from arena.openings import default_book, final_position
from arena.players import EnginePlayer, Limits, TimeControl
from arena.referee import check_game
from arena.scores import expected_result
from arena.search import BatchedSearch
from arena.search_settings import Player, Visitor
from arena.stand_ins import HashEvaluator

FAKES = Path(__file__).parent / "fake_engines"
NET = Player("net", HashEvaluator(1), SearchParams(visits=6))


@pytest.fixture(autouse=True)
def _busy_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests may run where everything takes long; that is not what they are about."""
    monkeypatch.setattr(engine_process, "GRACE", 30.0)
    monkeypatch.setattr(Heartbeat, "stolen", lambda self, since: 0.0)


NODES = Limits(nodes=7)


def fake(script: str, *args: object, limits: Limits = NODES, **settings: object) -> EnginePlayer:
    words = (str(FAKES / f"{script}.py"), *map(str, args))
    settings = {"name": script} | settings
    return EnginePlayer(command=sys.executable, args=words, limits=limits, **settings)  # type: ignore[arg-type]


def play(
    *players: EnginePlayer | Player,
    games: int = 2,
    parallel: int = 4,
    patience: float = 20.0,
    most_plies: int = 60,
    judge_of: JudgeOf | None = None,
) -> list[FinishedGame]:
    book = default_book()
    tasks = [
        GameTask(
            pair,
            first,
            book.opening(7 * pair),
            white=int(first),
            black=int(not first),
            most_plies=most_plies,
        )
        for pair in range(games // 2)
        for first in (True, False)
    ]
    with ExitStack() as stack:
        seated: list[Player | Visitor] = []
        for player in players:
            if isinstance(player, EnginePlayer):
                pool = stack.enter_context(engine_player(player, parallel, patience))
                seated.append(Visitor(pool.name, pool, player.limits))
            else:
                seated.append(player)
        search = BatchedSearch(seated, parallel, lanes=2, judge_of=judge_of)
        lanes = [iter(tasks[lane :: search.lanes]) for lane in range(search.lanes)]
        finished = list(search.play(lanes))
    for game in finished:
        if not isinstance(game.outcome, Fault):
            check_game(game.task.opening, game.record)
    return sorted(finished, key=lambda game: (game.task.pair, not game.task.candidate_white))


def loses(script: str, by: Termination, *args: object, **settings: object) -> list[str]:
    """Let a fake lose both games of a pair to a net; returns what is said of it."""
    patience = settings.pop("patience", 20.0)
    finished = play(fake(script, *args, **settings), NET, patience=patience)  # type: ignore[arg-type]
    said = []
    for game in finished:
        assert game.record.termination is by, game.record.forfeit
        assert game.record.result == ("0-1" if game.task.white == 0 else "1-0")
        assert len(game.record.remarks) == len(game.record.moves)
        said.append(game.record.forfeit)
    return said


def test_an_engine_plays_a_net_and_every_move_has_its_remark() -> None:
    finished = play(fake("uci_engine", limits=Limits(nodes=42)), NET, games=6)
    assert len(finished) == 6
    for game in finished:
        record = game.record
        assert not record.forfeit
        first_is_white = final_position(game.task.opening).turn
        for ply, remark in enumerate(record.remarks):
            if (ply % 2 == 0) == (first_is_white == (game.task.white == 0)):
                assert remark._replace(seconds=0) == Remark("+0.35", 3)
                assert record.visits[ply] == 42
                assert record.q[ply] == round(expected_result(35), 4)
                assert record.d[ply] == pytest.approx(min(0.8, 1 - record.q[ply]), abs=1e-4)
            else:
                assert (remark.score, remark.depth, remark.clock) == ("", 0, None)
            assert 0 <= remark.seconds < 20


def test_an_engine_that_says_no_score_agrees_to_no_draw() -> None:
    """Its moves are not level for that, and 0.00 is not what it said."""
    rules = AdjudicationRules(draw=DrawRule(movenumber=0, movecount=1, score=12_780), audit=0.0)
    silent = [fake("says_no_score", name=name) for name in ("one", "other")]
    talking = [fake("uci_engine", name=name) for name in ("one", "other")]
    for game in play(*silent, most_plies=30, judge_of=judges(rules)):
        assert game.record.termination is not Termination.DRAW_ADJUDICATION
        assert {remark.score for remark in game.record.remarks} == {"?"}
    for game in play(*talking, most_plies=30, judge_of=judges(rules)):
        assert game.record.termination is Termination.DRAW_ADJUDICATION


def test_games_of_engines_are_the_same_again() -> None:
    def moves(parallel: int) -> list[tuple[str, ...]]:
        other = fake("uci_engine", name="other")
        spec = fake("uci_engine")
        return [game.record.moves for game in play(spec, other, games=4, parallel=parallel)]

    assert moves(1) == moves(4)


def test_what_an_engine_is_told(tmp_path: Path) -> None:
    log = tmp_path / "log"
    spec = fake("uci_engine", f"log={log}", options=(("hash", "32"), ("Wild", "true")))
    (first, second) = play(spec, NET, parallel=1)
    lines = [line.split(maxsplit=1)[1].strip() for line in log.read_text().splitlines()]
    assert lines[:5] == [
        "uci",
        "setoption name Hash value 32",
        "setoption name Wild value true",
        "setoption name UCI_ShowWDL value true",
        "isready",
    ]
    assert lines.count("uci") == 1, "a process is used again"
    assert lines.count("ucinewgame") == 2
    assert lines[-1] == "quit"
    assert all(line == "go nodes 7" for line in lines if line.startswith("go"))
    last = [line for line in lines if line.startswith("position")][-1]
    opening = second.task.opening
    mine = [*opening.moves, *second.record.moves]
    asked = last.split(" moves ")[1].split()
    assert asked == mine[: len(asked)]
    assert len(mine) - len(asked) in (1, 2)
    assert first.record.moves != second.record.moves


def test_one_process_for_each_game_in_flight_and_no_more(tmp_path: Path) -> None:
    log = tmp_path / "log"
    play(fake("uci_engine", f"log={log}"), NET, games=12, parallel=3)
    lines = log.read_text().splitlines()
    assert 1 <= sum(line.endswith(" uci") for line in lines) <= 3
    assert sum(line.endswith(" ucinewgame") for line in lines) == 12


def go_lines(log: Path) -> list[dict[str, int]]:
    """The numbers of each ``go`` that an engine was told."""
    lines = [line.split()[1:] for line in log.read_text().splitlines()]
    found = [words[1:] for words in lines if words[0] == "go"]
    return [dict(zip(go[::2], map(int, go[1::2]), strict=True)) for go in found]


def test_an_engine_is_told_what_the_clocks_show(tmp_path: Path) -> None:
    log = tmp_path / "log"
    limits = Limits(tc=TimeControl(60.0, 0.6, 10), nodes=9)
    spec = fake("uci_engine", f"log={log}", limits=limits)
    other = fake("uci_engine", name="other", limits=Limits(tc=TimeControl(30.0)))
    (game, _) = play(spec, other, parallel=1)
    first_is_white = final_position(game.task.opening).turn
    mine = int(first_is_white != (game.task.white == 0))
    clocks = [60.6] + [remark.clock or 0 for remark in game.record.remarks[mine::2]]
    others = [30.0] + [remark.clock or 0 for remark in game.record.remarks[1 - mine :: 2]]
    me, you = ("w", "b") if game.task.white == 0 else ("b", "w")
    told = go_lines(log)[: len(game.record.remarks[mine::2])]
    assert len(told) > 10
    for move, go in enumerate(told):
        # The clock that is shown is rounded, the one that is told is not.
        assert go[f"{me}time"] == pytest.approx(1000 * clocks[move], abs=1.5)
        assert go[f"{you}time"] == pytest.approx(1000 * others[move + mine], abs=1.5)
        assert (go[f"{me}inc"], go[f"{you}inc"]) == (600, 0)
        assert go["movestogo"] == 10 - move % 10
        assert go["nodes"] == 9


def test_a_time_for_each_move_and_a_depth(tmp_path: Path) -> None:
    log = tmp_path / "log"
    play(fake("uci_engine", f"log={log}", limits=Limits(st=30.0, depth=4)), NET)
    assert {tuple(go.items()) for go in go_lines(log)} == {(("depth", 4), ("movetime", 30000))}


def test_getting_ready_for_a_game_costs_no_time() -> None:
    for game in play(fake("is_soon_ready", limits=Limits(tc=TimeControl(1.5, 1.0))), NET):
        assert game.record.termination is not Termination.TIME_FORFEIT, game.record.forfeit


# --- nets with clocks ---


class SlowEvaluator(HashEvaluator):
    """Takes its time for each batch."""

    seconds = 0.0

    def evaluate(self, leaves: Leaves) -> Evaluation:
        time.sleep(self.seconds)
        return super().evaluate(leaves)


def slow_net(seed: int, seconds: float, limits: Limits) -> Player:
    evaluator = SlowEvaluator(seed)
    evaluator.seconds = seconds
    return Player(f"net {seed}", evaluator, SearchParams(visits=2000), limits)


def test_nets_move_when_their_time_is_up_and_their_clocks_are_kept() -> None:
    one = slow_net(1, 0.002, Limits(st=0.05, timemargin=60_000))
    control = TimeControl(1.0, 0.02)
    other = slow_net(2, 0.002, Limits(tc=control, timemargin=60_000))
    for game in play(one, other):
        record = game.record
        assert record.termination is not Termination.TIME_FORFEIT
        first_is_white = final_position(game.task.opening).turn
        mine = int(first_is_white != (game.task.white == 0))
        # Later everything may be decided, and visits cost nothing.
        assert max(record.visits[:10]) < 2000, "nobody had the time for all of them"
        assert {remark.clock for remark in record.remarks[mine::2]} == {None}
        left = 1.02
        for remark in record.remarks[1 - mine :: 2]:
            left = max(0.0, left - remark.seconds) + 0.02
            assert remark.clock == pytest.approx(left, abs=0.05)


def test_a_net_that_is_too_slow_loses_on_time() -> None:
    slow = slow_net(1, 0.2, Limits(st=0.02))
    for game in play(slow, NET):
        assert game.record.termination is Termination.TIME_FORFEIT
        assert game.record.result == ("0-1" if game.task.white == 0 else "1-0")
        assert re.fullmatch(r"moved after \d+\.\d+ of 0\.020 s", game.record.forfeit)


def test_clocks_change_nothing_where_there_is_time_enough() -> None:
    other = Player("other", HashEvaluator(2), SearchParams(visits=3))
    long = Limits(st=3600.0)
    plain = play(NET, other, games=4)
    timed = play(NET._replace(limits=long), other._replace(limits=long), games=4)
    assert [game.record.moves for game in plain] == [game.record.moves for game in timed]
    assert [game.record.visits for game in plain] == [game.record.visits for game in timed]
    assert not any(game.record.remarks for game in plain)


# --- faults of the engine: it loses, and it is said why ---


def test_a_crash() -> None:
    for what in loses("crashes", Termination.CRASH):
        assert what == "exit code 1: assertion failed: king is on the board"


def test_a_segmentation_fault() -> None:
    assert loses("segfaults", Termination.CRASH) == ["SIGSEGV"] * 2


def test_silence_is_a_stall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_process, "GRACE", 0.3)
    for what in loses("hangs", Termination.STALL, patience=1.0):
        assert re.fullmatch(r"sent nothing for 1\.\d s", what)


def test_silence_on_a_clock_is_a_stall_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_process, "GRACE", 0.3)
    for what in loses("hangs", Termination.STALL, limits=Limits(st=1.0)):
        assert what == "no move within 1.000 s, and did not obey stop"


def test_an_engine_that_is_never_ready() -> None:
    for what in loses("is_never_ready", Termination.STALL, patience=1.0):
        assert what == "not ready after 1 s"


def test_an_engine_that_thinks_on_loses_on_time_and_goes_on_with_the_next_game() -> None:
    for what in loses("thinks", Termination.TIME_FORFEIT, limits=Limits(st=0.5)):
        assert what == "no move within 0.500 s"


def test_an_engine_that_thinks_without_a_clock_is_asked_and_let_think(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine_process, "LONGEST_MOVE", 3.0)
    for what in loses("thinks", Termination.STALL, patience=2.0):
        assert re.fullmatch(r"found no move for 3\.\d s", what)


def test_a_slow_engine_loses_on_time_where_there_is_a_clock() -> None:
    late = r"no move within 0\.\d+ s|moved after 0\.\d+ of 0\.\d+ s"
    for game in play(fake("is_slow", limits=Limits(tc=TimeControl(1.0, 0.01))), NET):
        record = game.record
        assert record.termination is Termination.TIME_FORFEIT
        assert re.fullmatch(late, record.forfeit)
        left = 1.01
        for remark in record.remarks:
            if remark.clock is not None:
                assert remark.seconds >= 0.3
                left += 0.01 - remark.seconds
                assert remark.clock == pytest.approx(left, abs=0.01)
        assert left < 0.5


def test_a_margin_forgives() -> None:
    spec = fake("is_slow", limits=Limits(st=0.2, timemargin=30_000))
    for game in play(spec, NET):
        assert game.record.termination is not Termination.TIME_FORFEIT


@pytest.mark.parametrize(
    ("script", "move"), [("plays_illegally", "e1e8"), ("plays_nothing", "(none)")]
)
def test_an_illegal_move(script: str, move: str) -> None:
    assert loses(script, Termination.ILLEGAL_MOVE) == [f"played {move}"] * 2


@pytest.mark.parametrize("kind", ["line", "lines"])
def test_a_flood(kind: str) -> None:
    assert (
        loses("floods", Termination.BABBLE, kind)
        == ["wrote more than 16 MB for a move, or 1 MB in a line"] * 2
    )


def test_noise_is_no_fault() -> None:
    (game, _) = play(fake("babbles"), NET)
    assert not game.record.forfeit
    engine_white = game.task.white == 0
    first_is_engine = final_position(game.task.opening).turn == engine_white
    assert {remark.score for remark in game.record.remarks[int(not first_is_engine) :: 2]} == {
        "+0.35"
    }


# --- faults of the machine: nobody loses ---


def test_an_engine_that_is_killed_from_outside_has_not_lost(tmp_path: Path) -> None:
    finished = play(fake("is_killed", tmp_path / "killed"), NET)
    faults = [game.outcome for game in finished if isinstance(game.outcome, Fault)]
    assert faults == [Fault("is_killed: was killed from outside (SIGKILL)")]
    assert len(finished) == 2


def test_a_machine_that_stands_still_is_nobodys_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_process.Heartbeat, "stolen", lambda self, since: 3600.0)
    spec = fake("is_slow", limits=Limits(st=0.1))
    for game in play(spec, NET):
        assert isinstance(game.outcome, Fault)
        assert re.fullmatch(
            r"is_slow: 0\.\d+ s late while the machine was held up", game.outcome.what
        )


def test_the_heartbeat_measures_what_was_stolen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    with engine_player(fake("uci_engine"), 1) as pool:
        began = time.monotonic()
        pool._loop.call_soon_threadsafe(time.sleep, 0.5)
        time.sleep(0.8)
        assert pool._heartbeat.stolen(began) >= 0.3
        assert pool._heartbeat.stolen(time.monotonic()) == 0.0


def test_a_program_that_goes_away_is_no_loss(tmp_path: Path) -> None:
    program = tmp_path / "engine"
    program.write_text(f"#!{sys.executable}\n" + (FAKES / "crashes.py").read_text())
    program.chmod(0o755)
    shutil.copy(FAKES / "uci_engine.py", tmp_path)
    with engine_player(EnginePlayer(command=str(program), name="gone", limits=NODES), 1) as pool:
        program.unlink()
        search = BatchedSearch([Visitor("gone", pool), NET], 1, 1)
        opening = default_book().opening(0)
        tasks = [GameTask(0, True, opening, 0, 1), GameTask(0, False, opening, 1, 0)]
        crashed, void = search.play([iter(tasks)])
    assert crashed.record.termination is Termination.CRASH
    assert isinstance(void.outcome, Fault)
    assert void.outcome.what.startswith("gone: cannot be started again: ")


# --- engines with which no match begins ---


def refusal(spec: EnginePlayer) -> str:
    with pytest.raises(EngineError) as caught, engine_player(spec, 1):
        pass
    return str(caught.value)


def test_engines_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = EnginePlayer(command="no-such-engine", limits=NODES)
    assert refusal(missing) == "no-such-engine: cannot be started: no such file or directory"
    monkeypatch.setattr(engines, "STARTING", 1.0)
    monkeypatch.setattr(engine_process, "STARTING", 1.0)
    assert "no answer within 1 s: is it a UCI engine?" in refusal(fake("is_no_engine"))
    monkeypatch.undo()
    assert "exit code: 0" in refusal(EnginePlayer(command="true", limits=NODES))
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x7fELF nonsense")
    broken.chmod(0o755)
    assert "cannot be started: exec format error" in refusal(
        EnginePlayer(command=str(broken), limits=NODES)
    )


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("Hush", "16", "Hush"),
        ("Hash", "a lot", "Hash"),
        ("Hash", "65", "Hash"),
        ("Wild", "perhaps", "Wild"),
        ("MultiPV", "2", "MultiPV"),
    ],
)
def test_options_that_cannot_be_set(name: str, value: str, said: str) -> None:
    assert said in refusal(fake("uci_engine", options=((name, value),)))


def test_a_clock_that_nobody_keeps_is_a_mistake_of_the_caller() -> None:
    with engine_player(fake("uci_engine", limits=Limits(tc=TimeControl(1.0))), 1) as pool:
        task = GameTask(0, True, default_book().opening(0), 0, 1)
        with pytest.raises(RuntimeError, match="nobody keeps"):
            list(BatchedSearch([Visitor("a", pool), NET], 1, 1).play([iter([task])]))


def test_a_match_that_is_left_leaves_no_process_and_waits_for_none() -> None:
    answers: list[Answer] = []
    opening = default_book().opening(0)
    board = final_position(opening)
    for _ in range(6):
        board.push(next(iter(board.legal_moves)))
    played = tuple(move.uci() for move in board.move_stack[-6:])
    began = time.monotonic()
    with engine_player(fake("hangs"), 3) as pool:
        for game in range(3):
            task = GameTask(game, True, opening, 0, 1)
            pool.find_move(GameState(game, task, played if game else ()), answers.append)
        while not (len(answers) == 1 and len(pool._busy) == 3):
            time.sleep(0.05)
        pids = [seat.process._wire.transport.get_pid() for seat in pool._busy.values()]  # type: ignore[union-attr]
    assert len(set(pids)) == 3
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert len(answers) == 1
    assert time.monotonic() - began < engine_process.GRACE, "nobody waited for them to obey"


# --- from the command line ---


def flag(script: str, *args: object, name: str) -> list[str]:
    words = " ".join([str(FAKES / f"{script}.py"), *map(str, args)])
    return ["--engine", f"cmd={sys.executable}", f"args={words}", f"name={name}", "nodes=7"]


def run(*players: list[str], out: Path, pairs: int = 2) -> int:
    words = [word for player in players for word in player]
    match = ["--pairs", str(pairs), "--no-sprt", "--parallel", "2", "--quiet", "--out", str(out)]
    return main(["run", *words, *match])


def test_a_match_of_engines_from_the_command_line(tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert run(flag("uci_engine", name="a"), flag("babbles", name="b"), out=out) == 0
    games = list(read_games(out))
    assert len(games) == 4
    for game in games:
        assert not game.errors
        assert {game.headers["White"], game.headers["Black"]} == {"a", "b"}
        played = [node.comment for node in game.mainline() if node.comment != "book"]
        assert played
        assert all(re.match(r"\+0\.35/3 \d+\.\d{3}s, n=7$", comment) for comment in played)


def test_forfeits_are_told_and_leave_no_verdict(tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert run(flag("uci_engine", name="a"), flag("crashes", name="b"), out=out) == 0
    summary = json.loads((out / "summary.json").read_text())
    assert summary["faults"]["forfeits"] == {"baseline": {}, "candidate": {"engine crashed": 4}}
    assert summary["doubts"] == ["b lost 4 of 4 games by faults (more than 1%): 4 engine crashed"]
    report = (out / "report.md").read_text()
    assert "no verdict, since b lost 4 of 4 games by faults" in report
    assert "| b | lost by a fault: engine crashed | 4 |" in report
    for game in read_games(out):
        assert game.headers["Termination"] == "engine crashed"
        assert "engine crashed: exit code 1: assertion failed" in game.end().comment


def test_a_void_pair_is_played_again_from_the_command_line(tmp_path: Path) -> None:
    killed, out, quiet = tmp_path / "killed", tmp_path / "run", tmp_path / "quiet"
    other = flag("uci_engine", name="a")
    assert run(other, flag("is_killed", killed, name="b"), out=out) == 0
    (void,) = read_void(out)
    assert void.what == "b: was killed from outside (SIGKILL)"
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["pairs"], summary["faults"]["void"], summary["doubts"]) == (2, 1, [])
    assert run(other, flag("uci_engine", "again", name="b"), out=quiet) == 0
    first, second = (
        sorted([move.uci() for move in game.mainline_moves()] for game in read_games(folder))
        for folder in (out, quiet)
    )
    assert first == second


def read_games(folder: Path) -> Iterator[chess.pgn.Game]:
    with (folder / "games.pgn").open() as file:
        while (game := chess.pgn.read_game(file)) is not None:
            yield game


# --- a real one ---


@pytest.fixture(scope="session")
def stockfish() -> str:
    found = shutil.which("stockfish", path=f"{'/usr/games'}:{'/usr/bin'}:/usr/local/bin")
    if found is None:
        pytest.skip("needs stockfish: apt-get install stockfish")
    return found


def test_stockfish_plays_a_net(stockfish: str) -> None:
    limits = Limits(nodes=1000)
    spec = EnginePlayer(command=stockfish, name="sf", options=(("Hash", "16"),), limits=limits)
    for game in play(spec, NET, games=4, most_plies=0):
        record = game.record
        assert record.termination is Termination.CHECKMATE
        assert record.result == ("1-0" if game.task.white == 0 else "0-1")
        first_is_white = final_position(game.task.opening).turn
        first_is_engine = first_is_white == (game.task.white == 0)
        mine = slice(int(not first_is_engine), None, 2)
        remarks, visits = record.remarks[mine], record.visits[mine]
        assert all(re.fullmatch(r"[+-](\d+\.\d\d|M\d+)", remark.score) for remark in remarks)
        assert all(remark.depth >= 1 for remark in remarks)
        assert all(1 <= nodes <= 2000 for nodes in visits)
        assert record.q[mine][-1] == 1.0, "it sees the mate that it gives"
        assert remarks[-1].score == "+M1"


@pytest.mark.slow
@pytest.mark.parametrize("clocks", [False, True])
def test_stockfish_plays_maia(stockfish: str, shared: Path, tmp_path: Path, clocks: bool) -> None:
    """As anybody would ask for it, unattended, with all there is to know in the PGN."""
    out = tmp_path / "run"
    net = ["--net", f"path={shared / 'nets' / 'maia-1900.pb.gz'}", "visits=100"]
    engine = ["--engine", f"cmd={stockfish}", "name=sf", "option.Hash=16", "nodes=1000"]
    clock = ["tc=20+0.2", "timemargin=60000"] if clocks else []
    assert run([*net, *clock], [*engine, *clock], out=out, pairs=4) == 0
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["games"], summary["doubts"], summary["faults"]["void"]) == (8, [], 0)
    for game in read_games(out):
        assert not game.errors
        assert game.headers["Termination"] in summary["terminations"]
        assert ("TimeControl" in game.headers) is clocks
        for node in game.mainline():
            if node.comment == "book":
                continue
            mover = game.headers["Black" if node.turn() else "White"]
            engine_s = r"([+-]\d+\.\d\d|[+-]M\d+)/\d+ \d+\.\d{3}s, n=\d+"
            pattern = engine_s if mover == "sf" else r"[+-]\d+\.\d\d/\d+ \d+\.\d{3}s"
            clock_s = r" \[%clk 0:00:\d\d\.\d{3}\]" if clocks else ""
            assert re.fullmatch(pattern + clock_s, " ".join(node.comment.split())), node.comment
            assert (node.clock() is not None) is clocks
