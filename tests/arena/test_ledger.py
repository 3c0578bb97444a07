"""The run folder: what is written is read back, and what a crash tears is told from damage."""

from __future__ import annotations

import errno
import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_games import NETS

from arena.adjudication_rules import NO_RULES, AdjudicationRules, DrawRule, ResignRule
from arena.config import SearchParams
from arena.game import NO_SCORE, GameRecord, Opening, PairRecord, PlayedOn, Remark, Termination
from arena.ledger import GAMES_FILE, Ledger, read_pairs
from arena.ledger_line import decode_pair, encode_pair
from arena.match_file import (
    MATCH_FILE,
    BookIdentity,
    LedgerError,
    MatchIdentity,
    NetIdentity,
    TablesIdentity,
    differences,
    from_table,
    read_identity,
    to_table,
    write_identity,
)
from arena.stats.sprt import EloModel, Sprt

IDENTITY = MatchIdentity(
    nets=NETS,
    evaluator="net",
    dtype="float32",
    search=SearchParams(),
    sprt=Sprt(0.0, 10.0),
    pairs=50,
    openings=BookIdentity("book.epd", "c" * 64, 702, "random"),
    seed=7,
)

RULES = {"tablebase": False, "maxmoves": 0, "audit": 0.05}


TABLES = TablesIdentity("e" * 64, files=290, pieces=5, search=True, fast_play=False)


