"""Who plays: nets under settings of their own and engines, in match.toml, reports, tournaments."""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import chess
import chess.pgn
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_match import identity, scripted_choice, scripted_net, write_book
from test_player_words import limits as any_limits
from test_player_words import own_settings, timed

from arena import engine_identity
from arena.cli import main
from arena.config import SearchParams
from arena.engine_identity import EngineError, find_engine
from arena.entrants import FoundNet, names_of, no_difference
from arena.external import Answer, FoundMove, GameState
from arena.ledger import read_pairs
from arena.match import MatchError
from arena.match_file import (
    MATCH_FILE,
    EngineIdentity,
    MatchIdentity,
    NetIdentity,
    differences,
    from_table,
    read_identity,
    to_table,
    write_identity,
)
from arena.openings import final_position
from arena.players import EnginePlayer, Limits, NetPlayer, Reading, TimeControl
from arena.report.players import efforts
from arena.stand_ins import HashEvaluator

STUB = Path(__file__).with_name("uci_stub.py")

# What arena wrote before players had settings of their own.
OLD_MATCH = """\
# What decides this match; written once by arena, and not to be changed.
format = 2
evaluator = "net"
dtype = "float32"
pairs = 16
seed = 7

[nets.baseline]
name = "raw"
sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

[nets.candidate]
name = "swa"
sha256 = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

[openings]
file = "book.pgn"
sha256 = "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
entries = 16
order = "random"

[search]
visits = 100
cpuct = 1.745
cpuct-base = 38739.0
cpuct-factor = 3.894
fpu-value = 0.33
policy-temperature = 1.359
two-fold-draws = true
sticky-endgames = true
moves-left-slope = 0.0027
moves-left-max-effect = 0.0345
moves-left-threshold = 0.8
moves-left-constant-factor = 0.0
moves-left-scaled-factor = 1.6521
moves-left-quadratic-factor = -0.6521
"""

NET = NetIdentity("baseline", "raw", "a" * 64)
ENGINE = EngineIdentity(
    role="candidate",
    name="sf",
    sha256="e" * 64,
    file="stockfish",
    id="Stockfish 15.1",
    args=("-a", "b c"),
    files=(f"net.nnue {'f' * 64}",),
    options=("Skill Level=5", "Hash=16"),
    limits=Limits(nodes=5000),
)


def match(baseline: object, candidate: object) -> MatchIdentity:
    return replace(identity(sprt=None), nets=(baseline, candidate))  # type: ignore[arg-type]


# --- match.toml ---


def test_an_old_match_toml_is_read_and_written_as_it_was(tmp_path: Path) -> None:
    (tmp_path / MATCH_FILE).write_text(OLD_MATCH)
    old = read_identity(tmp_path)
    assert old == identity(sprt=None)
    assert old.plain
    write_identity(tmp_path, old)
    assert (tmp_path / MATCH_FILE).read_text() == OLD_MATCH


def test_match_toml_says_what_a_player_has_of_its_own(tmp_path: Path) -> None:
    net = replace(NET, own=(("visits", 200), ("cpuct", 2.0)), limits=Limits(tc=TimeControl(9.5)))
    write_identity(tmp_path, match(net, ENGINE))
    table = tomllib.loads((tmp_path / MATCH_FILE).read_text())
    assert table["nets"] == {
        "baseline": {
            "name": "raw",
            "sha256": "a" * 64,
            "tc": "9.5",
            "search": {"visits": 200, "cpuct": 2.0},
        }
    }
    assert table["engines"] == {
        "candidate": {
            "name": "sf",
            "sha256": "e" * 64,
            "file": "stockfish",
            "id": "Stockfish 15.1",
            "args": ["-a", "b c"],
            "files": [f"net.nnue {'f' * 64}"],
            "options": ["Skill Level=5", "Hash=16"],
            "nodes": 5000,
        }
    }
    assert table["search"]["visits"] == 100
    assert read_identity(tmp_path) == match(net, ENGINE)


