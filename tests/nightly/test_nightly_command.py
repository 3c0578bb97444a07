"""``arena nightly`` as schedulers see it: exit codes, one line, one document."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from season import DRAWING, Season, begin_season

from arena.cli import main
from arena.registry.home import Home, lock
from arena.stats.verdict import Verdict

Nightly = Callable[..., int]


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Season:
    return begin_season(tmp_path_factory.mktemp("begun"), drift=200.0, noise=0.0, averages={})


@pytest.fixture
def season(begun: Season, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Season:
    for name, instead in DRAWING.items():
        monkeypatch.setattr(name, instead)
    season = begun.copied(tmp_path / "season")
    monkeypatch.setattr("arena.commands.nightly._player", lambda arguments, tell: season.play)
    return season


def nightly(season: Season, *words: str) -> int:
    return main(["nightly", str(season.folder / "nightly.toml"), *words])


def test_a_promotion_is_0_and_nothing_new_4(
    season: Season, capsys: pytest.CaptureFixture[str]
) -> None:
    season.train(1)
    assert nightly(season) == 0
    said = capsys.readouterr()
    assert said.out.startswith(
        "arena nightly: night 1: promoted: run-4000 passed the gate against run-3000; Elo +"
    )
    assert said.out.count("\n") == 1
    assert "night 1: run-4000 against run-3000\n" in said.err
    assert nightly(season) == 4
    assert capsys.readouterr().out == (
        "arena nightly: nothing new: run-4000.pb.gz was judged in night 1: promote; run-4000 is "
        "champion\n"
    )


def test_a_weaker_net_is_1(season: Season, capsys: pytest.CaptureFixture[str]) -> None:
    season.run.write(1)
    (season.run.snapshots / "run-1000.pb.gz").rename(season.run.path(9))
    assert nightly(season) == 1
    assert "kept the champion" in capsys.readouterr().out


def test_a_limit_that_comes_first_is_3(
    begun: Season,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    season = begun.copied(tmp_path / "season")
    file = season.folder / "nightly.toml"
    file.write_text(file.read_text().replace("pairs = 80", "pairs = 2"))
    monkeypatch.setattr("arena.commands.nightly._player", lambda arguments, tell: season.play)
    for name, instead in DRAWING.items():
        monkeypatch.setattr(name, instead)
    season.train(1)
    assert nightly(season, "-q") == 3
    assert nightly(season, "-q", "--exit-zero") == 0  # nothing new
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "")


def test_json_is_the_decision_and_nothing_else(
    season: Season, capsys: pytest.CaptureFixture[str]
) -> None:
    season.train(1)
    assert nightly(season, "--json", "--exit-zero") == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert document["verdict"] == Verdict.PROMOTE
    assert nightly(season, "--json") == 4
    nothing = json.loads(capsys.readouterr().out)
    assert (nothing["night"], nothing["verdict"]) == (None, None)
    assert nothing["champion"]["name"] == "run-4000"


def test_what_did_not_run_is_2_even_for_who_takes_all_else_for_0(
    season: Season, capsys: pytest.CaptureFixture[str]
) -> None:
    season.train(1)
    with lock(Home(season.home)):
        assert nightly(season, "--exit-zero") == 2
    assert "another process is at work" in capsys.readouterr().err
    (season.folder / "nightly.toml").write_text("hom = 3\n")
    assert nightly(season, "--exit-zero") == 2
    said = capsys.readouterr()
    assert "nightly.toml: unknown key 'hom'; did you mean 'home'?" in said.err
    assert said.out == ""


def test_a_dry_run_says_what_would_be_done(
    season: Season, capsys: pytest.CaptureFixture[str]
) -> None:
    season.train(1)
    assert nightly(season, "--dry-run") == 0
    said = capsys.readouterr().out
    assert "newest net: " in said
    assert "gate: SPRT [0, 150]" in said
    assert not season.home.exists()


def test_a_call_may_wait_as_long_as_it_takes(season: Season) -> None:
    season.train(1)
    assert nightly(season, "-q", "--wait", "forever") == 0


def test_an_interrupt_is_130_and_the_same_command_goes_on(
    season: Season, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*words: object) -> None:
        raise KeyboardInterrupt

    season.train(1)
    with monkeypatch.context() as patched:
        patched.setattr("arena.commands.nightly._player", lambda arguments, tell: interrupted)
        assert nightly(season) == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert nightly(season) == 0


@pytest.mark.parametrize("word", ["soon", "-1", "nan", "inf"])
def test_a_wait_is_a_number_of_seconds(
    season: Season, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert nightly(season, f"--wait={word}") == 2
    assert "is no number of seconds" in capsys.readouterr().err
