"""nightly.toml: what is read, what is refused, and what of it a night keeps."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import fields, replace
from pathlib import Path

import pytest

from arena.config import ConfigError, MatchConfig, SearchParams
from arena.nightly.reading import CONFIRM, QUICK, RUNTIME, frozen_text, read_nightly
from arena.nightly.settings import (
    Average,
    NightlySettings,
    RaceSettings,
)
from arena.openings import default_book
from arena.options import match_of, options, settings_of
from arena.stats.sprt import EloModel

LEAST = 'home = "home"\nlatest = "nets"\nentries = "raw"\n'
"""All that has no default."""

AVERAGES = 'home = "home"\nlatest = "nets"\nbuild.data = "games"\n'

NETS = (Path("a"), Path("b"))


def read(folder: Path, text: str, name: str = "nightly.toml") -> NightlySettings:
    (folder / name).write_text(text)
    return read_nightly(folder / name)


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as error:
        read(folder, text)
    said = str(error.value)
    assert said.startswith(f"{folder / 'nightly.toml'}: ")
    assert len(said.splitlines()) <= 3
    return said.removeprefix(f"{folder / 'nightly.toml'}: ")


# --- what is read ---


def test_the_least_that_can_be_said(tmp_path: Path) -> None:
    settings = read(tmp_path, LEAST)
    assert settings.home == tmp_path / "home"
    assert settings.latest == str(tmp_path / "nets")
    assert settings.averages == ()
    assert list(settings.stages) == ["quick", "gate"]
    gate = settings.match(settings.gate, NETS, seed=7, start=3)
    assert gate == MatchConfig(nets=NETS, seed=7, start=3)


def test_an_average_is_the_default(tmp_path: Path) -> None:
    settings = read(tmp_path, AVERAGES)
    assert settings.entries == "swa"
    assert settings.averages == (Average(name="swa", last=10, rule="mean"),)
    assert list(settings.stages) == ["quick", "gate"]  # one entry has nobody to race


def test_two_entries_race(tmp_path: Path) -> None:
    assert "race" in read(tmp_path, 'entries = "better"\n' + AVERAGES).stages
    two = AVERAGES + '[[averages]]\nname = "a"\n[[averages]]\nname = "b"\nlast = 3\n'
    assert list(read(tmp_path, two).stages) == ["race", "quick", "gate"]


def test_stages_have_what_match_says_and_change_it(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        LEAST
        + "confirm = true\n[match]\nvisits = 400\ncpuct = 2.0\ntb-adjudicate = false\n"
        + "[race]\nround = 20\npairs = 100\nvisits = 30\n[gate]\ncpuct = 3\nsprt = [0, 5]\n",
    )
    assert settings.racing == RaceSettings(round=20, pairs=100)
    race, quick, gate, confirm = (
        settings.match(stage, NETS, seed=1, start=1)
        for stage in (settings.race, settings.quick, settings.gate, settings.confirm)
        if stage is not None
    )
    assert [c.search.visits for c in (race, quick, gate, confirm)] == [30, 10, 400, 400]
    assert [c.search.cpuct for c in (race, quick, gate, confirm)] == [2.0, 2.0, 3.0, 2.0]
    assert [c.sprt for c in (race, quick, gate, confirm)] == [None, QUICK["sprt"], (0, 5), None]
    assert [c.pairs for c in (race, quick, gate, confirm)] == [100, 200, 5000, CONFIRM["pairs"]]
    assert not any(c.tb_adjudicate for c in (race, quick, gate, confirm))


def test_the_gates_bound(tmp_path: Path) -> None:
    assert read(tmp_path, LEAST).gate_bound == (0.0, EloModel.NORMALIZED)
    text = '[gate]\npreset = "non-regression"\ndelta = 4\nsprt-model = "logistic"\n'
    assert read(tmp_path, LEAST + text).gate_bound == (-4.0, EloModel.LOGISTIC)


def test_a_preset_takes_the_place_of_the_quick_stages_bounds(tmp_path: Path) -> None:
    settings = read(tmp_path, LEAST + '[quick]\npreset = "non-regression"\ndelta = 80\n')
    assert settings.quick is not None
    assert settings.quick["delta"] == 80
    assert "sprt" not in settings.quick


def test_stages_are_switched(tmp_path: Path) -> None:
    assert read(tmp_path, "quick = false\n" + LEAST).quick is None
    assert read(tmp_path, "confirm = false\n" + LEAST).confirm is None
    assert read(tmp_path, LEAST + "[confirm]\n").confirm == {"pairs": 500, "sprt": None}


def test_paths_are_relative_to_the_file_whatever_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = AVERAGES + 'first-champion = "old.pb.gz"\non-decision = "./tell.sh --to \'a b\'"\n'
    text = text.replace("build.data", "build.eval-data") + 'build.data = ["x", "/y"]\n'
    by_path = read(tmp_path, text)
    monkeypatch.chdir(tmp_path)
    assert read_nightly(Path("nightly.toml")) == by_path
    assert by_path.first_champion == tmp_path / "old.pb.gz"
    assert by_path.on_decision == (str(tmp_path / "tell.sh"), "--to", "a b")
    assert by_path.build.data == (tmp_path / "x", Path("/y"))


def test_a_hook_on_the_path_keeps_its_name(tmp_path: Path) -> None:
    assert read(tmp_path, 'on-decision = ["mail", "a b"]\n' + LEAST).on_decision == ("mail", "a b")


@pytest.mark.parametrize("word", ["nets", "latest:nets"])
def test_latest_may_be_spelled_as_elsewhere(tmp_path: Path, word: str) -> None:
    text = f'home = "home"\nlatest = "{word}"\nentries = "raw"'
    assert read(tmp_path, text).latest == str(tmp_path / "nets")


# --- what is refused ---


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "home is missing: the folder in which"),
        ('home = "h"', "latest is missing: the folder of a training run"),
        ("homes = 1", "unknown key 'homes'; did you mean 'home'?"),
        ("[gaet]", "unknown key 'gaet'; did you mean 'gate'?"),
        (LEAST + "seed = -1", "seed: must be from 0 to 2^63 - 1, not -1"),
        (LEAST + "seed = 9223372036854775808", "seed: must be from 0"),
        (LEAST.replace("nets", "nets:3"), "latest: must be a folder, a glob or a series"),
        (LEAST.replace("nets", ""), "latest: must be a folder"),
        (LEAST.replace("raw", "all"), "entries: must be one of raw, swa, better"),
        (LEAST + 'on-decision = "a \'b"', "on-decision: no closing quotation"),
        (LEAST + "on-decision = 3", "on-decision: must be a text, not 3"),
        (LEAST + 'on-decision = [""]', "on-decision: the command is empty"),
        (LEAST + 'on-decision = "~nobody-of-this-name/x"', "could not determine home directory"),
        (LEAST.replace("nets", "~nobody-of-this-name"), "could not determine home directory"),
        (LEAST.replace("nets", "home/nets"), "latest: is where home keeps its own copies"),
        (LEAST.replace("nets", "home"), "latest: is where home keeps its own copies"),
        (LEAST + 'first-champion = "latest:x"', "first-champion: must be the path of a net"),
        (LEAST + "gate = true", "gate: must be a table, not True"),
        (LEAST + "match = 3", "match: must be a table, not 3"),
        (LEAST + "race = true", "race: must be a table, not True"),
        (LEAST + 'quick = "no"', "quick: must be a table, true or false, not 'no'"),
        (LEAST + "[gate]\nvists = 3", "[gate]: unknown key 'vists'; did you mean 'visits'?"),
        (LEAST + "[race]\nrond = 3", "[race]: unknown key 'rond'; did you mean 'round'?"),
        (LEAST + "[gate]\nvisits = 2.5", "[gate]: visits: must be a whole number, not 2.5"),
        (LEAST + "[gate]\nvisits = 0", "[gate]: --visits 0: a move needs at least 1 visit"),
        (LEAST + "[gate]\nsprt = [5, 5]", "[gate]: --sprt 5 5: ELO0 must be below ELO1"),
        (LEAST + "[gate]\nno-sprt = true", "[gate]: no-sprt: this stage decides by its test"),
        (LEAST + "[quick]\nno-sprt = true", "[quick]: no-sprt: this stage decides by its test"),
        (LEAST + "[gate]\npairs = 0", "[gate]: --pairs 0: a match needs at least 1 pair"),
        (LEAST + "[gate]\nseed = 3", "[gate]: seed: not here: it is a key of the file's top"),
        (LEAST + "[match]\nnets = []", "[match]: nets: not here: the night says who plays"),
        (LEAST + "[match]\nsprt = [0, 5]", "[match]: sprt: not here: each stage has its own"),
        (LEAST + "[match]\npairs = 5", "[match]: pairs: not here: each stage has its own"),
        (LEAST + '[gate]\nopenings = "b.epd"', "[gate]: openings: not here: put it into [match]"),
        (LEAST + "[match]\nopening-filter = [0, 1]", "[match]: opening-filter: not here: how"),
        (LEAST + "[gate]\nno-opening-filter = true", "[gate]: unknown key 'no-opening-filter'"),
        (LEAST + "[race]\nalpha = 0.1", "[race]: alpha: not here: there is no test here"),
        (LEAST + "[confirm]\nsprt = [0, 1]", "[confirm]: sprt: not here: there is no test here"),
        (LEAST + "[confirm]\nno-sprt = true", "[confirm]: no-sprt: not here: there is no test"),
        (LEAST + "[race]\nerror = 1", "race.error: must be between 0 and 1, not 1"),
        (LEAST + "[race]\nround = 301", "race.round: must be from 1 to race.pairs, which is 300"),
        (LEAST + "[sanity]\nexcess-loss = 0", "sanity.excess-loss: must be above 0, not 0"),
        (LEAST + "[sanity]\nexcess-loss = nan", "sanity.excess-loss: must be a finite number"),
        (LEAST + "[build]\npositions = 0", "build: --positions is at least 1, not 0"),
        (LEAST + "[[averages]]", 'averages: have no effect with entries = "raw"'),
        (LEAST.replace("raw", "swa"), "build.data is missing: training records"),
        (AVERAGES + "[[averages]]\nlast = 1", "averages 'swa': last must be at least 2, not 1"),
        (AVERAGES + '[[averages]]\nname = "a/b"', "averages 'a/b': the name must be of letters"),
        (AVERAGES + '[[averages]]\nname = "raw"', "averages 'raw': the name must be"),
        (AVERAGES + "[[averages]]\ndecay = 0.5", "averages 'swa': --decay goes with --rule ema"),
        (AVERAGES + '[[averages]]\nrule = "ema"\ndecay = 2', "averages 'swa': "),
        (AVERAGES + '[[averages]]\nname = "a"\n[[averages]]\nname = "b"', "averages 'b': the same"),
        (AVERAGES + "[[averages]]\n[[averages]]\nlast = 3", "averages 'swa': the same as 'swa'"),
        (
            AVERAGES + 'build.held-out = 0.0\n[[averages]]\nrule = "soup"',
            "averages 'swa': a greedy",
        ),
        (LEAST + '[match]\nopenings = "gone.epd"', "[match]: openings: "),
        (LEAST + '[match]\nopenings = "\\u0000.epd"', "[match]: openings: "),
        (LEAST + '[match]\nopenings = "~nobody-of-this-name/b.epd"', "could not determine home"),
        (LEAST + "[gate]\npairs = 6_000", "pairs: 6,200 in all (quick 200, gate 6,000), and the"),
    ],
)
def test_what_is_wrong_is_said_with_its_key(tmp_path: Path, text: str, said: str) -> None:
    assert refusal(tmp_path, text).startswith(said)


def test_no_file_and_no_toml(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the configuration: no such file"):
        read_nightly(tmp_path / "nightly.toml")
    assert refusal(tmp_path, "home =").startswith("not a TOML file")


def test_every_option_is_known_to_stages_or_refused_with_a_reason(tmp_path: Path) -> None:
    """A setting that is added to ``arena run`` is one of the gate's without further ado."""
    for option in options(MatchConfig):
        said = refusal(tmp_path, LEAST + f"[gate]\n{option.key} = [[]]\n")
        assert "unknown key" not in said
        assert option.key in said