def test_match_toml_says_how_a_net_is_read_where_it_is_not_as_always(tmp_path: Path) -> None:
    net = replace(NET, reading=Reading(policy_head="optimistic", lc0_transpose=True))
    write_identity(tmp_path, match(net, ENGINE))
    table = tomllib.loads((tmp_path / MATCH_FILE).read_text())
    assert table["nets"]["baseline"] == {
        "name": "raw",
        "sha256": "a" * 64,
        "policy-head": "optimistic",
        "lc0-transpose": True,
    }
    assert read_identity(tmp_path) == match(net, ENGINE)
    assert net.key != NET.key
    assert net.settings == {"policy-head": "optimistic", "lc0-transpose": "true"}
    assert differences(match(NET, ENGINE), match(net, ENGINE)) == [
        "nets.baseline.policy-head: none -> optimistic",
        "nets.baseline.lc0-transpose: none -> True",
    ]


texts = st.text(st.characters(codec="utf-8"))
lists = st.lists(texts, max_size=3).map(tuple)
nets = st.builds(
    lambda name, own, limits, reading: NetIdentity(
        "baseline",
        name,
        "a" * 64,
        tuple((f.name, own[f.name]) for f in fields(SearchParams) if f.name in own),
        limits,
        reading,
    ),
    texts,
    own_settings,
    st.just(Limits()) | timed,
    st.builds(Reading, texts, texts, st.booleans()),
)
engines = st.builds(
    EngineIdentity,
    *(st.just("baseline"), texts, texts, texts, texts, lists, lists, lists),
    limits=any_limits,
)


@settings(max_examples=30)  # each is brought to the disk
@given(one=nets | engines, other=nets | engines)
def test_players_are_read_back_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory,
    one: NetIdentity | EngineIdentity,
    other: NetIdentity | EngineIdentity,
) -> None:
    folder = tmp_path_factory.getbasetemp() / "players"
    folder.mkdir(exist_ok=True)
    written = match(one, replace(other, role="candidate"))
    write_identity(folder, written)
    assert read_identity(folder) == written
    assert from_table(to_table(written)) == written


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({"limits": Limits(nodes=9)}, "engines.candidate.nodes: 5000 -> 9"),
        ({"limits": Limits(depth=9)}, "engines.candidate.nodes: 5000 -> none"),
        ({"id": "Stockfish 16"}, "engines.candidate.id: Stockfish 15.1 -> Stockfish 16"),
        ({"options": ()}, "engines.candidate.options: ['Skill Level=5', 'Hash=16'] -> none"),
        ({"args": ("-b",)}, "engines.candidate.args: ['-a', 'b c'] -> ['-b']"),
        ({"sha256": "d" * 64}, "engines.candidate.sha256: eeeeeeeeeeee... -> dddddddddddd..."),
    ],
)
def test_another_engine_is_another_match(change: dict[str, object], shown: str) -> None:
    old, new = match(NET, ENGINE), match(NET, replace(ENGINE, **change))  # type: ignore[arg-type]
    assert shown in differences(old, new)


def test_a_player_that_was_renamed_is_still_the_same() -> None:
    renamed = replace(ENGINE, name="x", file="y")
    assert differences(match(NET, ENGINE), match(replace(NET, name="z"), renamed)) == []
    other = replace(NET, own=(("visits", 7),))
    assert differences(match(NET, ENGINE), match(other, ENGINE)) == [
        "nets.baseline.search.visits: none -> 7"
    ]


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("engines", {"nodes": "many"}, "'nodes' in engines.candidate cannot be 'many'"),
        ("engines", {"visits": 3}, "engines.candidate has an unknown 'visits'"),
        ("engines", {"options": [3]}, "'options' in engines.candidate must be texts"),
        ("engines", {"tc": "x"}, "tc 'x' is no time control"),
        ("engines", {"nodes": 0}, "nodes=0: must be from 1"),
        ("nets", {"search": {"vists": 3}}, "nets.baseline.search has an unknown 'vists'"),
        ("nets", {"search": {"visits": 1.5}}, "'visits' in nets.baseline.search cannot be 1.5"),
        ("nets", {"search": {"visits": 0}}, "at least 1 visit"),
        ("nets", {"nodes": 5}, "nets.baseline has an unknown 'nodes'"),
        ("nets", {"policy-head": 5}, "'policy-head' in nets.baseline cannot be 5"),
        ("nets", {"lc0-transpose": "yes"}, "'lc0-transpose' in nets.baseline cannot be 'yes'"),
    ],
)
def test_players_that_were_changed_are_refused(
    kind: str, change: dict[str, object], message: str
) -> None:
    table = to_table(match(NET, ENGINE))
    (player,) = table[kind].values()
    player.update(change)
    with pytest.raises(ValueError, match=re.escape(message)):
        from_table(table)


