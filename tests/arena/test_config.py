"""Settings from defaults, files and flags, and what is said of wrong ones."""

from __future__ import annotations

import argparse
import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from arena.adjudication_rules import AdjudicationRules, DrawRule, ResignRule
from arena.config import ConfigError, MatchConfig, Part, SearchParams
from arena.options import add_flags, load_config, options

NETS = ("raw.pb", "swa.pb")


def load(*flags: str, project: str = "", file: str = "", folder: Path | None = None) -> MatchConfig:
    """What ``arena run`` makes of these flags and files."""
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_flags(parser)
    project_file = Path("no such file")
    if folder:
        project_file = folder / "pyproject.toml"
        project_file.write_text(project)
        (folder / "match.toml").write_text(file)
        flags = ("--config", str(folder / "match.toml"), *flags)
    return load_config(MatchConfig, parser.parse_args(list(flags)), project_file)


def test_without_flags_all_is_default() -> None:
    assert load("--nets", *NETS) == MatchConfig(nets=(Path("raw.pb"), Path("swa.pb")))


def test_every_option_has_a_flag_that_sets_it() -> None:
    values: dict[str, tuple[list[str], Any]] = {
        "sprt": (["-5", "0"], (-5.0, 0.0)),
        "opening_filter": (["0.25", "0.5"], (0.25, 0.5)),
        "sprt_model": (["logistic"], "logistic"),
        "preset": (["pick-best"], "pick-best"),
        "tournament": (["gauntlet"], "gauntlet"),
        "order": (["sequential"], "sequential"),
        "device": (["cuda"], "cuda"),
        "evaluator": (["torch"], "torch"),
        "dtype": (["bfloat16"], "bfloat16"),
        "nets": (["a", "b"], (Path("a"), Path("b"))),
        "tb": (["a", "b"], (Path("a"), Path("b"))),
        "part": (["2/3"], Part(2, 3)),
        "draw": (["movecount=5", "score=9"], DrawRule(movecount=5, score=9)),
        "resign": (["movecount=4 twosided=true"], ResignRule(movecount=4, twosided=True)),
        "mode": (["value"], "value"),
        "fpu_strategy": (["absolute"], "absolute"),
        "fpu_strategy_at_root": (["absolute"], "absolute"),
    }
    needed = {
        "delta": ["--preset", "pick-best"],
        "tb_pieces": ["--tb", "tables"],
        "tb_fast_play": ["--tb", "tables"],
        "fpu_value_at_root": ["--fpu-strategy-at-root", "absolute"],
        "cpuct_at_root": ["--root-has-own-cpuct-params"],
        "cpuct_base_at_root": ["--root-has-own-cpuct-params"],
        "cpuct_factor_at_root": ["--root-has-own-cpuct-params"],
    }
    by_type: dict[Any, tuple[list[str], Any]] = {
        int: (["7"], 7),
        float: (["0.125"], 0.125),
        Path: (["x/y"], Path("x/y")),
    }
    for option in options(MatchConfig):
        if option.name == "players":  # --net and --engine: test_players.py
            continue
        if option.value_type is bool:
            value = not option.default
            flag, words = f"--{'' if value else 'no-'}{option.key}", []
        else:
            flag = f"--{option.key}"
            words, value = values.get(option.name) or by_type[option.value_type]
        nets = [] if option.name == "nets" else ["--nets", *NETS]
        config = load(*nets, flag, *words, *needed.get(option.name, []))
        owner = config.search if hasattr(config.search, option.name) else config
        assert getattr(owner, option.name) == value, option.name
        assert option.default != value, option.name


def test_flags_win_over_the_file_and_the_file_over_the_project(tmp_path: Path) -> None:
    config = load(
        "--visits",
        "3",
        project='[tool.arena]\nvisits = 1\npairs = 1\nseed = 1\n[tool.other]\nkey = "x"',
        file=f"nets = {list(NETS)}\nvisits = 2\npairs = 2",
        folder=tmp_path,
    )
    assert (config.search.visits, config.pairs, config.seed) == (3, 2, 1)
    assert config.parallel == MatchConfig(nets=config.nets).parallel


def test_every_kind_of_value_has_its_toml(tmp_path: Path) -> None:
    config = load(
        file="""
            nets = ["raw.pb", "/nets/swa.pb"]
            sprt = [0, 5]
            sprt-model = "logistic"
            two-fold-draws = false
            cpuct = 2
            openings = "../books/b.pgn"
        """,
        folder=tmp_path,
    )
    assert config.nets == (tmp_path / "raw.pb", Path("/nets/swa.pb"))
    assert config.openings == tmp_path / "../books/b.pgn"
    assert (config.sprt, config.sprt_model) == ((0.0, 5.0), "logistic")
    assert config.search == replace(SearchParams(), two_fold_draws=False, cpuct=2.0)