# --- openings ---


def test_stages_have_openings_of_their_own(tmp_path: Path) -> None:
    settings = read(tmp_path, 'confirm = true\nentries = "better"\n' + AVERAGES)
    slices = [
        range(settings.starts[name], settings.starts[name] + stage["pairs"])
        for name, stage in settings.stages.items()
    ]
    assert list(settings.starts) == ["race", "quick", "gate", "confirm"]
    assert slices[0].start == 1
    assert all(one.stop <= other.start for one, other in itertools.pairwise(slices))
    assert slices[-1].stop <= len(default_book()) + 1


def test_what_the_book_has_to_spare_lies_between(tmp_path: Path) -> None:
    line = "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1\n"
    (tmp_path / "book.epd").write_text(line * 60)
    text = '[match]\nopenings = "book.epd"\n[quick]\npairs = 10\n[gate]\npairs = 20\n'
    assert read(tmp_path, LEAST + text).starts == {"quick": 1, "gate": 21}
    (tmp_path / "book.epd").write_text(line * 30)
    assert read(tmp_path, LEAST + text).starts == {"quick": 1, "gate": 11}
    (tmp_path / "book.epd").write_text(line * 29)
    assert refusal(tmp_path, LEAST + text).startswith("pairs: 30 in all (quick 10, gate 20)")