def test_a_match_has_each_role_once() -> None:
    table = to_table(match(NET, ENGINE))
    with pytest.raises(ValueError, match="nets lacks 'candidate'"):
        from_table({key: value for key, value in table.items() if key != "engines"})
    with pytest.raises(ValueError, match="nets has an unknown 'candidate'"):
        from_table(table | {"nets": table["nets"] | {"candidate": table["nets"]["baseline"]}})


def test_efforts_are_the_candidate_s_first() -> None:
    def of(baseline: object, candidate: object) -> str:
        return efforts(match(baseline, candidate))

    swa = replace(NET, role="candidate", sha256="b" * 64)
    assert of(NET, swa) == "100 visits"
    assert of(NET, replace(swa, own=(("visits", 1),))) == "1 visit vs 100 visits"
    assert of(NET, ENGINE) == "5,000 nodes vs 100 visits"
    values = replace(swa, own=(("mode", "value"),))
    assert of(NET, values) == "values only vs 100 visits"
    timed = replace(ENGINE, limits=Limits(depth=9, tc=TimeControl(60, 0.6, 40)))
    assert of(replace(NET, limits=Limits(st=0.5)), timed) == (
        "depth 9 or tc 40/60+0.6 vs 100 visits or 0.5 s"
    )


# --- names ---


def found(path: str, sha: str = "", **settings: object) -> FoundNet:
    net = SimpleNamespace(name=Path(path).name, sha256=(sha or path)[0] * 64, path=Path(path))
    return FoundNet(NetPlayer(path=Path(path), **settings), net)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("players", "names"),
    [
        ([found("a"), found("b")], ["a", "b"]),
        ([found("x/n", "1"), found("y/n", "2")], ["x/n", "y/n"]),
        ([found("x/n", "1"), found("x/n", "2")], ["n@11111111", "n@22222222"]),
        ([found("n"), found("n", own=(("visits", 7),))], ["n", "n (visits 7)"]),
        (
            [found("n", own=(("visits", 7), ("cpuct", 2.0))), found("n", own=(("visits", 7),))],
            ["n (cpuct 2.0)", "n"],
        ),
        ([found("n"), found("n", own=(("visits", 7),), name="seven")], ["n", "seven"]),
        (
            [found("n"), found("n", reading=Reading("soft", "q"))],
            ["n", "n (policy-head soft, value-head q)"],
        ),
        ([found("n"), found("m", name="n")], ["/n", "n"]),
    ],
)
def test_names_tell_players_apart(players: list[FoundNet], names: list[str]) -> None:
    if names[0] == "/n":
        names = ["nnnnnnnn/n", "n"]
    assert names_of(players) == names


def test_a_name_that_was_given_twice_is_refused() -> None:
    with pytest.raises(MatchError, match=r"two players are called x: give them other names"):
        names_of([found("a", name="x"), found("b", name="x")])


def test_a_player_s_setting_may_be_the_match_s_already() -> None:
    one = FoundNet(NetPlayer(path=Path("a.pb")), scripted_net(Path("a.pb")))  # type: ignore[arg-type]
    other = replace(one, player=NetPlayer(path=Path("a.pb"), own=(("visits", 100),)))
    assert no_difference(one, other, SearchParams())
    assert not no_difference(one, other, SearchParams(visits=99))
    clock = replace(one, player=NetPlayer(path=Path("a.pb"), limits=Limits(st=1.0)))
    assert not no_difference(one, clock, SearchParams())
    head = replace(one, player=NetPlayer(path=Path("a.pb"), reading=Reading(value_head="q")))
    assert not no_difference(one, head, SearchParams())


# --- engines before a match ---


@pytest.fixture
def stub(tmp_path: Path) -> str:
    """The engine as a program in a folder of its own."""
    program = tmp_path / "engines" / "stub"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\n{STUB.read_text()}")
    program.chmod(0o755)
    return str(program)


def engine(command: str, *args: str, **settings: object) -> EnginePlayer:
    player = EnginePlayer(command=command, args=args, limits=Limits(nodes=5))
    return replace(player, **settings)  # type: ignore[arg-type]