def pair(number: int, result: str = "1-0") -> PairRecord:
    game = GameRecord(
        True, ("e2e4", "e7e8q"), result, Termination.CHECKMATE, (0.1, -1.0), (0.3, 0.0), (1, 100)
    )
    opening = Opening("8/8/8/8/8/8/8/8 w - - 0 1", ("d2d4",), "A „quoted“ name")
    return PairRecord(number, opening, (game, replace(game, candidate_white=False)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run folder with pairs 2, 0 and 1, finished in this order."""
    with Ledger.open_or_create(tmp_path / "run", IDENTITY) as ledger:
        for number in (2, 0, 1):
            ledger.append(pair(number))
    return tmp_path / "run"


# --- pairs ---

numbers = st.floats(-1.0, 1.0)
moves = st.from_regex(r"[a-h][1-8][a-h][1-8][qrbn]?", fullmatch=True)


remarks = st.builds(
    Remark,
    st.sampled_from(["", "+0.35", "-M3", "#-2"]),
    st.integers(0, 200),
    st.floats(0, 1e6),
    st.none() | st.floats(-10, 1e6),
)
results = st.sampled_from(["1-0", "0-1", "1/2-1/2"])
played_on = st.builds(
    PlayedOn,
    st.lists(moves, max_size=5).map(tuple),
    results,
    st.sampled_from(Termination),
    st.integers(0, 10**9),
)


@st.composite
def games(draw: st.DrawFn, candidate_white: bool) -> GameRecord:
    played = draw(st.lists(moves, max_size=5))

    def one_a_move(values: st.SearchStrategy[Any]) -> tuple[Any, ...]:
        return tuple(draw(st.lists(values, min_size=len(played), max_size=len(played))))

    return GameRecord(
        candidate_white,
        tuple(played),
        draw(results),
        draw(st.sampled_from(Termination)),
        one_a_move(numbers),
        one_a_move(st.floats(0.0, 1.0)),
        one_a_move(st.integers(0, 10**9)),
        one_a_move(remarks) if draw(st.booleans()) else (),
        draw(st.none() | played_on),
    )


pair_records = st.builds(
    PairRecord,
    st.integers(0, 10**6),
    st.builds(Opening, st.text(), st.lists(moves).map(tuple), st.text()),
    st.tuples(games(True), games(False)),
)


PLAYED_ON = {"moves": "a2a3", "result": "1-0", "termination": "checkmate", "evaluations": 5}


@given(pair_records)
def test_a_pair_is_read_back_as_it_was_written(record: PairRecord) -> None:
    line = encode_pair(record)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert decode_pair(json.loads(line)) == record


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pair": 1.5}, "number"),
        ({"pair": True}, "number"),
        ({"extra": 1}, "nothing else"),
        ({"games": []}, "two games"),
        ({"games": [{}, {}]}, "a game must have"),
        ({"opening": {"fen": 1, "moves": "", "name": ""}}, "fen"),
        ({"opening": {"fen": "", "moves": "e2-e4", "name": ""}}, "UCI"),
        ({"game": {"result": "2-0"}}, "'2-0' is no result"),
        ({"game": {"termination": "boredom"}}, "boredom"),
        ({"game": {"candidate": "black"}}, "candidate has white in the first"),
        ({"game": {"moves": "e2e4"}}, "q must be one number a move"),
        ({"game": {"q": [0.0, 1.5]}}, "q must be"),
        ({"game": {"q": [0.0, float("nan")]}}, "q must be"),
        ({"game": {"d": [-0.1, 0.0]}}, "d must be"),
        ({"game": {"visits": [1, -1]}}, "visits"),
        ({"game": {"visits": [1.0, 1]}}, "visits"),
        ({"game": {"remarks": []}}, "remarks must have"),
        ({"game": {"remarks": {"speed": [1, 2]}}}, "remarks must have"),
        ({"game": {"remarks": {"depth": [1]}}}, "depth must be one a move"),
        ({"game": {"remarks": {"depth": [1, True]}}}, "depth must be one a move"),
        ({"game": {"remarks": {"score": ["+1", "}"]}}}, "score must be one a move"),
        ({"game": {"remarks": {"seconds": [1, -0.5]}}}, "seconds must be one a move"),
        ({"game": {"remarks": {"clock": [None, "1"]}}}, "clock must be one a move"),
        ({"game": {"remarks": {"clock": [None, float("inf")]}}}, "clock must be one a move"),
        ({"game": {"played_on": {}}}, "what was played on must have"),
        (
            {"game": {"played_on": PLAYED_ON | {"result": "*"}}},
            "'\\*' is no result",
        ),
        ({"game": {"played_on": PLAYED_ON | {"evaluations": -1}}}, "evaluations must be"),
    ],
)
def test_a_line_that_is_no_pair_is_refused(change: dict[str, Any], message: str) -> None:
    values = json.loads(encode_pair(pair(0)))
    values["games"][0] |= change.pop("game", {})
    with pytest.raises(ValueError, match=message):
        decode_pair(values | change)


def test_what_a_game_does_not_have_has_no_key() -> None:
    game = pair(0).games[0]
    with_both = replace(
        game,
        remarks=(Remark(NO_SCORE, depth=3), Remark(clock=1.5)),
        played_on=PlayedOn(("a2a3",), "1-0", Termination.CHECKMATE, 5),
    )
    both = replace(pair(0), games=(with_both, pair(0).games[1]))
    first, second = json.loads(encode_pair(both))["games"]
    assert first["remarks"] == {"score": ["?", ""], "depth": [3, 0], "clock": [None, 1.5]}
    assert first["played_on"] == PLAYED_ON
    assert second.keys() == first.keys() - {"remarks", "played_on"}


def test_what_could_not_be_read_back_is_not_written(folder: Path) -> None:
    before = (folder / GAMES_FILE).read_bytes()
    wrong = pair(5)
    wrong = replace(wrong, games=(replace(wrong.games[0], q=(0.1,)), wrong.games[1]))
    with Ledger.open_or_create(folder, IDENTITY) as ledger, pytest.raises(ValueError, match="q"):
        ledger.append(wrong)
    assert (folder / GAMES_FILE).read_bytes() == before


# --- match.toml ---

texts = st.text(st.characters(codec=None))
shares = st.floats(0.001, 0.4)
identities = st.builds(
    MatchIdentity,
    nets=st.tuples(
        st.builds(NetIdentity, st.just("baseline"), texts, texts),
        st.builds(NetIdentity, st.just("candidate"), texts, texts),
    ),
    evaluator=texts,
    dtype=texts,
    search=st.builds(
        SearchParams,
        cpuct=st.floats(0, 1e9),
        two_fold_draws=st.booleans(),
        temperature=st.floats(0, 100),
        reuse_tree=st.booleans(),
        draw_score=st.floats(-1, 1),
        fpu_strategy=st.sampled_from(["reduction", "absolute"]),
        smart_pruning_factor=st.floats(0, 10),
    ),
    sprt=st.none()
    | st.builds(
        Sprt, st.floats(-99, 0), st.floats(1, 99), shares, shares, st.sampled_from(EloModel)
    ),
    pairs=st.integers(701, 10**9),
    openings=st.builds(
        BookIdentity, texts, texts, st.integers(1), st.sampled_from(["random", "sequential"])
    ),
    seed=st.integers(0, 2**63 - 1),
    tables=st.none()
    | st.builds(
        TablesIdentity, texts, st.integers(0), st.integers(3, 7), st.booleans(), st.booleans()
    ),
    earlier_limits=st.sampled_from([(), (1,), (3, 700)]),
    adjudication=st.just(NO_RULES)
    | st.builds(
        AdjudicationRules,
        draw=st.none() | st.just(DrawRule(drawn=0.5)),
        resign=st.none() | st.just(ResignRule(movecount=7, twosided=True)),
        tablebase=st.booleans(),
        maxmoves=st.integers(1, 500),
        audit=shares,
    ),
)


@given(identity=identities)
def test_a_match_is_read_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, identity: MatchIdentity
) -> None:
    folder = tmp_path_factory.getbasetemp() / "identity"
    folder.mkdir(exist_ok=True)
    write_identity(folder, identity)
    text = (folder / MATCH_FILE).read_text(encoding="utf-8")
    back = read_identity(folder)
    assert differences(identity, back) == [] or "\\ud" in text  # half a surrogate pair is no text
    write_identity(folder, back)
    assert (folder / MATCH_FILE).read_text(encoding="utf-8") == text


def test_match_toml_is_legible_and_stable(folder: Path) -> None:
    text = (folder / MATCH_FILE).read_text()
    start = """\
# What decides this match; written once by arena, and not to be changed.
format = 2
evaluator = "net"
dtype = "float32"
pairs = 50
seed = 7

[nets.baseline]
name = "raw"
"""
    assert text.startswith(start)
    assert "\n[sprt]\nelo0 = 0.0\nelo1 = 10.0\nalpha = 0.05\n" in text
    assert "\n[search]\nvisits = 100\ncpuct = 1.745\ncpuct-base = 38739.0\n" in text
    assert text.endswith("moves-left-quadratic-factor = -0.6521\n")  # as before there was noise
    assert os.listdir(folder).count(MATCH_FILE) == 1
    assert len(os.listdir(folder)) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 1}, "format is 1"),
        ({"seed": "x"}, "'seed' in the first table cannot be 'x'"),
        ({"pairs": True}, "'pairs'"),
        ({"sed": 1}, "unknown 'sed'"),
        ({"earlier-limits": 20}, "'earlier-limits' in the first table cannot be 20"),
        ({"earlier-limits": [20, 10]}, "'earlier-limits'"),
        ({"earlier-limits": [50]}, "'earlier-limits'"),
        ({"earlier-limits": [True]}, "'earlier-limits'"),
        ({"nets": {"baseline": {}}}, "nets lacks 'candidate'"),
        ({"search": None}, "no table 'search'"),
        ({"search": {"visits": 0}}, "search lacks"),
        ({"openings": {}}, "openings lacks"),
        ({"tb": {"sha256": "e"}}, "tb lacks"),
        ({"tb": asdict(TABLES) | {"search": 1}}, "'search' in tb cannot be 1"),
        ({"adjudication": []}, "no table 'adjudication'"),
        ({"adjudication": {}}, "adjudication lacks"),
        ({"adjudication": {**RULES, "win": 1}}, "adjudication has an unknown 'win'"),
        ({"adjudication": {**RULES, "draw": "movecount=0"}}, "movecount=0: must be from 1"),
        ({"adjudication": {**RULES, "resign": 3}}, "'3' should be KEY=VALUE"),
        (
            {
                "sprt": {
                    "elo0": 5.0,
                    "elo1": 0.0,
                    "alpha": 0.05,
                    "beta": 0.05,
                    "model": "logistic",
                    "method": "gsprt",
                }
            },
            "elo0 must be the smaller",
        ),
    ],
)
def test_a_match_toml_that_was_changed_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_table(to_table(IDENTITY) | change)


@pytest.mark.parametrize(
    ("other", "shown"),
    [
        (replace(IDENTITY, seed=8), "seed: 7 -> 8"),
        (replace(IDENTITY, pairs=40), "pairs: 50 -> 40"),
        (replace(IDENTITY, dtype="float16"), "dtype: float32 -> float16"),
        (replace(IDENTITY, search=SearchParams(visits=800)), "search.visits: 100 -> 800"),
        (
            replace(IDENTITY, search=SearchParams(temperature=0.5)),
            "search.temperature: 0.0 -> 0.5",
        ),
        (replace(IDENTITY, sprt=None), "sprt.elo0: 0.0 -> none"),
        (replace(IDENTITY, tables=TABLES), "tb.pieces: none -> 5"),
        (
            replace(IDENTITY, nets=(NETS[0], replace(NETS[1], sha256="d" * 64))),
            "nets.candidate.sha256: bbbbbbbbbbbb... -> dddddddddddd...",
        ),
        (
            replace(IDENTITY, openings=replace(IDENTITY.openings, order="sequential")),
            "openings.order: random -> sequential",
        ),
        (
            replace(IDENTITY, adjudication=AdjudicationRules(resign=ResignRule())),
            "adjudication.resign: none -> movecount=3 score=600",
        ),
    ],
)
def test_a_folder_of_another_match_is_refused_with_the_difference(
    folder: Path, other: MatchIdentity, shown: str
) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(LedgerError) as refusal:
        Ledger.open_or_create(folder, other)
    assert shown in str(refusal.value)
    assert len(str(refusal.value).splitlines()) == 3
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_higher_limit_is_taken_and_the_old_one_kept_beside_it(folder: Path) -> None:
    text = (folder / MATCH_FILE).read_text()
    for limit, earlier in ((60, (50,)), (60, (50,)), (75, (50, 60))):
        asked = replace(IDENTITY, pairs=limit)
        with Ledger.open_or_create(folder, asked) as ledger:
            assert len(ledger.results) == 3
            assert ledger.identity == replace(asked, earlier_limits=earlier)
        assert read_identity(folder) == ledger.identity
        with pytest.raises(LedgerError, match=f"pairs: {limit} -> 50"):
            Ledger.open_or_create(folder, IDENTITY)
    with Ledger.open_or_create(folder, replace(IDENTITY, pairs=75)) as ledger:
        assert ledger.raised_from is None
        ledger.append(pair(74))
    raised = (folder / MATCH_FILE).read_text()
    assert raised == text.replace("pairs = 50\n", "pairs = 75\nearlier-limits = [50, 60]\n")


@pytest.mark.parametrize(
    "other",
    [Sprt(0.0, 5.0), Sprt(0.0, 10.0, alpha=0.1), None],
    ids=["bounds", "alpha", "no test"],
)
def test_a_test_is_never_changed_not_even_with_the_limit(folder: Path, other: Sprt | None) -> None:
    before = (folder / MATCH_FILE).read_bytes()
    with pytest.raises(LedgerError, match=r"sprt\.") as refusal:
        Ledger.open_or_create(folder, replace(IDENTITY, pairs=60, sprt=other))
    assert "pairs:" not in str(refusal.value)
    assert "A test is chosen before the first game" in str(refusal.value)
    assert (folder / MATCH_FILE).read_bytes() == before


def test_the_limit_of_a_broken_folder_is_not_raised(folder: Path) -> None:
    path = folder / GAMES_FILE
    path.write_bytes(b"{}\n" + path.read_bytes())
    with pytest.raises(LedgerError, match="line 1: broken"):
        Ledger.open_or_create(folder, replace(IDENTITY, pairs=60))
    assert read_identity(folder) == IDENTITY


def test_a_renamed_net_or_book_is_still_the_same(folder: Path) -> None:
    renamed = replace(
        IDENTITY,
        nets=(NETS[0], replace(NETS[1], name="swa-2")),
        openings=replace(IDENTITY.openings, file="moved.epd"),
    )
    with Ledger.open_or_create(folder, renamed) as ledger:
        assert len(ledger.results) == 3


def test_games_without_match_toml_are_refused(folder: Path) -> None:
    (folder / MATCH_FILE).unlink()
    with pytest.raises(LedgerError, match=r"has games\.jsonl but no match\.toml"):
        Ledger.open_or_create(folder, IDENTITY)


def test_what_is_no_run_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="not a run folder"):
        read_identity(tmp_path)
    (tmp_path / MATCH_FILE).write_text("visits == 3")
    with pytest.raises(LedgerError, match="not as arena wrote it"):
        read_identity(tmp_path)
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(LedgerError, match="cannot be used as a run folder: file exists"):
        Ledger.open_or_create(file, IDENTITY)


# --- appending, resuming ---


def test_pairs_are_resumed_and_read_in_the_order_they_finished(folder: Path) -> None:
    assert [record.number for record in read_pairs(folder)] == [2, 0, 1]
    with Ledger.open_or_create(folder, IDENTITY) as ledger:
        assert {number: result.points for number, result in ledger.results.items()} == (
            dict.fromkeys((0, 1, 2), (1.0, 0.0))
        )
        assert ledger.results[2] == pair(2).result
        assert ledger.torn_bytes == 0
        ledger.append(pair(3, "1/2-1/2"))
        assert ledger.results[3] == pair(3, "1/2-1/2").result
    assert list(read_pairs(folder)) == [pair(2), pair(0), pair(1), pair(3, "1/2-1/2")]


@pytest.mark.parametrize("number", [-1, 50, 2])
def test_a_pair_outside_the_match_or_there_already_is_not_taken(folder: Path, number: int) -> None:
    with (
        Ledger.open_or_create(folder, IDENTITY) as ledger,
        pytest.raises(LedgerError, match=f"pair {number} is"),
    ):
        ledger.append(pair(number))
    assert len(list(read_pairs(folder))) == 3


def test_a_last_line_torn_anywhere_is_cut_off(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # a thousand take a minute
    path = folder / GAMES_FILE
    whole = path.read_bytes()
    *before, last = whole.splitlines(keepends=True)
    kept = b"".join(before)
    for length in range(len(last)):
        path.write_bytes(kept + last[:length])
        assert [record.number for record in read_pairs(folder)] == [2, 0]
        with Ledger.open_or_create(folder, IDENTITY) as ledger:
            assert sorted(ledger.results) == [0, 2]
            assert ledger.torn_bytes == length
            ledger.append(pair(1))
        assert path.read_bytes() == whole


@pytest.mark.parametrize("rest", [b"\0" * 300, b'{"pair": 1\n', b"\0" * 100 + b"\n", b"\xff\xfe\n"])
def test_what_a_power_cut_leaves_at_the_end_is_cut_off(folder: Path, rest: bytes) -> None:
    path = folder / GAMES_FILE
    whole = path.read_bytes()
    path.write_bytes(whole + rest)
    with Ledger.open_or_create(folder, IDENTITY) as ledger:
        assert ledger.torn_bytes == len(rest)
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{\n", "line 2: broken: not JSON"),
        (b"\n", "line 2: broken: not JSON"),
        (b"{}\n", "line 2: broken: the pair must have"),
        (b"[" * 5000 + b"\n", "line 2: broken: not JSON"),
        (encode_pair(pair(2)), "pair 2 is there twice"),
        (encode_pair(pair(50)), "pair 50 is not one of the match's 50"),
    ],
)
def test_damage_that_no_crash_does_is_an_error(folder: Path, line: bytes, message: str) -> None:
    path = folder / GAMES_FILE
    first, _, third = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + line + third)
    with pytest.raises(LedgerError, match=message):
        Ledger.open_or_create(folder, IDENTITY)
    with pytest.raises(LedgerError, match=message):
        list(read_pairs(folder))
    assert path.read_bytes() == first + line + third


def test_a_whole_last_line_that_is_no_pair_is_an_error(folder: Path) -> None:
    with (folder / GAMES_FILE).open("ab") as file:
        file.write(b'{"pair": 4}\n')
    with pytest.raises(LedgerError, match="line 4: broken"):
        Ledger.open_or_create(folder, IDENTITY)


# --- a disk that is full ---


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file may grow beyond this: the kernel writes what fits, then refuses, as a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room", [0, 1, 100])
def test_on_a_full_disk_the_pair_does_not_count_and_nothing_is_lost(
    folder: Path, room: int
) -> None:
    path = folder / GAMES_FILE
    whole = path.read_bytes()
    with Ledger.open_or_create(folder, IDENTITY) as ledger:
        with largest_file(len(whole) + room), pytest.raises(LedgerError) as refusal:
            ledger.append(pair(3))
        assert "cannot write pair 3: file too large" in str(refusal.value)
        assert "the 3 pairs before it are safe" in str(refusal.value)
        assert 3 not in ledger.results
        assert path.read_bytes() == whole
        ledger.append(pair(3))
    assert [record.number for record in read_pairs(folder)] == [2, 0, 1, 3]


def test_a_line_that_cannot_be_cut_off_at_once_is_cut_off_before_the_next(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with Ledger.open_or_create(folder, IDENTITY) as ledger:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fail)
            patch.setattr(os, "ftruncate", fail)
            with pytest.raises(LedgerError, match="no space left on device"):
                ledger.append(pair(3))
        ledger.append(pair(4))
    assert [record.number for record in read_pairs(folder)] == [2, 0, 1, 4]


def test_a_folder_that_cannot_be_made_is_no_run_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(LedgerError, match=r"match\.toml: cannot be written: no space left"):
            Ledger.open_or_create(tmp_path / "run", IDENTITY)
    assert not (tmp_path / "run" / MATCH_FILE).exists()
    Ledger.open_or_create(tmp_path / "run", IDENTITY).close()


# --- one at a time ---

HOLDER = """
import fcntl, sys
file = open(sys.argv[1], "ab")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_process_is_told_and_a_dead_one_holds_nothing(folder: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder / GAMES_FILE)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(LedgerError, match="another process is playing this match"):
            Ledger.open_or_create(folder, IDENTITY)
        assert len(list(read_pairs(folder))) == 3, "reading needs no lock"
        holder.kill()
    Ledger.open_or_create(folder, IDENTITY).close()


def test_an_open_ledger_is_locked(folder: Path) -> None:
    with (
        Ledger.open_or_create(folder, IDENTITY),
        pytest.raises(LedgerError, match="another process is playing this match"),
    ):
        Ledger.open_or_create(folder, IDENTITY)
    Ledger.open_or_create(folder, IDENTITY).close()