# --- night.toml ---


def frozen(folder: Path, text: str) -> str:
    return frozen_text(read(folder, text))


def test_what_does_not_decide_is_not_kept(tmp_path: Path) -> None:
    plain = frozen(tmp_path, AVERAGES)
    for change in (
        'on-decision = ["x"]\n',
        'first-champion = "x"\n',
        'build.device = "cuda"\nbuild.threads = 1\n',
        "match.parallel = 3\nmatch.nncache = 0\n",
        'gate.device = "cpu"\ngate.evaluator = "torch"\n',
        "race.pairs = 200\n",  # there is no race
        "confirm = false\n",
        "quick.visits = 10\n",  # as by default
        "averages = []\n",
    ):
        assert frozen(tmp_path, change + AVERAGES) == plain


@pytest.mark.parametrize(
    "change",
    [
        "seed = 1\n",
        'entries = "better"\n',
        "quick = false\n",
        "confirm = true\n",
        "quick.visits = 11\n",
        "gate.alpha = 0.01\n",
        "gate.no-two-fold-draws = true\n",
        'match.draw = "movecount=9"\n',
        'match.dtype = "float16"\n',
        "match.plies = 4\n",
        "sanity.excess-loss = 1.0\n",
        "build.positions = 10\n",
        "averages = [{last = 3}]\n",
        'averages = [{name = "other"}]\n',
    ],
)
def test_what_decides_is_kept(tmp_path: Path, change: str) -> None:
    assert frozen(tmp_path, change + AVERAGES) != frozen(tmp_path, AVERAGES)