def test_an_engine_is_known_by_its_program_and_what_it_says(stub: str, tmp_path: Path) -> None:
    (tmp_path / "net.bin").write_bytes(b"net")
    player = engine(stub, "--weights=net.bin", directory=tmp_path, options=(("hash", "32"),))
    known = find_engine(player)
    of_net = hashlib.sha256(b"net").hexdigest()
    assert known.identity("baseline", "it") == EngineIdentity(
        role="baseline",
        name="it",
        sha256=hashlib.sha256(Path(stub).read_bytes()).hexdigest(),
        file="stub",
        id="Stub 1.0",
        args=("--weights=net.bin",),
        files=(f"net.bin {of_net}",),
        options=("hash=32",),
        limits=Limits(nodes=5),
    )
    assert known.player == player
    in_its_folder = engine("./stub", directory=Path(stub).parent)
    assert find_engine(in_its_folder).player.command == stub


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"Hsh": "3"}, "has no option 'Hsh'\nDid you mean 'Hash'?"),
        ({"qqq": "3"}, "has no option 'qqq'\nIt has Hash, Skill Level"),
        ({"Hash": "many"}, "expected integer for spin option 'Hash'"),
        ({"Hash": "0"}, "to be at least 1"),
        ({"Style": "odd"}, "available: solid, wild"),
        ({"Analyse": "maybe"}, "option 'Analyse' is true or false, not 'maybe'"),
        ({"Ponder": "true"}, "option 'Ponder' is set by arena itself"),
    ],
)
def test_options_that_an_engine_has_not_are_refused(
    stub: str, options: dict[str, str], message: str
) -> None:
    with pytest.raises(EngineError) as refusal:
        find_engine(engine(stub, options=tuple(options.items())))
    assert message in str(refusal.value)
    assert len(str(refusal.value).splitlines()) <= 3


def test_what_is_no_engine_is_refused(
    stub: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_identity, "START_SECONDS", 0.3)
    (tmp_path / "plain").write_text("no program")
    (tmp_path / "odd").write_text("#!/no/such/interpreter\n")
    (tmp_path / "odd").chmod(0o755)
    for player, message in [
        (engine("no-such-program"), "no-such-program: no such program"),
        (engine(str(tmp_path / "plain")), "is no program that may be run"),
        (engine(str(tmp_path)), "is no program that may be run"),
        (engine(str(tmp_path / "odd")), "cannot be used as a UCI engine: no such file"),
        (engine("true"), "cannot be used as a UCI engine: engine process died"),
        (engine(stub, "mute"), "said nothing that UCI knows within 0.3 s"),
        (engine(stub, directory=tmp_path / "none"), "there is no such folder"),
    ]:
        with pytest.raises(EngineError) as refusal:
            find_engine(player)
        assert message.lower() in str(refusal.value).lower()
        assert len(str(refusal.value).splitlines()) <= 3


# --- matches ---


class Shuffler:
    """Stands for ``arena.engines``: takes its last move back where it can, so games are short."""

    def __init__(self) -> None:
        self._boards: dict[tuple[int, bool], chess.Board] = {}

    def find_move(self, state: GameState, answer: Callable[[Answer], None]) -> None:
        key = (state.task.pair, state.task.candidate_white)
        start = final_position(state.task.opening)
        board = self._boards.setdefault(key, start.copy())
        for move in state.moves[len(board.move_stack) - len(start.move_stack) :]:
            board.push_uci(move)
        moves = sorted(board.legal_moves, key=chess.Move.uci)
        chosen = random.Random(" ".join(state.moves)).choice(moves)
        if len(state.moves) >= 2:
            last = chess.Move.from_uci(state.moves[-2])
            back = chess.Move(last.to_square, last.from_square)
            chosen = back if back in moves else chosen
        answer(FoundMove(chosen.uci(), 0.1, 0.2, 5))

    def game_over(self, game: int) -> None:
        pass


STARTED: list[tuple[EnginePlayer, int]] = []


@contextlib.contextmanager
def engine_player(spec: EnginePlayer, concurrency: int) -> Iterator[Shuffler]:
    STARTED.append((spec, concurrency))
    yield Shuffler()


