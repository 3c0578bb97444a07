"""Parts of a match become the match: what is taken, what is refused, what a crash leaves."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scripted_games import ScriptedGames, Watcher, identity_of, play_match, write_book
from scripted_match import OPENINGS, identity, pair, run_folder

from arena.cli import main
from arena.config import Part
from arena.faults import VoidPair, note_void, read_void
from arena.game import PairRecord
from arena.ledger import GAMES_FILE, Ledger, read_pairs
from arena.match import Ending, deck_of, run_match
from arena.match_file import LedgerError, read_identity
from arena.merge import MergeError, merge
from arena.openings import Book
from arena.report.folder import write_reports
from arena.report.run import read_run
from arena.report.summary import summarize
from arena.sessions import Pace, Session, read_sessions, session_ended, session_started
from arena.stats.pentanomial import PairCounts
from arena.stats.sprt import Sprt

LIMIT = 16
ALL = [pair(number, 1.0, (0.0, 0.5, 1.0)[number % 3]) for number in range(LIMIT)]


@pytest.fixture(autouse=True)
def _quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda descriptor: None)


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Book:
    return write_book(tmp_path_factory.mktemp("book"))


def part_folder(folder: Path, numbers: Sequence[int], **changes: object) -> Path:
    return run_folder(folder, identity(**changes), [ALL[number] for number in numbers])


def numbers_of(folder: Path) -> list[int]:
    return [record.number for record in read_pairs(folder)]


def content_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def session(began: int, part: str | None = None, device: str = "cpu (one)") -> Session:
    started = f"2025-01-31T00:00:{began:02}+00:00"
    return Session(
        started, ("arena", "run"), {}, device, 4, began, part=Part.parse(part) if part else None
    )


# --- what is taken ---


@pytest.mark.parametrize("settings", [{"sprt": None}, {"sprt": (0.0, 80.0)}], ids=["fixed", "sprt"])
def test_parts_that_are_merged_are_judged_like_one_match(
    book: Book, tmp_path: Path, settings: dict[str, object]
) -> None:
    whole = play_match(tmp_path / "whole", book, ScriptedGames(), Watcher(), pairs=90, **settings)
    match = identity_of(book, pairs=90, **settings)
    parts = []
    for number in (3, 1, 2):
        parts.append(tmp_path / f"part-{number}")
        watcher = Watcher()
        with Ledger.open_or_create(parts[-1], match) as ledger:
            outcome = run_match(
                ledger, deck_of(match, book), ScriptedGames(), watcher, part=Part(number, 3)
            )
        assert outcome.ending is Ending.PART
        assert outcome.state.finished == 30
        assert outcome.state.left == 0
        assert [state.left for state in watcher.states] == list(range(30, -1, -1))
        assert sorted(numbers_of(parts[-1])) == list(range(number - 1, 90, 3))
    merged = merge(tmp_path / "merged", parts)
    assert (merged.added, merged.duplicates, merged.pairs) == (90, 0, 90)
    run = read_run(tmp_path / "merged")
    assert run.judgement == whole.state.judgement
    counted = run.judgement.seen
    assert run.pairs[:counted] == read_run(tmp_path / "whole").pairs[:counted]


def test_a_part_decides_where_it_alone_is_the_whole_match(book: Book, tmp_path: Path) -> None:
    match = identity_of(book, pairs=300, sprt=(0.0, 80.0))
    games = ScriptedGames()
    games.win = 0.6
    with Ledger.open_or_create(tmp_path / "run", match) as ledger:
        outcome = run_match(ledger, deck_of(match, book), games, Watcher(), part=Part(1, 1))
    assert outcome.ending is Ending.DECIDED


@given(
    st.lists(st.lists(st.sampled_from(range(LIMIT)), unique=True, max_size=LIMIT), min_size=1),
)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_folders_of_a_match_merge_into_their_union(
    tmp_path_factory: pytest.TempPathFactory, shares: list[list[int]]
) -> None:
    folder = tmp_path_factory.mktemp("union")
    parts = [part_folder(folder / str(k), numbers) for k, numbers in enumerate(shares)]
    union = set().union(*shares)
    for parts_in_order in (parts, parts[::-1]):
        merged = merge(folder / "out", parts_in_order)
        assert merged.pairs == len(union)
        assert sorted(read_pairs(folder / "out"), key=lambda record: record.number) == [
            ALL[number] for number in sorted(union)
        ]
    assert merged.added == 0
    assert merged.duplicates == sum(map(len, shares))


def test_a_merge_is_gone_on_with_like_any_match(book: Book, tmp_path: Path) -> None:
    match = identity_of(book, pairs=20, sprt=None)
    for number in (1, 2):
        with Ledger.open_or_create(tmp_path / str(number), match) as ledger:
            run_match(
                ledger, deck_of(match, book), ScriptedGames(), Watcher(), part=Part(number, 3)
            )
    merge(tmp_path / "merged", [tmp_path / "1", tmp_path / "2"])
    outcome = play_match(tmp_path / "merged", book, ScriptedGames(), Watcher(), pairs=20, sprt=None)
    whole = play_match(tmp_path / "whole", book, ScriptedGames(), Watcher(), pairs=20, sprt=None)
    assert outcome.state.resumed == 14
    assert outcome.state.judgement == whole.state.judgement


def test_the_same_merge_again_adds_what_is_new(tmp_path: Path) -> None:
    one = part_folder(tmp_path / "one", [0, 2])
    two = part_folder(tmp_path / "two", [1])
    merge(tmp_path / "out", [one, two])
    before = (tmp_path / "out" / GAMES_FILE).read_bytes()
    part_folder(one, [4])
    merged = merge(tmp_path / "out", [one, two])
    assert (merged.added, merged.duplicates, merged.pairs) == (1, 3, 4)
    assert (tmp_path / "out" / GAMES_FILE).read_bytes().startswith(before)
    assert numbers_of(tmp_path / "out") == [0, 2, 1, 4]


def test_a_folder_that_is_named_twice_or_is_the_target_is_taken_once(tmp_path: Path) -> None:
    one = part_folder(tmp_path / "one", [0, 1])
    merged = merge(one, [one, part_folder(tmp_path / "two", [2]), tmp_path / "two" / ".." / "two"])
    assert (merged.added, merged.pairs) == (1, 3)


def test_evaluations_and_times_may_differ_from_machine_to_machine(tmp_path: Path) -> None:
    first, second = ALL[0].games
    slower = replace(first, q=(0.5,) * len(first.q), visits=(9,) * len(first.q))
    one = part_folder(tmp_path / "one", [0])
    two = run_folder(tmp_path / "two", identity(), [replace(ALL[0], games=(slower, second))])
    assert merge(tmp_path / "out", [one, two]).pairs == 1
    assert list(read_pairs(tmp_path / "out")) == [ALL[0]]


def test_the_highest_of_several_limits_is_taken(tmp_path: Path) -> None:
    folders = [
        part_folder(tmp_path / str(limit), [number], pairs=limit)
        for number, limit in enumerate((12, 16, 14))
    ]
    match = merge(tmp_path / "out", folders).identity
    assert (match.pairs, match.earlier_limits) == (16, (12, 14))
    assert read_identity(tmp_path / "out") == match


# --- sessions ---


def test_sessions_come_with_their_pairs(tmp_path: Path) -> None:
    folders = []
    for number, device in ((1, "cpu (one)"), (2, "cpu (two)")):
        folder = tmp_path / str(number)
        folders.append(folder)
        with Ledger.open_or_create(folder, identity(sprt=None)) as ledger:
            for began in (0, 3):
                session_started(folder, session(began, f"{number}/2", device))
                for index in range(began, began + 3):
                    ledger.append(ALL[2 * index + number - 1])
                session_ended(folder, Pace(seconds=60.0, pairs=3))
    out = tmp_path / "out"
    for _ in range(2):
        merge(out, folders)
        sessions = read_sessions(out)
        assert [one.pairs_before for one in sessions] == [0, 3, 6, 9]
        assert [str(one.part) for one in sessions] == ["1/2", "1/2", "2/2", "2/2"]
        assert all(one.ended for one in sessions)
        summary = summarize(read_run(out))
        assert summary["throughput"]["pairs_per_minute"] == 3.0
        assert summary["device"] == "cpu (one), then cpu (two)"
        assert summary["parts"] == ["1/2", "2/2"]


def test_machines_are_put_to_the_test_of_homogeneity(tmp_path: Path) -> None:
    """The first machine wins everything, the second loses everything."""
    folders = []
    for number, points in ((1, 1.0), (2, 0.0)):
        folder = tmp_path / str(number)
        folders.append(folder)
        with Ledger.open_or_create(folder, identity(sprt=None)) as ledger:
            session_started(folder, session(0, f"{number}/2"))
            for index in range(number - 1, LIMIT, 2):
                ledger.append(pair(index, points, points))
    merge(tmp_path / "out", folders)
    run = read_run(tmp_path / "out")
    assert run.parts == [PairCounts(WW=8), PairCounts(LL=8)]
    found = summarize(run)["homogeneity"]
    assert found is not None
    assert found["p_value"] < 0.001


def test_a_session_that_was_merged_while_it_played_is_told_to_its_end(tmp_path: Path) -> None:
    folder, out = tmp_path / "one", tmp_path / "out"
    with Ledger.open_or_create(folder, identity(sprt=None)) as ledger:
        session_started(folder, session(0, "1/2"))
        ledger.append(ALL[0])
        merge(out, [folder])
        ledger.append(ALL[2])
        session_ended(folder, Pace(seconds=60.0, pairs=2))
    merge(out, [folder])
    sessions = read_sessions(out)
    assert [one.pairs_before for one in sessions] == [0, 1]
    assert summarize(read_run(out))["throughput"]["pairs_per_minute"] == 2.0


def test_pairs_of_no_known_session_come_too(tmp_path: Path) -> None:
    folder = part_folder(tmp_path / "one", [0, 1, 2])
    session_started(folder, session(2))
    merge(tmp_path / "out", [folder])
    assert numbers_of(tmp_path / "out") == [0, 1, 2]
    assert [one.pairs_before for one in read_sessions(tmp_path / "out")] == [2]


def test_void_pairs_are_not_forgotten(tmp_path: Path) -> None:
    """Or the verdict that a part must not give would come out of the merge."""
    one, two = part_folder(tmp_path / "one", [0, 2]), part_folder(tmp_path / "two", [1])
    voids = [VoidPair(number, 1, "out of memory", "2025-01-31T00:00:00") for number in (0, 2, 2)]
    for void in voids:
        note_void(one, void)
    note_void(two, other := VoidPair(1, 2, "out of memory", "2025-01-31T00:00:00"))
    copy = shutil.copytree(one, tmp_path / "copy")
    for _ in range(2):
        merge(tmp_path / "out", [one, two, copy])
        assert read_void(tmp_path / "out") == [*voids, other]


# --- what is refused ---


def other_games(number: int) -> PairRecord:
    points = 0.5 if ALL[number].points[1] != 0.5 else 0.0
    return pair(number, 1.0, points)


@pytest.mark.parametrize("into_existing", [False, True])
def test_other_games_as_the_same_pair_are_refused(tmp_path: Path, into_existing: bool) -> None:
    one = part_folder(tmp_path / "one", [0, 3])
    two = run_folder(tmp_path / "two", identity(), [ALL[1], other_games(3)])
    out = tmp_path / "out"
    folders = [one, two]
    if into_existing:
        merge(out, [one])
        folders = [two]
    before = content_of(out)
    with pytest.raises(MergeError) as refusal:
        merge(out, folders)
    message = str(refusal.value)
    assert message.startswith("pair 3 is not the same in ")
    assert "two/games.jsonl: game 2 differs from ply 1 after the opening" in message
    assert len(message.splitlines()) <= 3
    assert content_of(out) == before


def test_where_games_part_is_told(tmp_path: Path) -> None:
    first, second = ALL[0].games
    shorter = replace(
        first, moves=first.moves[:3], q=first.q[:3], d=first.d[:3], visits=first.visits[:3]
    )
    others = {
        "game 1 differs from ply 4 after the opening": replace(ALL[0], games=(shorter, second)),
        f"game 1 differs from ply {len(first.moves) + 1} after the opening": replace(
            ALL[0], games=(replace(first, result="1/2-1/2"), second)
        ),
        "another opening": replace(ALL[0], opening=OPENINGS[5]),
    }
    one = part_folder(tmp_path / "one", [0])
    for number, (words, other) in enumerate(others.items()):
        two = run_folder(tmp_path / str(number), identity(), [other])
        with pytest.raises(MergeError, match=words):
            merge(tmp_path / "out", [one, two])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("other", "shown"),
    [
        ({"visits": 200}, "search.visits: 100 -> 200"),
        ({"sprt": Sprt(0, 40)}, "sprt.elo1: 50 -> 40"),
        ({"sprt": None}, "sprt.elo0: 0 -> none; and"),
    ],
)
def test_parts_of_another_match_are_refused(
    tmp_path: Path, other: dict[str, object], shown: str
) -> None:
    one = part_folder(tmp_path / "one", [0])
    two = part_folder(tmp_path / "two", [1], **other)
    with pytest.raises(MergeError) as refusal:
        merge(tmp_path / "out", [one, two])
    assert "are no parts of one match" in str(refusal.value)
    assert shown in str(refusal.value)
    assert not (tmp_path / "out").exists()
    with pytest.raises(MergeError, match="are no parts of one match"):
        merge(one, [two])
    assert numbers_of(one) == [0]


def test_folders_that_are_none_damaged_or_in_use_are_refused(tmp_path: Path) -> None:
    one = part_folder(tmp_path / "one", [0])
    with pytest.raises(LedgerError, match="not a run folder"):
        merge(tmp_path / "out", [one, tmp_path / "none"])
    broken = part_folder(tmp_path / "broken", [1, 2])
    path = broken / GAMES_FILE
    path.write_bytes(b"{}\n" + path.read_bytes())
    with pytest.raises(LedgerError, match="line 1: broken"):
        merge(tmp_path / "out", [one, broken])
    assert not (tmp_path / "out").exists()
    with (
        Ledger.open_or_create(one, identity()),
        pytest.raises(LedgerError, match="another process is playing this match"),
    ):
        merge(one, [part_folder(tmp_path / "two", [3])])


# --- crashes ---


def test_a_merge_that_is_cut_short_is_ended_by_the_same_merge(tmp_path: Path) -> None:
    """Wherever the new ledger is cut, whatever sessions it has by then."""
    folders = []
    for number in (1, 2):
        folder = tmp_path / str(number)
        folders.append(folder)
        with Ledger.open_or_create(folder, identity(pairs=4)) as ledger:
            session_started(folder, session(0, f"{number}/2"))
            for index in range(number - 1, 4, 2):
                ledger.append(ALL[index])
    out = tmp_path / "out"
    merge(out, folders)
    games = (out / GAMES_FILE).read_bytes()
    for cut in range(0, len(games), 29):
        (out / GAMES_FILE).write_bytes(games[:cut])
        merge(out, folders)
        assert (out / GAMES_FILE).read_bytes() == games
        assert read_run(out).judgement.seen == 4


def test_a_torn_line_of_a_part_is_not_taken(tmp_path: Path) -> None:
    one = part_folder(tmp_path / "one", [0, 1])
    path = one / GAMES_FILE
    path.write_bytes(path.read_bytes()[:-5])
    assert merge(tmp_path / "out", [one]).pairs == 1
    assert path.read_bytes()[-5:] != b"\n", "a part is only read"


# --- the command ---


def test_the_command_merges_and_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = part_folder(tmp_path / "one", range(0, LIMIT, 2), sprt=None)
    two = part_folder(tmp_path / "two", range(1, LIMIT, 2), sprt=None)
    out = tmp_path / "out"
    assert main(["merge", str(out), str(one), str(two)]) == 0
    shown = capsys.readouterr()
    assert shown.err == "16 pairs added; 16 of 16 are there.\n"
    assert "Games: 32" in shown.out
    assert shown.out.endswith(f"Report: {out}/report.md, {out}/report.html\n")
    whole = run_folder(tmp_path / "whole", identity(sprt=None), ALL)
    write_reports(whole)
    assert (out / "games.pgn").read_bytes() == (whole / "games.pgn").read_bytes()
    assert main(["merge", str(out), str(one), "--json"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out) == json.loads((out / "summary.json").read_text())
    assert shown.err == "0 pairs added, 8 were there already; 16 of 16 are there.\n"
    assert main(["merge", str(out), str(one), "-q"]) == 0
    assert capsys.readouterr() == ("", "")


def test_the_command_refuses_in_three_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = part_folder(tmp_path / "one", [0])
    two = part_folder(tmp_path / "two", [1], visits=7)
    assert main(["merge", str(tmp_path / "out"), str(one), str(two)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert 1 <= len(shown.err.splitlines()) <= 3
    assert "no parts of one match" in shown.err
