"""Players as people write them: on a command line, in a file, and what is said of wrong ones."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import fields, replace
from pathlib import Path
from typing import get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arena.commands.nets import load_match
from arena.config import ConfigError, MatchConfig, SearchParams
from arena.options import add_flags, load_config
from arena.player_words import lone_net, parse_engine, parse_net, shown, time_control, words_of
from arena.players import EnginePlayer, Limits, NetPlayer, Reading, TimeControl
from swa.cores import usable_cores

NODES = Limits(nodes=5)


def load(*flags: str, file: str = "", folder: Path | None = None) -> MatchConfig:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_flags(parser)
    if folder:
        (folder / "match.toml").write_text(file)
        flags = (*flags, "--config", str(folder / "match.toml"))
    return load_config(MatchConfig, parser.parse_args(list(flags)), Path("no such file"))


# --- one player ---


def test_a_net_has_settings_of_its_own() -> None:
    net = parse_net(["path=swa.pb visits=200 name=x two-fold-draws=false cpuct=2 tc=1:00+0.5"])
    assert net == NetPlayer(
        path=Path("swa.pb"),
        name="x",
        own=(("visits", 200), ("cpuct", 2.0), ("two_fold_draws", False)),
        limits=Limits(tc=TimeControl(60.0, 0.5)),
    )
    assert not net.plain
    assert parse_net(["path=swa.pb"]).plain


def test_a_net_s_heads_and_its_transpose_are_how_it_is_read() -> None:
    net = parse_net(["path=a policy-head=optimistic value-head=q lc0-transpose=true visits=3"])
    assert net == NetPlayer(
        path=Path("a"), reading=Reading("optimistic", "q", True), own=(("visits", 3),)
    )
    assert not net.plain
    assert net.reading.asked == {
        "policy_head": "optimistic",
        "value_head": "q",
        "lc0_transpose": True,
    }
    assert parse_net(["path=a policy-head=vanilla value-head=winner lc0-transpose=false"]).plain


def test_a_net_alone_is_a_path_or_one_with_heads() -> None:
    assert lone_net("a net=1.pb") == NetPlayer(path=Path("a net=1.pb"))
    assert lone_net("latest:runs") == NetPlayer(path=Path("latest:runs"))
    assert lone_net("path='a b' value-head=st") == NetPlayer(
        path=Path("a b"), reading=Reading(value_head="st")
    )
    assert lone_net("path=a policy-head=soft", Path("/f")).path == Path("/f/a")
    assert lone_net("a", Path("/f")).path == Path("/f/a")


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("path=", "--net: a net needs its file: path=NET"),
        ("path=a visits=3", "--net: visits: with one net this is a flag: --visits"),
        ("path=a name=b", "--net: unknown setting 'name' of a net"),
        ("path=a tc=10", "--net: unknown setting 'tc' of a net"),
        ("path=a policy_head=q", "did you mean 'policy-head'?"),
        ("path=a policy-head=", "--net a: policy-head: '' is no name of a head"),
        ("path=a policy-head='x y'", "policy-head: 'x y' is no name of a head"),
        ("path=a lc0-transpose=1", "lc0-transpose: must be true or false, not '1'"),
    ],
)
def test_wrong_nets_alone_are_refused(word: str, message: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        lone_net(word)
    assert message in str(refusal.value)
    assert len(str(refusal.value).splitlines()) <= 3


def test_an_engine_has_options_arguments_and_limits() -> None:
    engine = parse_engine(
        ["cmd=stockfish name=sf nodes=5000 'option.Skill Level=5' option.Hash=16 args='-a \"b c\"'"]
    )
    assert engine == EnginePlayer(
        command="stockfish",
        args=("-a", "b c"),
        name="sf",
        options=(("Skill Level", "5"), ("Hash", "16")),
        limits=Limits(nodes=5000),
    )
    assert engine.argv == ("stockfish", "-a", "b c")


def test_several_words_are_as_the_shell_split_them() -> None:
    words = ["cmd=my engine", "st=0.5", "depth=3", "option.EvalFile=a b", "timemargin=50"]
    assert parse_engine(words) == parse_engine([shlex.join(words)])
    assert parse_engine(words).command == "my engine"


def test_every_setting_of_the_search_can_be_a_net_s_own() -> None:
    types = get_type_hints(SearchParams)
    for setting in fields(SearchParams):
        default = setting.default
        if types[setting.name] not in (bool, int, float):
            continue
        value = not default if isinstance(default, bool) else type(default)(1)
        key = setting.name.replace("_", "-")
        words = [f"{key}={shown(value)}"]
        if key.endswith("at-root"):  # refused where they would do nothing
            words += ["root-has-own-cpuct-params=true", "fpu-strategy-at-root=absolute"]
        found = parse_net([f"path=a {' '.join(words)}"]).own
        own = next(one for one in found if one[0] == setting.name)
        assert own == (setting.name, value)
        assert type(own[1]) is type(default)


@pytest.mark.parametrize(
    ("text", "clock"),
    [
        ("10", TimeControl(10.0)),
        ("10+0.1", TimeControl(10.0, 0.1)),
        ("40/60+0.6", TimeControl(60.0, 0.6, 40)),
        ("40/1:30", TimeControl(90.0, 0.0, 40)),
        ("0.5+.01", TimeControl(0.5, 0.01)),
    ],
)
def test_time_controls_are_those_of_fastchess_and_cutechess(text: str, clock: TimeControl) -> None:
    assert time_control(text) == clock
    assert time_control(str(clock)) == clock


@pytest.mark.parametrize(
    "text", ["", "x", "10+", "+1", "-5", "40/", "inf", "1e3", "1/2/3", "9" * 50]
)
def test_what_is_no_time_control(text: str) -> None:
    assert time_control(text) is None


texts = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1)
words = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), max_size=9)
clocks = st.builds(
    TimeControl,
    st.integers(1, 10**6).map(lambda n: n / 1000),
    st.integers(0, 10**4).map(lambda n: n / 1000),
    st.integers(0, 99),
)
margins = st.integers(0, 1000)
timed = st.builds(Limits, tc=clocks, timemargin=margins) | st.builds(
    Limits, st=st.integers(1, 10**5).map(lambda n: n / 1000), timemargin=margins
)
counts = st.integers(1, 10**12)
limits = (
    st.builds(Limits, nodes=counts, depth=st.none() | counts)
    | st.builds(Limits, depth=counts)
    | timed
)
own_settings = st.fixed_dictionaries(
    {},
    optional={
        "visits": st.integers(1, 10**6),
        "cpuct": st.floats(0, 1e9),
        "two_fold_draws": st.booleans(),
        "temperature": st.floats(0, 100),
    },
)
nets = st.builds(
    NetPlayer,
    path=texts.map(Path),
    name=st.none() | texts,
    reading=st.builds(
        Reading,
        st.sampled_from(["vanilla", "optimistic"]),
        st.sampled_from(["winner", "q", "st"]),
        st.booleans(),
    ),
    own=own_settings.map(
        lambda own: tuple((f.name, own[f.name]) for f in fields(SearchParams) if f.name in own)
    ),
    limits=st.just(Limits()) | timed,
)
engines = st.builds(
    EnginePlayer,
    command=texts,
    args=st.lists(words).map(tuple),
    directory=st.none() | texts.filter(lambda text: not text.startswith("~")).map(Path),
    name=st.none() | texts,
    options=st.dictionaries(texts.filter(lambda name: "=" not in name), words, max_size=3).map(
        lambda o: tuple({name.lower(): (name, value) for name, value in o.items()}.values())
    ),
    limits=limits,
)


@given(player=nets | engines)
def test_words_ask_for_the_same_player_again(player: NetPlayer | EnginePlayer) -> None:
    flag, word = words_of(player)
    if isinstance(player, NetPlayer):
        assert (flag, parse_net([word])) == ("--net", player)
    else:
        if player.directory is not None:
            player = replace(player, directory=player.directory.expanduser())
        assert (flag, parse_engine([word])) == ("--engine", player)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("swa.pb", "'swa.pb' is not KEY=VALUE"),
        ("path=my net.pb", "'net.pb' is not KEY=VALUE\nPut what has spaces in quotation marks"),
        ("=x", "is not KEY=VALUE"),
        ("", "a net needs its file: path=NET"),
        ("path=", "a net needs its file: path=NET"),
        ("path=a path=b", "path is there twice"),
        ("path='a", "no closing quotation"),
        ("path=a vists=3", "unknown setting 'vists' of a net; did you mean 'visits'?"),
        ("path=a nodes=3", "unknown setting 'nodes' of a net; did you mean 'visits'?"),
        ("path=a policy_temperature=1", "did you mean 'policy-temperature'?"),
        ("path=a visits=many", "--net a: visits: must be a whole number, not 'many'"),
        ("path=a visits=1.5", "must be a whole number, not '1.5'"),
        ("path=a visits=0", "--net a: visits 0: a move needs at least 1 visit"),
        ("path=a cpuct=nan", "cpuct: must be a number, not 'nan'"),
        ("path=a cpuct=-1", "--net a: cpuct -1: must not be negative"),
        ("path=a reuse-tree=maybe", "reuse-tree: must be true or false, not 'maybe'"),
        ("path=a tc=x", "tc: must be [MOVES/][MINUTES:]SECONDS[+INCREMENT]"),
        ("path=a tc=0", "tc=0: nobody can move in no time"),
        ("path=a tc=1 st=1", "st and tc contradict each other"),
        ("path=a st=0", "st=0: must be from 0.001"),
        ("path=a timemargin=5", "there is no clock to be late by"),
        ("path=a name=", "name: must be a text"),
        ("path=a name='a\tb'", "name: must be a text that can be printed"),
    ],
)
def test_wrong_nets_are_refused(word: str, message: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse_net([word])
    assert message in str(refusal.value)
    assert str(refusal.value).startswith("--net")
    assert len(str(refusal.value).splitlines()) <= 3


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("name=sf", "an engine needs its program: cmd=PROGRAM"),
        ("cmd=sf", "--engine sf: how long may it think?\nGive nodes=N"),
        ("cmd=sf timemargin=1", "no clock to be late by"),
        ("cmd=sf nods=3", "did you mean 'nodes'?"),
        ("cmd=sf visits=3", "did you mean 'nodes'?"),
        ("cmd=sf plies=3", "did you mean 'depth'?"),
        ("cmd=sf Threads=3", "an option of the engine itself is option.Threads"),
        ("cmd=sf nodes=0", "nodes=0: must be from 1 to 10^12"),
        ("cmd=sf nodes=9999999999999", "must be from 1 to 10^12"),
        ("cmd=sf nodes=1e6", "nodes: must be a whole number, not '1e6'"),
        ("cmd=sf tc=40/1e9", "tc: must be"),
        ("cmd=sf tc=1001/60", "must be for at most 1000 moves"),
        ("cmd=sf nodes=1 option.=3", "must be option.NAME=VALUE"),
        ("cmd=sf nodes=1 option.Hash=3 option.hash=4", "option.hash is there twice"),
        ('cmd=sf nodes=1 args="\'"', "args: no closing quotation"),
    ],
)
def test_wrong_engines_are_refused(word: str, message: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse_engine([word])
    assert message in str(refusal.value)
    assert str(refusal.value).startswith("--engine")
    assert len(str(refusal.value).splitlines()) <= 3


# --- the lineup ---


def test_players_are_in_the_order_of_the_command_line() -> None:
    config = load(
        *("--engine", "cmd=sf nodes=5", "--nets", "a", "b", "--visits", "3"),
        *("--net", "path=c", "visits=7", "--nets", "d"),
    )
    assert config.nets == ()
    assert config.lineup == config.players
    assert config.players == (
        EnginePlayer(command="sf", limits=NODES),
        NetPlayer(path=Path("a")),
        NetPlayer(path=Path("b")),
        NetPlayer(path=Path("c"), own=(("visits", 7),)),
        NetPlayer(path=Path("d")),
    )
    assert config.search.visits == 3


def test_nets_alone_are_what_they_always_were() -> None:
    config = load("--nets", "a", "b")
    assert (config.nets, config.players) == ((Path("a"), Path("b")), ())
    assert config.lineup == (NetPlayer(path=Path("a")), NetPlayer(path=Path("b")))
    assert load("--nets", "a", "b", "--nets", "c", "d").nets == (Path("c"), Path("d"))


def test_a_file_has_the_same_players_in_tables(tmp_path: Path) -> None:
    file = """
        [[players]]
        path = "nets/swa.pb"
        visits = 200
        cpuct = 2
        sticky-endgames = false

        [[players]]
        cmd = "engines/sf"
        args = ["-a", "b c"]
        dir = "work"
        name = "sf"
        st = 0.5
        option.Hash = 16
        option."Skill Level" = 5
        option.Ponder = false
    """
    assert load(file=file, folder=tmp_path).players == (
        NetPlayer(
            path=tmp_path / "nets/swa.pb",
            own=(("visits", 200), ("cpuct", 2.0), ("sticky_endgames", False)),
        ),
        EnginePlayer(
            command=str(tmp_path / "engines/sf"),
            args=("-a", "b c"),
            directory=tmp_path / "work",
            name="sf",
            options=(("Hash", "16"), ("Skill Level", "5"), ("Ponder", "false")),
            limits=Limits(st=0.5),
        ),
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("players = 3", "players: must be tables: [[players]]"),
        ("players = ['a']", "players 1: must be a table"),
        ("players = [{visits = 3}]", "players 1: must have either a net's path or an engine's cmd"),
        ("players = [{path = 'a', cmd = 'b'}]", "either a net's path or an engine's cmd"),
        ("players = [{path = 'a'}, {path = 'b', vists = 3}]", "players 2: unknown setting 'vists'"),
        ("players = [{path = 'a', visits = [3]}]", "visits: must be a text, a number"),
        ("players = [{path = 'a', visits = true}]", "visits: must be a whole number, not 'true'"),
        ("players = [{path = 'a'}]\nnets = ['a', 'b']", "nets and players contradict each other"),
        ("players = [{path = 'a'}]", "a match is between two players, not 1"),
    ],
)
def test_wrong_tables_are_refused(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        load(file=line, folder=tmp_path)
    assert message in str(refusal.value)
    assert len(str(refusal.value).splitlines()) <= 3


@pytest.mark.parametrize("file", ["nets = ['x', 'y']", "players = [{path = 'x'}, {path = 'y'}]"])
def test_players_of_flags_take_the_place_of_those_in_a_file(tmp_path: Path, file: str) -> None:
    flags = ("--net", "path=a", "--net", "path=b visits=3")
    assert load(*flags, file=file, folder=tmp_path).lineup == load(*flags).lineup
    assert load("--nets", "a", "b", file=file, folder=tmp_path) == load("--nets", "a", "b")


def test_with_an_engine_there_are_as_many_games_as_cores_unless_asked_for() -> None:
    engine = ("--nets", "a", "--engine", "cmd=sf nodes=5")
    assert load(*engine).parallel == usable_cores()
    assert load(*engine, "--parallel", "7").parallel == 7
    assert load("--nets", "a", "--net", "path=b").parallel == load("--nets", "a", "b").parallel


def test_more_than_two_players_play_a_tournament_without_a_test() -> None:
    three = ("--nets", "a", "b", "--engine", "cmd=sf nodes=5")
    assert len(load(*three).lineup) == 3
    with pytest.raises(ConfigError, match="3 players play a tournament"):
        load(*three, "--sprt", "0", "5")


def test_the_command_that_goes_on_names_the_nets_that_were_the_latest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for steps in (10, 20):
        (tmp_path / f"run-{steps}.pb").write_bytes(b"\x0a")
    monkeypatch.setattr("arena.commands.nets.take_net", lambda word, quiet: tmp_path / "run-20.pb")
    flags = ["--net", "path=latest:. visits=3", "--engine", "cmd=sf nodes=5", "--pairs", "4"]
    parser = argparse.ArgumentParser()
    add_flags(parser)
    parser.set_defaults(quiet=True, words=["run", *flags])
    config, command = load_match(parser.parse_args(flags))
    net = NetPlayer(path=tmp_path / "run-20.pb", own=(("visits", 3),))
    assert config.players == (net, EnginePlayer(command="sf", limits=NODES))
    assert command[:4] == ["arena", "run", "--pairs", "4"]
    again = parser.parse_args(command[2:])
    assert load_config(MatchConfig, again, Path("no such file")) == config


def test_nobodys_home_is_no_folder() -> None:
    with pytest.raises(ConfigError, match="no such home folder"):
        parse_engine(["cmd=stockfish", "nodes=1", "dir=~nobody-of-this-name"])