@pytest.fixture
def arena(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """``arena run`` with real searches of pseudo-random nets: the words to extend."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("arena.run.load_net", scripted_net)
    monkeypatch.setattr("arena.run.choose_evaluator", scripted_choice)
    monkeypatch.setattr(
        "arena.run.make_evaluator", lambda net, choice, dtype: HashEvaluator(len(net.name))
    )
    engines = ModuleType("arena.engines")
    engines.engine_player = engine_player  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "arena.engines", engines)
    STARTED.clear()
    write_book(tmp_path / "book.pgn")
    words = ["run", "--openings", "book.pgn", "--pairs", "2", "--no-sprt", "--parallel", "4"]
    return [*words, "-q", "--visits", "3", "--out", "out"]


def test_a_net_plays_itself_under_other_settings(arena: list[str]) -> None:
    assert main([*arena, "--net", "path=a.pb", "--net", "path=a.pb visits=9 cpuct=3"]) == 0
    known = read_identity(Path("out"))
    assert known.nets[0].settings == {}
    assert known.nets[1].settings == {"visits": "9", "cpuct": "3.0"}
    assert [net.name for net in known.nets] == ["a", "a (visits 9, cpuct 3.0)"]
    for pair in read_pairs(Path("out")):
        for game in pair.games:
            white_first = final_position(pair.opening).turn
            for ply, visits in enumerate(game.visits):
                of_candidate = ((ply % 2 == 0) == white_first) == game.candidate_white
                assert visits >= 9 if of_candidate else 3 <= visits < 9 + 3
    summary = json.loads(Path("out/summary.json").read_text())
    assert [net["effort"] for net in summary["nets"]] == ["3 visits", "9 visits"]
    report = Path("out/report.md").read_text()
    assert "| a (visits 9, cpuct 3.0) | 9 visits; lc0's defaults but for cpuct 3.0 |" in report
    with open("out/games.pgn") as pgn:
        headers = chess.pgn.read_headers(pgn)
    assert headers is not None
    assert (headers["WhiteVisits"], headers["BlackVisits"]) == ("9", "3")
    assert headers["WhiteSettings"] == "visits=9 cpuct=3.0"
    assert "Visits" not in headers
    assert "BlackSettings" not in headers


def test_two_nets_without_settings_are_the_match_that_they_always_were(arena: list[str]) -> None:
    assert main([*arena, "--nets", "a.pb", "bb.pb"]) == 0
    before = {path.name: path.read_bytes() for path in Path("out").iterdir() if path.is_file()}
    assert main([*arena, "--net", "path=a.pb visits=3", "--net", "path=bb.pb"]) == 0
    for name in ("match.toml", "games.jsonl", "games.pgn"):
        assert Path("out", name).read_bytes() == before[name]
    tables = tomllib.loads(before["match.toml"].decode())
    assert tables["nets"]["baseline"].keys() == {"name", "sha256"}


@pytest.mark.parametrize(
    "players",
    [
        ["--net", "path=a.pb", "--nets", "a.pb"],
        ["--net", "path=a.pb visits=3", "--net", "path=a.pb"],
        ["--net", "path=a.pb name=x", "--net", "path=a.pb name=y"],
    ],
)
def test_a_net_does_not_play_itself_under_the_same_settings(
    arena: list[str], players: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arena, *players]) == 2
    assert "hold the same net" in capsys.readouterr().err
    assert not Path("out").exists()


def test_a_net_plays_an_engine(
    arena: list[str], stub: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*arena, "--nets", "a.pb", "--engine", f"cmd={stub} name=it nodes=5000 option.Hash=32"]
    assert main(words) == 0
    ((spec, concurrency),) = STARTED
    assert (spec.command, spec.options, concurrency) == (stub, (("Hash", "32"),), 4)
    known = read_identity(Path("out")).nets[1]
    assert isinstance(known, EngineIdentity)
    assert (known.name, known.id, known.limits) == ("it", "Stub 1.0", Limits(nodes=5000))
    net, it = json.loads(Path("out/summary.json").read_text())["nets"]
    assert (net["effort"], it["effort"]) == ("3 visits", "5,000 nodes")
    assert (it["file"], it["engine"], it["architecture"]) == ("stub", "Stub 1.0", None)
    assert it["settings"] == {"nodes": "5000", "option.Hash": "32"}
    report = Path("out/report.md").read_text()
    assert "## Players" in report
    assert "(5,000 nodes vs 3 visits, float32, book.pgn)" in report
    assert "| it | 5,000 nodes; option.Hash 32 |" in report
    assert "| name | a | it |" in report
    assert "| engine | - | Stub 1.0 |" in report
    with open("out/games.pgn") as pgn:
        headers = chess.pgn.read_headers(pgn)
    assert headers is not None
    assert (headers["WhiteEngine"], headers["BlackVisits"]) == ("Stub 1.0", "3")
    assert headers["WhiteSettings"] == "nodes=5000 option.Hash=32"
    assert main(words) == 0  # nothing is left to play
    capsys.readouterr()
    assert main([word.replace("5000", "6000") for word in words]) == 2
    assert "engines.candidate.nodes: 5000 -> 6000" in capsys.readouterr().err


def test_two_engines_need_no_net(arena: list[str], stub: str) -> None:
    players = ["--engine", f"cmd={stub} tc=10+0.1", "--engine", f"cmd={stub} st=0.5"]
    assert main([*arena, *players]) == 0
    names = [player.name for player in read_identity(Path("out")).nets]
    assert names == ["stub (tc 10+0.1)", "stub (st 0.5)"]
    assert "clocks: their moves depend on how fast the machine" in Path("out/report.md").read_text()
    with open("out/games.pgn") as pgn:
        headers = chess.pgn.read_headers(pgn)
    assert headers is not None
    assert (headers["WhiteTimeControl"], headers["BlackTimeControl"]) == ("1/0.5", "10+0.1")
    assert "TimeControl" not in headers


def test_the_same_clock_is_one_header(arena: list[str], stub: str) -> None:
    players = ["--engine", f"cmd={stub} tc=10", "--engine", f"cmd={stub} tc=10 option.Hash=3"]
    assert main([*arena, *players]) == 0
    with open("out/games.pgn") as pgn:
        headers = chess.pgn.read_headers(pgn)
    assert headers is not None
    assert headers["TimeControl"] == "10"
    assert "WhiteTimeControl" not in headers


@pytest.mark.parametrize("rule", [["--draw", "drawn=0.9"], ["--resign", "lost=0.75"]])
def test_rules_on_probabilities_want_an_engine_that_tells_them(
    arena: list[str], stub: str, capsys: pytest.CaptureFixture[str], rule: list[str]
) -> None:
    words = [*arena, "--nets", "a.pb", "--engine", f"cmd={stub} name=it nodes=5"]
    assert main([*words, *rule]) == 2
    assert (
        f"error: {' '.join(rule).partition('=')[0]}=: it does not tell" in capsys.readouterr().err
    )
    assert not Path("out").exists()
    told = 'OPTIONS = (\n    "name UCI_ShowWDL type check default false",\n'
    Path(stub).write_text(Path(stub).read_text().replace("OPTIONS = (\n", told))
    assert main([*words[:-1], f"{words[-1]} option.UCI_ShowWDL=false", *rule]) == 2
    assert main([*words, *rule]) == 0


def test_an_engine_that_is_not_there_leaves_no_folder(
    arena: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arena, "--nets", "a.pb", "--engine", "cmd=no-such-engine nodes=5"]) == 2
    assert "error: no-such-engine: no such program" in capsys.readouterr().err
    assert not Path("out").exists()


def test_a_tournament_of_all_kinds(
    arena: list[str], stub: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*arena, "--pairs", "1", "--nets", "a.pb", "--net", "path=a.pb visits=9"]
    words += ["--engine", f"cmd={stub} nodes=5"]
    assert main([word for word in words if word != "-q"]) == 0
    shown = capsys.readouterr()
    assert "Tournament: 3 players, 3 encounters" in shown.err
    folders = sorted(path.name for path in Path("out").iterdir() if path.is_dir())
    assert folders == ["a-visits-9-vs-a", "stub-vs-a", "stub-vs-a-visits-9"]
    ratings = json.loads(Path("out/ratings.json").read_text())
    assert {net["net"] for net in ratings["nets"]} == {"a", "a (visits 9)", "stub"}
    assert ratings["differences"] == []
    assert "a (visits 9) plays with visits=9." in ratings["notes"]
    assert "stub plays with nodes=5." in ratings["notes"]


def test_players_of_a_tournament_are_all_different(
    arena: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arena, "--nets", "a.pb", "bb.pb", "--net", "path=a.pb visits=3"]) == 2
    assert "hold the same net" in capsys.readouterr().err
    assert not Path("out").exists()