def test_rules_are_words_or_tables(tmp_path: Path) -> None:
    file = f"""
        nets = {list(NETS)}
        draw = {{movenumber = 40, drawn = 0.75}}
        resign = "movecount=4 twosided=true"
    """
    config = load(folder=tmp_path, file=file)
    assert config.draw == DrawRule(movenumber=40, score=None, drawn=0.75)
    assert config.resign == ResignRule(movecount=4, twosided=True)
    config = load("--draw", "--maxmoves", "150", folder=tmp_path, file=file)
    assert config.draw == DrawRule()
    assert config.adjudication == AdjudicationRules(
        draw=DrawRule(), resign=config.resign, maxmoves=150
    )
    for wrong in ('draw = "x=1"', "draw = {movecount = 0}", "draw = true", "draw = [1]"):
        with pytest.raises(ConfigError, match=r"match.toml: draw: .*(unknown|must be)"):
            load(folder=tmp_path, file=f"nets = {list(NETS)}\n{wrong}")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--maxmoves -1", "--maxmoves -1: must be from 0 to 10,000"),
        ("--audit 1.5", "--audit 1.5: must be from 0 to 1"),
    ],
)
def test_adjudication_that_makes_no_sense_is_refused(flags: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load("--nets", *NETS, *flags.split())


def test_a_rule_that_is_none_is_a_usage_error() -> None:
    with pytest.raises(argparse.ArgumentError, match="did you mean 'movecount'"):
        load("--nets", *NETS, "--draw", "movecuont=3")


def test_what_is_off_in_a_file_can_be_on_by_a_flag_and_the_other_way(tmp_path: Path) -> None:
    file = f"nets = {list(NETS)}\nno-sprt = true\nno-sticky-endgames = true"
    config = load("--sprt", "0", "5", folder=tmp_path, file=file)
    assert config.sprt == (0.0, 5.0)
    assert not config.search.sticky_endgames
    assert load("--no-sprt", folder=tmp_path, file=f"nets = {list(NETS)}").sprt is None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("vists = 3", "unknown key 'vists'; did you mean 'visits'?"),
        ("sprt_model = 'logistic'", "did you mean 'sprt-model'?"),
        ("zzz = 3", "unknown key 'zzz'"),
        ("visits = 'many'", "visits: must be a whole number, not 'many'"),
        ("visits = 1.5", "visits: must be a whole number, not 1.5"),
        ("visits = true", "visits: must be a whole number, not True"),
        ("visits = 0", "--visits 0: a move needs at least 1 visit"),
        ("cpuct = nan", "cpuct: must be a number"),
        ("nets = 'raw.pb'", "nets: must be a list, each a path"),
        ("sprt = [0]", "sprt: must be a list of 2, each a number"),
        ("sprt = false", "sprt: must be a list of 2"),
        ("no-sprt = false", "no-sprt: must be true, or left out"),
        ("no-sprt = true\nsprt = [0, 5]", "contradict each other"),
        ("device = 'tpu'", "device: must be one of auto, cpu, cuda, mps"),
        ("device = ['cpu']", "device: must be one of auto, cpu, cuda, mps"),
        ("visits =", "not a TOML file"),
        ("part = '0/2'", "part: '0/2' is not a part such as 2/3"),
        ("part = 2", "part: '2' is not a part such as 2/3"),
    ],
)
def test_wrong_lines_of_a_file_are_named(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        load(file=line, folder=tmp_path)
    assert message in str(refusal.value)
    assert len(str(refusal.value).splitlines()) <= 3
    if not message.startswith("--"):
        assert str(tmp_path / "match.toml") in str(refusal.value)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--sprt 5 0", "--sprt 5 0: ELO0 must be below ELO1"),
        ("--sprt 5 5", "--sprt 5 5: ELO0 must be below ELO1"),
        ("--visits 0", "--visits 0: a move needs at least 1 visit"),
        ("--pairs 0", "--pairs 0: a match needs at least 1 pair"),
        ("--pairs 2 --part 3/4", "--part 3/4: of 2 pairs none is in it"),
        ("--alpha 0", "--alpha 0: must be between 0 and 1"),
        ("--alpha 0.6 --beta 0.4", "--alpha 0.6 --beta 0.4: must together be below 1"),
        ("--seed -1", "--seed -1: must be from 0"),
        ("--parallel 0", "--parallel 0: at least 1 game"),
        ("--nncache -1", "--nncache -1: must be 0 or more"),
        ("--preset pick-best --sprt 0 5", "--preset and --sprt contradict each other"),
        ("--preset pick-best --sprt 0 10", "--preset and --sprt contradict each other"),
        ("--preset pick-best --no-sprt", "--preset and --no-sprt contradict each other"),
        ("--certified --no-sprt", "--certified and --no-sprt contradict each other"),
        ("--overshoot --no-sprt", "--overshoot and --no-sprt contradict each other"),
        ("--delta 5", "--delta 5: is a setting of --preset"),
        ("--preset pick-best --delta 0", "--delta 0: must be above 0"),
        ("--certified --overshoot", "--certified and --overshoot"),
        ("--policy-temperature 0", "--policy-temperature 0.0: must be above 0"),
        ("--draw-score 1.5", "--draw-score 1.5: must be from -1 to 1"),
        ("--smart-pruning-factor 11", "--smart-pruning-factor 11: must be from 0 to 10"),
        ("--smart-pruning-factor -1", "--smart-pruning-factor -1: must be from 0 to 10"),
        ("--temp-visit-offset 2000", "--temp-visit-offset 2000: must be from -1000 to 1000"),
        ("--cpuct-base-at-root 0", "--cpuct-base-at-root 0.0: must be above 0"),
        ("--cpuct-at-root 2", "--cpuct-at-root 2: has no effect without --root-has-own-cpuct"),
        (
            "--fpu-value-at-root 0.5",
            "--fpu-value-at-root 0.5: has no effect without --fpu-strategy-at-root reduction",
        ),
        ("--mode value --temperature 1", "--temperature 1: has no effect with --mode value"),
        ("--mode value --noise-epsilon 0.1", "--noise-epsilon 0.1: has no effect with --mode"),
    ],
)
def test_settings_that_make_no_match_are_refused(flags: str, message: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        load("--nets", *NETS, *flags.split())
    assert message in str(refusal.value)


@pytest.mark.parametrize("nets", [[], ["one"]])
def test_a_match_has_two_nets(nets: list[str]) -> None:
    flags = ["--nets", *nets] if nets else []
    with pytest.raises(ConfigError, match=f"a match is between two nets, not {len(nets)}"):
        load(*flags)


@pytest.mark.parametrize(
    "text", ["0/3", "4/3", "1/0", "3", "/", "1/", "-1/2", "1/2/3", "1/x", "²/3"]
)
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentError, match="is not a part such as 2/3"):
        load("--nets", *NETS, f"--part={text}")
    with pytest.raises(ConfigError, match="is not a part"):
        Part.parse(text)