def test_it_says_every_setting_of_a_match_but_where_it_runs(tmp_path: Path) -> None:
    settings = read(tmp_path, LEAST + "[gate]\nplies = 4\n".replace("[gate]", "[match]"))
    table = tomllib.loads(frozen_text(settings))["gate"]
    config = settings.match(settings.gate, NETS, seed=0, start=1)
    unset = {name for name, value in settings_of(config).items() if value is None}
    kept = {key.replace("-", "_") for key in table} | unset
    named = {one.name for one in options(MatchConfig)}
    assert named - kept == RUNTIME - unset | {"nets", "players", "tournament", "seed", "start"}
    assert table["openings-sha256"] == default_book().sha256


def test_runtime_settings_are_those_behind_the_search() -> None:
    names = [one.name for one in fields(MatchConfig)]
    assert set(names[names.index("search") + 1 :]) == RUNTIME


def test_it_is_the_same_where_the_whole_has_been_moved(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    before = frozen(tmp_path / "a", AVERAGES)
    shutil.move(tmp_path / "a", tmp_path / "b")
    assert frozen_text(read_nightly(tmp_path / "b" / "nightly.toml")) == before


def test_another_book_of_the_same_name_is_another_night(tmp_path: Path) -> None:
    line = "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1\n"
    text = LEAST + '[match]\nopenings = "book.epd"\n[quick]\npairs = 1\n[gate]\npairs = 1\n'
    (tmp_path / "book.epd").write_text(line * 2)
    before = frozen(tmp_path, text)
    (tmp_path / "book.epd").write_text(line * 3)
    assert frozen(tmp_path, text) != before
    settings = read(tmp_path, text)
    os.remove(tmp_path / "book.epd")
    with pytest.raises(ConfigError, match="cannot read the book of openings: no such file"):
        frozen_text(settings)


def test_bounds_that_make_no_test_are_refused_before_a_night_begins(tmp_path: Path) -> None:
    settings = read(tmp_path, LEAST + "[gate]\nsprt = [0, 1e9]")
    with pytest.raises(ConfigError, match=r"^\[gate\]: --sprt: elo1 is 1000000000\.0"):
        frozen_text(settings)


def test_reading_imports_nothing_that_takes_time() -> None:
    """A call that finds nothing new is over at once."""
    program = "import sys, arena.nightly.reading, arena.nightly.candidates, arena.nightly.sanity\n"
    slow = "{'scipy', 'torch', 'numba', 'rich', 'matplotlib', 'google.protobuf'}"
    program += f"print(sorted({slow} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


def test_it_is_toml_whatever_texts_are_in_it(tmp_path: Path) -> None:
    name = 'a "b"\\ \x7fü\n'
    settings = replace(read(tmp_path, AVERAGES), latest=str(tmp_path / name))
    assert tomllib.loads(frozen_text(settings))["latest"] == f"../{name}"


def test_settings_by_name_make_the_same_match_again() -> None:
    search = SearchParams(visits=7, cpuct=2.5)
    config = MatchConfig(nets=NETS, search=search, plies=3, sprt=(0.0, 5.0))
    values = settings_of(config)
    assert set(values) == {one.name for one in options(MatchConfig)}
    assert match_of(values) == config
