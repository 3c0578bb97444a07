"""docs/nightly.md says what the program does, and its examples are accepted by who reads them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

import pytest
from season import DRAWING, Season, begin_season

from arena.cli import main
from arena.commands.nightly import EXIT_CODES
from arena.nightly.hook import PATIENCE
from arena.nightly.night import run_night
from arena.nightly.race import RaceOutcome
from arena.nightly.reading import CONFIRM, QUICK, read_nightly
from arena.nightly.settings import (
    Average,
    BuildSettings,
    NightlySettings,
    RaceSettings,
    SanitySettings,
)
from arena.openings import default_book
from swa.settings import key_of

DOCS = Path(__file__).parents[2] / "docs"
GUIDE = DOCS / "nightly.md"
TEXT = GUIDE.read_text(encoding="utf-8")
EXAMPLES = DOCS / "nightly"

OF_THE_READER = {"racing", "starts"}
"""Fields that are no keys: ``[race]`` has the one, the other follows from the book."""


def table_after(words: str) -> dict[str, list[str]]:
    """The rows of the first table behind some words, by their first cell."""
    lines = TEXT[TEXT.index(words) :].splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith("|"))
    rows: dict[str, list[str]] = {}
    for line in lines[begin + 2 :]:
        if not line.startswith("|"):
            break
        first, *others = (cell.strip() for cell in line.strip("|").split(" | "))
        rows[first.strip("|` ")] = others
    return rows


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


# --- settings ---


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("Each of `averages`", Average),
        ("`[build]`, for all averages", BuildSettings),
        ("`[sanity]`:", SanitySettings),
        ("`[race]`, beside", RaceSettings),
    ],
)
def test_every_key_is_explained_with_its_default(words: str, kind: type) -> None:
    table = table_after(words)
    assert list(table) == [key_of(one.name) for one in fields(kind)]
    for one in fields(kind):
        assert written(table[key_of(one.name)][0]) == default_of(one), one.name


def test_every_key_at_the_top_is_explained(tmp_path: Path) -> None:
    table = table_after("## nightly.toml")
    keys = {key_of(one.name) for one in fields(NightlySettings)} - OF_THE_READER
    assert set(table) == keys | {"match"}
    (tmp_path / "nightly.toml").write_text('home = "h"\nlatest = "n"\nbuild.data = "games"\n')
    settings = read_nightly(tmp_path / "nightly.toml")
    assert written(table["entries"][0]) == settings.entries
    assert written(table["seed"][0]) == settings.seed
    assert written(table["quick"][0]) is (settings.quick is not None)
    assert written(table["confirm"][0]) is (settings.confirm is not None)


def written(cell: str) -> Any:
    """The value of a default as the document has it; None for "none"."""
    return None if cell == "none" else tomllib.loads(f"value = {cell.strip('`')}")["value"]


def default_of(one: Field[Any]) -> Any:
    assert one.default is not MISSING
    return None if one.default == () else one.default


def test_the_stages_are_as_they_are_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "nightly.toml").write_text(
        'home = "h"\nlatest = "n"\nentries = "better"\nconfirm = true\nbuild.data = "games"\n'
    )
    settings = read_nightly(tmp_path / "nightly.toml")
    table = table_after("### Stages")
    assert list(table) == list(settings.stages)
    nets = (Path("a"), Path("b"))
    for name, (_, test, pairs) in table.items():
        match = settings.match(settings.stages[name], nets, seed=0, start=1)
        assert pairs.split()[0] == f"{match.pairs:,}"
        if match.sprt is None:
            assert test.startswith("none")
        else:
            low, high = match.sprt
            assert test == f"[{low:g}, {high:g}], alpha {match.alpha:g}, beta {match.beta:g}"
    assert table["quick"][0] == str(QUICK["visits"])
    assert table["confirm"][2] == str(CONFIRM["pairs"])
    assert f"the book that ships {len(default_book()):,}" in TEXT


# --- what comes out ---


def test_the_exit_codes_are_those() -> None:
    assert set(table_after("## Exit codes")) == {
        *map(str, EXIT_CODES.values()),
        *("2", "130"),
    }


def test_a_hook_has_as_long_as_is_said() -> None:
    assert PATIENCE == 600
    assert "It has ten minutes." in TEXT


@pytest.fixture(scope="module")
def decided(tmp_path_factory: pytest.TempPathFactory) -> tuple[Season, dict[str, Any]]:
    """A season after its first night, and what that decided."""
    with pytest.MonkeyPatch.context() as patched:
        for name, instead in DRAWING.items():
            patched.setattr(name, instead)
        season = begin_season(tmp_path_factory.mktemp("season"), drift=200.0, noise=0.0)
        season.train(1)
        outcome = run_night(season.settings, season.play, lambda line: None)
    assert outcome.folder is not None
    return season, json.loads((outcome.folder / "decision.json").read_text(encoding="utf-8"))


def test_every_key_of_a_decision_is_explained_and_no_other(
    decided: tuple[Season, dict[str, Any]],
) -> None:
    _, document = decided
    table = table_after("## decision.json")
    assert list(table) == list(document)
    for key in ("latest", "entries", "refused", "sanity"):
        found = document[key] if key == "latest" else (document[key] or [{}])[0]
        assert [name for name in found if f"`{name}`" not in table[key][0]] == []
    assert set(document["stages"]) == {"race", "quick", "gate", "confirm"}
    race = table_after("`stages` has")
    assert list(race) == list(document["stages"]["race"])
    assert set(race) - {"pairs"} == {one.name for one in fields(RaceOutcome)}


def test_what_the_home_is_said_to_have_is_there(
    decided: tuple[Season, dict[str, Any]],
) -> None:
    season, document = decided
    for name in ("champion.pb.gz", "registry.sqlite", "registry.backup.sqlite", "lock"):
        assert name in table_after("## The home")
        assert (season.home / name).is_file()
    for name in ("night.toml", "sanity.json", "race", "quick", "gate", "confirm", "decision.json"):
        assert f"`{name}" in table_after("## The home")["nights/0007-NAME/"][0]
        assert (season.home / document["folder"] / name).exists()
    net = season.home / document["latest"]["file"]
    assert document["latest"]["sha256"].startswith(net.parent.name)
    assert net.parent.parent == season.home / "nets"


def test_a_backup_by_its_commands_is_a_home(
    decided: tuple[Season, dict[str, Any]], tmp_path: Path
) -> None:
    season, _ = decided
    shutil.copytree(season.home, tmp_path / "home")
    (commands,) = re.findall(r"^```\n(tar .*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    save, bring_back, verify = commands.splitlines()
    subprocess.run(["sh", "-c", save], cwd=tmp_path, check=True)
    shutil.rmtree(tmp_path / "home")
    subprocess.run(["sh", "-c", bring_back], cwd=tmp_path, check=True)
    assert verify == "arena registry verify --home home"
    assert main(["registry", "verify", "--home", str(tmp_path / "home")]) == 0


# --- examples ---


@pytest.mark.parametrize(
    "text", [*blocks("toml"), (EXAMPLES / "nightly.toml").read_text(encoding="utf-8")]
)
def test_settings_in_the_examples_are_accepted(text: str, tmp_path: Path) -> None:
    (tmp_path / "nightly.toml").write_text(text)
    assert read_nightly(tmp_path / "nightly.toml").home == tmp_path / "home"


def test_the_complete_example_has_all_stages() -> None:
    settings = read_nightly(EXAMPLES / "nightly.toml")
    assert list(settings.stages) == ["race", "quick", "gate", "confirm"]
    assert (EXAMPLES / settings.on_decision[0]).is_file()


@pytest.mark.parametrize("name", ["tell-by-mail.sh", "tell-webhook.sh"])
def test_a_hook_in_the_text_is_the_file(name: str) -> None:
    script = EXAMPLES / name
    assert script.read_text(encoding="utf-8") in blocks("sh")
    assert os.access(script, os.X_OK)


@pytest.mark.parametrize(
    ("name", "words", "program"),
    [("tell-by-mail.sh", ["team@example.org"], "mail"), ("tell-webhook.sh", [], "curl")],
)
def test_a_hook_tells_the_decision(
    name: str,
    words: list[str],
    program: str,
    decided: tuple[Season, dict[str, Any]],
    tmp_path: Path,
) -> None:
    if shutil.which("jq") is None:
        pytest.skip("there is no jq here")
    stand_in = tmp_path / program
    stand_in.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > words.txt\ncat > input.json\n')
    stand_in.chmod(0o755)
    _, document = decided
    subprocess.run(
        [EXAMPLES / name, *words],
        input=json.dumps(document).encode(),
        cwd=tmp_path,
        env={
            **os.environ,
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "WEBHOOK_URL": "https://example.org/x",
        },
        check=True,
    )
    told = json.loads((tmp_path / "input.json").read_text(encoding="utf-8"))
    said = (tmp_path / "words.txt").read_text(encoding="utf-8").splitlines()
    subject = f"night 1: {document['verdict']}: {document['reason']}"
    if program == "mail":
        assert said == ["-s", subject, "team@example.org"]
        assert told["candidate"] == document["candidate"]
        assert told["stages"]["gate"]["pentanomial"] == document["stages"]["gate"]["pentanomial"]
    else:
        assert told == {"text": subject}
        assert said[-1] == "https://example.org/x"


def test_the_units_in_the_text_are_the_files() -> None:
    units = "".join(
        (EXAMPLES / f"arena-nightly.{kind}").read_text(encoding="utf-8")
        for kind in ("service", "timer")
    )
    assert len(blocks("ini")) == 2
    for block in blocks("ini"):
        assert block.rstrip() in units


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze here")
    service = (EXAMPLES / "arena-nightly.service").read_text(encoding="utf-8")
    program = re.findall(r"^ExecStart=(\S+)", service, re.MULTILINE)[0]
    # It looks whether the program is there.
    (tmp_path / "arena-nightly.service").write_text(service.replace(program, "/bin/true"))
    shutil.copy(EXAMPLES / "arena-nightly.timer", tmp_path)
    found = subprocess.run(
        ["systemd-analyze", "verify", *sorted(map(str, tmp_path.iterdir()))],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (found.returncode, found.stderr) == (0, "")


def test_the_units_take_no_answer_for_a_failure() -> None:
    service = (EXAMPLES / "arena-nightly.service").read_text(encoding="utf-8")
    (codes,) = re.findall(r"^SuccessExitStatus=(.+)$", service, re.MULTILINE)
    assert {0, *map(int, codes.split())} == set(EXIT_CODES.values())


def test_the_workflow_in_the_text_is_in_the_file() -> None:
    lines = (EXAMPLES / "workflow.yml").read_text(encoding="utf-8").splitlines()
    known = {line.strip().removeprefix("- ") for line in lines}
    (block,) = blocks("yaml")
    assert {line.strip().removeprefix("- ") for line in block.splitlines()} <= known


def test_the_workflow_is_yaml() -> None:
    yaml = pytest.importorskip("yaml")
    workflow = yaml.safe_load((EXAMPLES / "workflow.yml").read_text(encoding="utf-8"))
    (job,) = workflow["jobs"].values()
    assert job["runs-on"][0] == "self-hosted"
    assert job["timeout-minutes"] > 0
    assert "--exit-zero" in job["steps"][0]["run"]


# --- figures ---


@pytest.mark.parametrize(
    ("bounds", "row"), [((0, 5), "[0, 5]"), ((0, 10), "[0, 10]"), ((-10, 0), "[-10, 0]")]
)
def test_the_costs_are_those_of_arena_plan(
    bounds: tuple[int, int], row: str, capsys: pytest.CaptureFixture[str]
) -> None:
    width, bound, halfway, most, equal = (
        [part.strip() for part in cell.removesuffix("|").split(" / ")]
        for cell in table_after("| bounds | width")[row]
    )
    low, high = bounds
    true = ["--true", str(low), str((low + high) / 2), str(high)]
    for number, draw_rate in enumerate(("0.5", "0.6", "0.7")):
        words = [f"--elo0={low}", f"--elo1={high}", "--draw-rate", draw_rate, *true]
        assert main(["plan", *words, "--json"]) == 0
        lower, middle, upper = json.loads(capsys.readouterr().out)["rows"]
        assert float(width[number]) == pytest.approx(upper["elo"] - lower["elo"], abs=0.06)
        no_stronger = lower if low == 0 else upper
        assert float(equal[0].removesuffix(" %")) == pytest.approx(
            100 * no_stronger["promote"], abs=0.06
        )
        for said, plan in (
            (bound[number], no_stronger["pairs"]),
            (halfway[number], middle["pairs"]),
            (most[number], middle["p90"]),
        ):
            assert float(said.replace(",", "")) == pytest.approx(plan, abs=0.51)


def test_its_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", TEXT)
    assert len(links) >= 8
    assert [link for link in links if not (GUIDE.parent / link).exists()] == []