def test_parts_share_the_pairs_of_a_match_out() -> None:
    for of in (1, 2, 3, 7, 20):
        for limit in (1, 6, 20):
            shares = [Part(number, of).numbers(limit) for number in range(1, of + 1)]
            assert sorted(itertools.chain.from_iterable(shares)) == list(range(limit))
            assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert str(Part.parse("12/20")) == "12/20"


def test_a_tournament_has_no_parts() -> None:
    with pytest.raises(ConfigError, match="--part 1/2: a match of two nets has parts"):
        load("--nets", "a", "b", "c", "--part", "1/2")


def test_more_than_two_nets_play_a_tournament_without_a_test() -> None:
    assert len(load("--nets", "a", "b", "c").nets) == 3
    assert len(load("--nets", "a", "b", "c", "--no-sprt").nets) == 3
    for flags in ("--sprt -5 5", "--sprt 0 10", "--preset pick-best", "--certified", "--overshoot"):
        with pytest.raises(ConfigError, match="3 nets play a tournament"):
            load("--nets", "a", "b", "c", *flags.split())


@pytest.mark.parametrize("flags", ["--visits many", "--cpuct nan", "--cpuct x", "--device tpu"])
def test_flags_of_the_wrong_kind_are_refused(flags: str) -> None:
    with pytest.raises(argparse.ArgumentError):
        load("--nets", *NETS, *flags.split())


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: cannot read the configuration: no such"):
        load("--nets", *NETS, "--config", str(tmp_path / "none.toml"))
    with pytest.raises(ConfigError, match=r"\[tool\.arena\] must be a table"):
        load(project="tool.arena = 3", folder=tmp_path)


def test_help_gives_defaults_units_and_groups() -> None:
    parser = argparse.ArgumentParser()
    groups = add_flags(parser)
    text = " ".join(parser.format_help().split())
    assert "--sprt ELO0 ELO1" in text
    assert "(default: 0 10)" in text
    assert "--visits VISITS visits of the root for each move" in text
    assert "(default: on; --no-two-fold-draws)" in text
    assert list(groups) == [
        "nets",
        "match length",
        "openings",
        "adjudication",
        "search",
        "device",
        "output",
    ]


def test_other_commands_take_a_part_of_the_options(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    add_flags(parser, SearchParams)
    project = tmp_path / "pyproject.toml"
    project.write_text("[tool.arena]\npairs = 8\ncpuct = 2.0")  # pairs are of no use to them
    params = load_config(SearchParams, parser.parse_args(["--visits", "8"]), project)
    assert params == SearchParams(visits=8, cpuct=2.0)
