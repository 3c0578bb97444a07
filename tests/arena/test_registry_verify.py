"""``verify`` finds what does not agree, and finds nothing where nothing is."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from match_folders import LOST, TEST, WON, between, played
from registry_records import decision, first, keep, match, net, sha

from arena.ledger import GAMES_FILE
from arena.match_file import NetIdentity
from arena.registry import rows
from arena.registry.champion import settle_champion
from arena.registry.home import Home
from arena.registry.schema import TABLES
from arena.registry.store import Registry, RegistryError
from arena.registry.verify import verify
from arena.report.run import read_run

POINTS = {"promote": WON, "keep": LOST}


def play(home: Home, folder: str, baseline: str, candidate: str, points: list) -> Path:
    """A run folder between nets of the registry."""
    nets = (
        NetIdentity("baseline", baseline, sha(baseline)),
        NetIdentity("candidate", candidate, sha(candidate)),
    )
    of = replace(between("x", "y"), nets=nets, sprt=TEST)
    return played(home.root / folder, of, points, reported=False)


def night(home: Home, registry: Registry, name: str, verdict: str) -> None:
    """A whole night with its match and its decision.json."""
    keep(home, registry, name)
    champion = registry.net(registry.champion().sha256)
    begun = registry.begin_night(latest=sha(name), champion=champion.sha256, settings="", name=name)
    folder = f"{begun.folder}/gate"
    run = read_run(play(home, folder, champion.name, name, POINTS[verdict]))
    assert run.judgement.verdict == verdict
    registry.record_match(
        match(
            folder,
            champion.name,
            name,
            night=begun.number,
            stage="gate",
            counts=run.judgement.counts,
            verdict=run.judgement.verdict,
        )
    )
    decided = decision(begun, verdict, name)
    registry.decide(decided)
    settle_champion(home, registry)
    registry.backup(home.backup)
    (home.root / begun.folder / "decision.json").write_text(json.dumps(decided.document))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = first(tmp_path_factory.mktemp("whole") / "home")
    with Registry.open(home.registry) as registry:
        night(home, registry, "one", "promote")
        night(home, registry, "two", "keep")
    return home


@pytest.fixture
def home(whole: Home, tmp_path: Path) -> Iterator[Home]:
    return Home(Path(shutil.copytree(whole.root, tmp_path / "home")))


def found(home: Home, *, quick: bool = False) -> list[str]:
    with Registry.open(home.registry) as registry:
        findings = verify(home, registry, quick=quick)
    return [f"{one.kind}: {one.where}: {one.what}" for one in findings]


def test_nothing_is_found_where_everything_agrees(home: Home) -> None:
    assert found(home) == found(home, quick=True) == []


def gate(home: Home) -> Path:
    return home.root / "nights/0001-one/gate"


def cut_ledger(home: Home) -> None:
    lines = (gate(home) / GAMES_FILE).read_bytes().splitlines(keepends=True)
    (gate(home) / GAMES_FILE).write_bytes(b"".join(lines[:2]))


def another_match(home: Home) -> None:
    shutil.rmtree(gate(home))
    play(home, "nights/0001-one/gate", "first", "two", WON)


def kept(home: Home, name: str) -> Path:
    return home.root / net(name).file


def same_size(path: Path) -> None:
    path.write_bytes(b"X" * path.stat().st_size)


SPOILT: dict[str, tuple[Callable[[Home], object], str]] = {
    "run folder gone": (
        lambda home: shutil.rmtree(gate(home)),
        "problem: nights/0001-one/gate: the run folder of this match is gone",
    ),
    "ledger cut": (cut_ledger, "problem: nights/0001-one/gate: has "),
    "ledger damaged": (
        lambda home: (gate(home) / GAMES_FILE).write_text("{}\n"),
        "problem: nights/0001-one/gate: games.jsonl",
    ),
    "another match": (
        another_match,
        "problem: nights/0001-one/gate: is a match of other nets",
    ),
    "kept net gone": (
        lambda home: kept(home, "one").unlink(),
        f"problem: {net('one').file}: the kept net cannot be read: no such file",
    ),
    "kept net changed": (
        lambda home: same_size(kept(home, "two")),
        f"problem: {net('two').file}: is not the net two",
    ),
    "champion swapped": (
        lambda home: home.champion.write_bytes(b"X"),
        "problem: champion.pb.gz: is not the registry's champion",
    ),
    "champion gone": (
        lambda home: home.champion.unlink(),
        "problem: champion.pb.gz: the champion's file is gone",
    ),
    "decision changed": (
        lambda home: (home.nights / "0002-two/decision.json").write_text('{"verdict": "promote"}'),
        "problem: nights/0002-two/decision.json: says 'promote', but it was decided keep",
    ),
    "decision damaged": (
        lambda home: (home.nights / "0002-two/decision.json").write_text("{"),
        "problem: nights/0002-two/decision.json: cannot be read as a decision",
    ),
    "decision not written": (
        lambda home: (home.nights / "0002-two/decision.json").unlink(),
        "note: nights/0002-two: has no decision.json",
    ),
    "unknown night": (
        lambda home: (home.nights / "0003-three").mkdir(),
        "problem: nights/0003-three: is a night that the registry does not know",
    ),
    "backup damaged": (
        lambda home: home.backup.write_text("X"),
        "problem: registry.backup.sqlite: the backup cannot be read",
    ),
    "backup gone": (
        lambda home: home.backup.unlink(),
        "note: registry.backup.sqlite: the backup is older",
    ),
}


@pytest.mark.parametrize("what", SPOILT)
def test_what_is_spoilt_is_found_and_nothing_else(home: Home, what: str) -> None:
    spoil, expected = SPOILT[what]
    spoil(home)
    (finding,) = found(home)
    assert finding.startswith(expected)


def test_the_quick_one_leaves_games_and_hashes_unread(home: Home) -> None:
    cut_ledger(home)
    same_size(kept(home, "two"))
    assert found(home, quick=True) == []
    assert len(found(home)) == 2


def test_a_change_that_is_pending_and_a_match_that_grows_are_no_problems(home: Home) -> None:
    with Registry.open(home.registry) as registry:
        keep(home, registry, "three")
        begun = registry.begin_night(
            latest=sha("three"), champion=sha("one"), settings="", name="three"
        )
        folder = f"{begun.folder}/gate"
        play(home, folder, "one", "three", WON[:4])
        some = match(folder, "one", "three", night=3, state="unfinished", verdict="undecided")
        registry.record_match(replace(some, counts=replace(some.counts, **dict.fromkeys(
            ("LL", "LD", "WL", "DD", "WD", "WW"), 0))))  # fmt: skip
        assert verify(home, registry) == []
        registry.decide(decision(begun, "promote", "three"))
        assert [one.kind for one in verify(home, registry)] == ["note"] * 3


def rewrite(home: Home, table: str, key: object, **changed: object) -> None:
    """Change a row and its seal, as only a fault of the program does."""
    columns = TABLES[table]
    with closing(sqlite3.connect(home.registry)) as connection, connection:
        connection.execute("DROP TRIGGER decisions_stand")
        row = connection.execute(
            f"SELECT {', '.join(columns)} FROM {table} WHERE {columns[0]} = ?", (key,)
        ).fetchone()
        values = tuple((dict(zip(columns, row, strict=True)) | changed).values())
        connection.execute(
            f"UPDATE {table} SET ({', '.join(columns)}, seal) = ({'?, ' * len(columns)}?) "
            f"WHERE {columns[0]} = ?",
            (*values, rows.seal_of(table, values), key),
        )


@pytest.mark.parametrize(
    ("table", "key", "changed", "expected"),
    [
        ("reigns", 2, {"number": 3}, "reigns: are not numbered"),
        ("reigns", 2, {"ended": "x"}, "reign 2: has ended"),
        ("reigns", 2, {"sha256": sha("two")}, "night 1: promoted a net that has no reign"),
        ("reigns", 2, {"how": "by hand"}, "night 1: promoted a net that has no reign"),
        ("reigns", 2, {"night": 2}, "reign 2: night 2 promoted no net"),
        ("nights", 2, {"number": 3}, "nights: are not numbered"),
        ("nights", 2, {"state": "open", "ended": None}, "nights/0002-two: is open"),
        ("nights", 2, {"champion": sha("first")}, "nights/0002-two: was decided against another"),
        ("decisions", 2, {"verdict": "promote"}, "night 2: promoted a net"),
        ("matches", "nights/0002-two/gate", {"verdict": "promote"}, "its test says keep"),
        ("matches", "nights/0002-two/gate", {"ll": 0}, "has "),
    ],
)
def test_records_that_contradict_each_other_are_found(
    home: Home, table: str, key: object, changed: dict[str, object], expected: str
) -> None:
    rewrite(home, table, key, **changed)
    try:
        lines = found(home)
    except RegistryError as error:  # what SQLite itself finds: a row that others refer to
        lines = [str(error)]
        expected = "refers to one that is not there"
    assert any(expected in line for line in lines), lines
