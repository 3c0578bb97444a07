"""What nets say of a match's positions: against python-chess and torch, and when files break."""

from __future__ import annotations

import errno
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import chess
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_index import index_of
from python_chess_records import ALL, before_the_start, key_of, thirteen_planes
from random_games import random_pair
from scipy.special import log_softmax, rel_entr
from scripted_match import (
    OPENINGS,
    REPETITION,
    ScriptedSearch,
    game,
    identity,
    pair,
    run_folder,
    scripted_choice,
    scripted_net,
    write_book,
)
from tiny_net import TINY, calm_weights

from arena.cli import main
from arena.evaluator import Evaluation, EvaluationError, Leaves, WinogradEvaluator
from arena.game import Opening, PairRecord
from arena.ledger import Ledger
from arena.match_file import NetIdentity
from arena.opinions import (
    MOST_PAIRS,
    Asked,
    Said,
    after_match,
    apart,
    ask,
    poll,
    positions_of,
    sample,
    say,
)
from arena.report.caveats import caveats
from arena.report.opinions import OPINIONS_FILE, Place, place_of, read_opinions
from arena.report.run import Run, read_run
from arena.report.schema import Opinion
from arena.report.summary import summarize
from arena.sessions import NetFile, Session, session_started
from arena.stand_ins import HashEvaluator, UniformEvaluator
from swa.net import Net, new_net, save_net

BLACK_TO_MOVE = Opening("r3k2r/pppq1ppp/2npbn2/2b1p3/2B1P3/2NPBN2/PPPQ1PPP/R3K2R b KQkq - 4 8")

PAIRS = [
    random_pair(0, OPENINGS[0], 70),
    random_pair(1, OPENINGS[7], 30),
    random_pair(2, BLACK_TO_MOVE, 50),
    replace(pair(3, 0.5, 0.5, Opening(chess.STARTING_FEN))),  # positions come again
]


def tiny(seed: int) -> Net:
    return new_net(TINY, calm_weights(TINY, seed), f"tiny-{seed}")


def asked_of(one: object, other: object) -> Asked:
    return Asked(one, other, "by script")  # type: ignore[arg-type]


HASHES = asked_of(HashEvaluator(1), HashEvaluator(2))

NOTHING = lambda line: None  # noqa: E731


# --- against python-chess and torch ---


class Exact:
    """What a net says of a game's position: planes by python-chess, torch in float64."""

    def __init__(self, net: Net, record: PairRecord, place: Place):
        import torch

        from swa.model import tower

        played = record.games[place.game - 1].moves
        board = record.opening.board()
        before = before_the_start(board)
        boards, keys = [], set()
        for move in (*record.opening.moves, *played)[: place.ply - 1]:
            boards.insert(0, (board.copy(stack=False), key_of(board) in keys))
            keys.add(key_of(board))
            board.push_uci(move)
        stack = [(board, key_of(board) in keys), *boards][:8]
        if before is not None:
            stack += [(before, False)] * (8 - len(stack))
        us = board.turn
        masks = [mask for each, again in stack for mask in thirteen_planes(each, us, again)]
        masks += [0] * (104 - len(masks))
        masks += [
            ALL if right else 0
            for side in (us, not us)
            for right in (
                board.has_queenside_castling_rights(side),
                board.has_kingside_castling_rights(side),
            )
        ]
        masks += [ALL if us == chess.BLACK else 0, ALL, 0, ALL]
        planes = np.unpackbits(np.array(masks, "<u8").view(np.uint8), bitorder="little")
        inputs = planes.reshape(1, 112, 8, 8).astype(np.float64)
        inputs[0, 109] = board.halfmove_clock
        with torch.inference_mode():
            found = tower(net.spec, net.weights).eval().double()(torch.from_numpy(inputs))
        win, _, loss = found.value.softmax(1).numpy()[0]
        self.moves = [board.uci(move, chess960=False) for move in board.legal_moves]
        indices = [index_of(board, move) for move in board.legal_moves]
        self.log_policy = log_softmax(found.policy.numpy()[0, indices])
        self.q = win - loss

    def top(self) -> list[tuple[str, float]]:
        shares = zip(self.moves, np.exp(self.log_policy).tolist(), strict=True)
        return sorted(shares, key=lambda share: -share[1])[:3]


def test_opinions_are_those_of_torch_on_the_boards_of_python_chess() -> None:
    nets = tiny(1), tiny(2)
    ranges = sample(PAIRS, seed=7, most=60)
    decided = [Place(1, 2, 20), Place(3, 1, 1), Place(3, 2, 33), Place(4, 1, 5), Place(4, 1, 8)]
    points, opinions = poll(
        PAIRS, ranges, decided, asked_of(*(WinogradEvaluator(net) for net in nets))
    )
    by_number = {record.number + 1: record for record in PAIRS}
    assert sum(point["positions"] for point in points) == sum(map(len, ranges)) == 60
    for point, places in zip(points, ranges, strict=True):
        both = [[Exact(net, by_number[place.pair], place) for net in nets] for place in places]
        kl = [np.sum(rel_entr(*(np.exp(said.log_policy) for said in pair))) for pair in both]
        assert point["kl"] == pytest.approx(np.mean(kl), rel=1e-3)
        differ = np.mean([one.top()[0][0] != other.top()[0][0] for one, other in both])
        assert point["top_differs"] == differ
        distance = np.mean([abs(one.q - other.q) for one, other in both])
        assert point["value_difference"] == pytest.approx(distance, abs=1e-5)
        assert point["plies_from"] == min(place.ply for place in places)
        assert point["plies_to"] == max(place.ply for place in places)
    assert any(point["kl"] > 0.01 for point in points)
    assert [Place(row["pair"], row["game"], row["ply"]) for row in opinions] == decided
    for row, place in zip(opinions, decided, strict=True):
        for net, said in zip(nets, (row["baseline"], row["candidate"]), strict=True):
            same_opinion(said, Exact(net, by_number[place.pair], place))


def same_opinion(said: Opinion, exact: Exact) -> None:
    assert said["q"] == pytest.approx(exact.q, abs=1e-5)
    assert [move for move, _ in said["policy"]] == [move for move, _ in exact.top()]
    shares = [share for _, share in said["policy"]]
    assert shares == pytest.approx([share for _, share in exact.top()], abs=1e-5)


def test_history_and_repetitions_are_part_of_a_position() -> None:
    record = PAIRS[3]
    assert record.games[0].moves == tuple(REPETITION)
    leaves, _ = positions_of({4: record}, [Place(4, 1, 1), Place(4, 1, 5)])
    assert (leaves.masks[0, :12] == leaves.masks[1, :12]).all()  # the same board
    assert leaves.masks[0, 12] == 0
    assert leaves.masks[1, 12] == ALL  # seen before
    assert (leaves.masks[0, 13:104] == 0).all()
    assert leaves.masks[1, 13:26].any()


def test_batches_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    leaves, _ = positions_of(
        {record.number + 1: record for record in PAIRS},
        [place for part in sample(PAIRS, 1, 40) for place in part],
    )
    whole = say(HashEvaluator(3), leaves)
    monkeypatch.setattr("arena.opinions.BATCH", 7)
    calls: list[int] = []
    parts = say(HashEvaluator(3), leaves, lambda: calls.append(1))
    assert len(calls) == math.ceil(40 / 7)
    for one, other in zip(whole, parts, strict=True):
        assert (one == other).all()


# --- the sample ---


def moves_before(record: PairRecord, place: Place) -> tuple[str, ...]:
    line = (*record.opening.moves, *record.games[place.game - 1].moves)
    assert len(record.opening.moves) < place.ply <= len(line)
    return (record.opening.fen, *line[: place.ply - 1])


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 130)), min_size=1, max_size=6),
    st.integers(0, 2**32),
    st.integers(1, 300),
)
@settings(max_examples=25)
def test_a_sample_is_spread_distinct_and_decided_by_its_seed(
    games: list[tuple[int, int]], seed: int, most: int
) -> None:
    pairs = [
        random_pair(number, OPENINGS[start], plies) for number, (start, plies) in enumerate(games)
    ]
    ranges = sample(pairs, seed, most)
    places = [place for part in ranges for place in part]
    assert sample(list(reversed(pairs)), seed, most) == ranges
    assert len(places) <= most
    everything = {
        (record.opening.fen, *record.opening.moves, *played.moves[:ply])
        for record in pairs
        for played in record.games
        for ply in range(len(played.moves))
    }
    chosen = [moves_before(pairs[place.pair - 1], place) for place in places]
    assert len(set(chosen)) == len(chosen)
    assert set(chosen) <= everything
    if most >= len(everything):
        assert set(chosen) == everything
    else:  # no share is left that another range could have taken
        assert len(places) == most
    ends = [(min(p.ply for p in part), max(p.ply for p in part)) for part in ranges]
    assert all(end < begin for (_, end), (begin, _) in pairwise(ends))


def test_a_full_sample_has_as_many_of_each_range() -> None:
    pairs = [random_pair(number, OPENINGS[number], 120) for number in range(4)]
    sizes = [len(part) for part in sample(pairs, 5, 160)]
    assert len(sizes) > 5
    assert max(sizes) - min(sizes) <= 1
    assert sample(pairs, 5, 160) != sample(pairs, 6, 160)


def test_of_many_pairs_some_are_replayed() -> None:
    start = OPENINGS[0].fen[:-1]
    pairs = [
        pair(n, 1.0, 0.0, Opening(f"{start}{n + 1}", OPENINGS[0].moves))
        for n in range(2 * MOST_PAIRS)
    ]
    chosen = {place.pair for part in sample(pairs, 0) for place in part}
    assert len(chosen) == MOST_PAIRS
    assert max(chosen) > MOST_PAIRS  # and not the first ones


# --- how far apart ---


@given(st.integers(0, 2**32), st.lists(st.integers(1, 40), min_size=1, max_size=5))
def test_divergence_is_scipys_and_none_from_itself(seed: int, counts: list[int]) -> None:
    chance = np.random.default_rng(seed)
    offsets = np.cumsum([0, *counts])
    one, other = (
        Said(
            np.concatenate([log_softmax(chance.normal(0, 5, count)) for count in counts]),
            chance.uniform(-1, 1, len(counts)),
        )
        for _ in range(2)
    )
    found, back, none = (
        apart(one, other, offsets),
        apart(other, one, offsets),
        apart(one, one, offsets),
    )
    for row, (begin, end) in enumerate(pairwise(offsets)):
        p, q = np.exp(one.log_policy[begin:end]), np.exp(other.log_policy[begin:end])
        assert found.kl[row] == pytest.approx(rel_entr(p, q).sum(), abs=1e-12, rel=1e-9)
        assert found.top_differs[row] == (p.argmax() != q.argmax())
    assert (found.value_difference == back.value_difference).all()
    assert (found.top_differs == back.top_differs).all()
    assert not none.kl.any()
    assert not none.top_differs.any()
    assert not none.value_difference.any()


class Overflowing(UniformEvaluator):
    """As half precision does with some nets."""

    name = "overflowing"

    def evaluate(self, leaves: Leaves) -> Evaluation:
        found = super().evaluate(leaves)
        found.logits[-1] = np.nan
        return found


def test_what_is_no_number_is_an_error() -> None:
    leaves, _ = positions_of({1: PAIRS[0]}, [Place(1, 1, 3)])
    with pytest.raises(EvaluationError, match=r"overflowing: .* not a finite number"):
        say(Overflowing(), leaves)


# --- the file of a run folder ---


def decisive(number: int) -> list[PairRecord]:
    """Pairs that are not level, in which players think otherwise of some move."""
    return [pair(index, 1.0, (0.5, 1.0)[index % 2]) for index in range(number)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return run_folder(tmp_path / "run", identity(sprt=None), decisive(6))


def caveats_of(run: Run) -> str:
    return "\n".join(caveats(run, summarize(run)))


def test_opinions_are_kept_and_read_again(folder: Path) -> None:
    asked = ask(read_run(folder), HASHES, NOTHING)
    run = read_run(folder)
    assert run.opinions == asked.opinions
    summary = summarize(run)
    assert summary["opinions"] == {"pairs": 6, "evaluator": "by script"}
    points = summary["curves"]["opinions"]
    assert points
    assert all(point["kl"] > 0 for point in points)
    assert len(summary["curves"]["deciding"]) == 6
    for position in summary["curves"]["deciding"]:
        legal = {move.uci() for move in chess.Board(position["fen"]).legal_moves}
        for said in (position["baseline"], position["candidate"]):
            assert said is not None
            moves, shares = zip(*said["policy"], strict=True)
            assert set(moves) <= legal
            assert list(shares) == sorted(shares, reverse=True)
            assert sum(shares) <= 1 + 1e-9
        assert position["baseline"] != position["candidate"]
    assert OPINIONS_FILE not in caveats_of(run)
    assert {**summary["curves"], "opinions": [], "deciding": []} == {
        **summarize(replace(run, opinions=read_run_without(folder).opinions))["curves"],
        "opinions": [],
        "deciding": [],
    }


def read_run_without(folder: Path) -> Run:
    (folder / OPINIONS_FILE).unlink()
    return read_run(folder)


def test_nets_are_not_asked_twice(folder: Path) -> None:
    ask(read_run(folder), HASHES, NOTHING)
    before = (folder / OPINIONS_FILE).read_bytes()
    run = read_run(folder)
    assert ask(run, asked_of(None, None), NOTHING) is run
    assert (folder / OPINIONS_FILE).read_bytes() == before


def test_a_match_that_goes_on_is_asked_about_again(folder: Path) -> None:
    ask(read_run(folder), HASHES, NOTHING)
    with Ledger.open_or_create(folder, identity(sprt=None)) as ledger:
        for record in decisive(9)[6:]:
            ledger.append(record)
    run = read_run(folder)
    assert "is of the first 6 of 9 pairs" in caveats_of(run)
    assert summarize(run)["curves"]["opinions"]  # all the same
    assert "is of the first" not in caveats_of(ask(run, HASHES, NOTHING))
    assert summarize(read_run(folder))["opinions"] == {"pairs": 9, "evaluator": "by script"}


def test_a_file_cut_anywhere_is_left_out(folder: Path) -> None:
    ask(read_run(folder), HASHES, NOTHING)
    path = folder / OPINIONS_FILE
    whole = path.read_bytes()
    run = read_run(folder)
    for size in [*range(0, len(whole) - 2, 11), len(whole) - 3]:
        path.write_bytes(whole[:size])
        kept = read_opinions(folder, run.identity, run.counted)
        assert kept.document is None
        assert kept.caveat.startswith(f"{OPINIONS_FILE} is damaged and is left out")


def put(document: object, keys: Sequence[str | int], value: object) -> None:
    for key in keys[:-1]:
        document = document[key]  # type: ignore[index]
    document[keys[-1]] = value  # type: ignore[index]


@pytest.mark.parametrize(
    ("keys", "value", "why"),
    [
        (["nets", "baseline"], "f" * 64, "is of other nets"),
        (["nets"], [], "is damaged"),
        (["games"], "0" * 16, "is of other games"),
        (["pairs"], 7, "is of other games"),
        (["pairs"], True, "is damaged"),
        (["format"], 2, "is of another version of arena"),
        (["format"], "1", "is damaged"),
        (["opinions", 0, "kl"], -0.1, "is damaged"),
        (["opinions", 0, "kl"], math.inf, "is damaged"),
        (["opinions", 0, "kl"], 10**400, "is damaged"),
        (["opinions", 0, "positions"], 10**400, "is damaged"),
        (["opinions", 0, "kl"], math.nan, "is damaged"),
        (["opinions", 0, "kl"], None, "is damaged"),
        (["opinions", 0, "top_differs"], 1.5, "is damaged"),
        (["opinions", 0, "positions"], -1, "is damaged"),
        (["opinions", 0, "more"], 1, "is damaged"),
        (["opinions"], {}, "is damaged"),
        (["deciding", 0, "ply"], "3", "is damaged"),
        (["deciding", 0, "baseline", "q"], 2, "is damaged"),
        (["deciding", 0, "baseline", "policy", 0, 0], "<script>", "is damaged"),
        (["deciding", 0, "baseline", "policy", 0], ["e2e4"], "is damaged"),
        (["deciding", 0, "candidate"], None, "is damaged"),
        (["extra"], 1, "is damaged"),
    ],
)
def test_what_is_no_opinions_of_this_match_is_left_out(
    folder: Path, keys: list[str | int], value: object, why: str
) -> None:
    ask(read_run(folder), HASHES, NOTHING)
    document = json.loads((folder / OPINIONS_FILE).read_text())
    put(document, keys, value)
    (folder / OPINIONS_FILE).write_text(json.dumps(document))
    run = read_run(folder)
    assert run.opinions.document is None
    assert run.opinions.caveat.startswith(f"{OPINIONS_FILE} {why}")


@pytest.mark.parametrize(
    "text", [b"\xff\xfe\x00", b"[" * 100_000, b"null", b"1" * 5000, b" " * (2**20 + 1)]
)
def test_a_file_of_anything_is_left_out(folder: Path, text: bytes) -> None:
    (folder / OPINIONS_FILE).write_bytes(text)
    run = read_run(folder)
    assert f"{OPINIONS_FILE} is damaged" in run.opinions.caveat
    assert run.opinions.document is None


def test_a_folder_of_that_name_is_left_out(folder: Path) -> None:
    (folder / OPINIONS_FILE).mkdir()
    assert f"{OPINIONS_FILE} is damaged" in caveats_of(read_run(folder))


# --- after a match ---


class Interrupted(UniformEvaluator):
    def evaluate(self, leaves: Leaves) -> Evaluation:
        raise KeyboardInterrupt


class Broken(UniformEvaluator):
    def evaluate(self, leaves: Leaves) -> Evaluation:
        raise RuntimeError("the device is gone\nand with it the day")


@pytest.mark.parametrize(
    ("net", "why"),
    [(Interrupted(), "interrupted"), (Broken(), "the device is gone"), (Overflowing(), "overflow")],
)
def test_an_error_after_a_match_is_a_note(folder: Path, net: object, why: str) -> None:
    notes: list[str] = []
    run = read_run(folder)
    assert after_match(asked_of(net, net), notes.append)(run) is run
    assert len(notes) == 1
    assert f"is left out: {why}" in notes[0]
    assert "\n" not in notes[0]
    assert not (folder / OPINIONS_FILE).exists()


def test_a_full_disk_is_a_note(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    ask(read_run(folder), HASHES, NOTHING)
    before = (folder / OPINIONS_FILE).read_bytes()
    with Ledger.open_or_create(folder, identity(sprt=None)) as ledger:
        ledger.append(decisive(7)[6])
    run, notes = read_run(folder), []
    monkeypatch.setattr("arena.report.files.os.fsync", full)
    assert after_match(HASHES, notes.append)(run) is run
    assert "is left out: " in notes[0]
    assert "No space left on device" in notes[0]
    assert (folder / OPINIONS_FILE).read_bytes() == before


def test_illegal_games_are_a_note(tmp_path: Path) -> None:
    wrong = game(True, 1.0)
    wrong = replace(wrong, moves=("e2e5", *wrong.moves[1:]))
    record = PairRecord(0, Opening(chess.STARTING_FEN), (wrong, game(False, 0.5)))
    folder = run_folder(tmp_path / "run", identity(sprt=None), [record])
    notes: list[str] = []
    after_match(HASHES, notes.append)(read_run(folder))
    assert "is left out: illegal move e2e5" in notes[0]


# --- arena run and arena report --opinions ---


@pytest.fixture
def match(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("arena.run.load_net", scripted_net)
    monkeypatch.setattr("arena.run.choose_evaluator", scripted_choice)
    monkeypatch.setattr("arena.run.make_evaluator", lambda net, choice, dtype: of_name(net.name))
    monkeypatch.setattr("arena.run.BatchedSearch", ScriptedSearch)
    write_book(tmp_path / "book.pgn")
    words = ["run", "--openings", "book.pgn", "--pairs", "6", "--no-sprt", "--out", "run"]
    return [*words, "--nets", "raw.pb", "swa.pb"]


def of_name(name: str) -> HashEvaluator:
    return HashEvaluator({"raw": 1, "swa": 2}[name])


def test_run_asks_both_nets_at_its_end(
    match: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*match, "-q"]) == 0
    summary = summarize(read_run(Path("run")))
    assert summary["opinions"] == {"pairs": 6, "evaluator": "winograd (by script)"}
    run = read_run_without(Path("run"))
    again = ask(run, HASHES, NOTHING)
    assert summarize(again)["curves"] == summary["curves"]  # baseline is raw, candidate swa
    assert capsys.readouterr().err == ""


def test_an_interrupted_match_asks_nobody(
    match: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ScriptedSearch, "interrupt_after", 4)
    assert main([*match, "-q"]) == 130
    assert not Path("run", OPINIONS_FILE).exists()


def test_a_net_is_not_asked_about_itself(match: list[str]) -> None:
    words = match[: match.index("--nets")]
    same = ["--nets", "raw.pb", "--net", "path=raw.pb visits=7"]
    assert main([*words, *same, "-q"]) == 0
    assert not Path("run", OPINIONS_FILE).exists()
    assert main(["report", "run", "--opinions"]) == 2


def test_an_error_leaves_the_verdict_as_it_is(
    match: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*match, "-q"]) == 0
    expected = {**json.loads(Path("run/summary.json").read_text()), "opinions": None}
    monkeypatch.setattr("arena.run.make_evaluator", lambda net, choice, dtype: Broken())
    assert main([*match[:-4], "other", *match[-3:]]) == 0
    assert "what the nets say of positions is left out: the device is gone" in (
        capsys.readouterr().err
    )
    found = json.loads(Path("other/summary.json").read_text())
    for key in ("verdict", "pentanomial", "elo", "elo_ci", "opinions"):
        assert found[key] == expected[key]


@pytest.fixture
def real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run folder of two small nets whose files are beside it; the working folder is another."""
    nets = [save_net(tiny(seed), tmp_path / f"{name}.pb.gz", encoding="float32")
            for seed, name in ((1, "raw"), (2, "swa"))]  # fmt: skip
    base = identity(sprt=None)
    players = tuple(
        NetIdentity(net.role, net.name, saved.sha256)
        for net, saved in zip(base.nets, nets, strict=True)
    )
    folder = run_folder(tmp_path / "reports" / "run", replace(base, nets=players), decisive(4))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    session_started(folder, session(nets))
    return folder


def session(nets: Sequence[object], path: str | None = None) -> Session:
    return Session(
        started="2025-01-31T23:59:59+00:00",
        command=("arena", "run", "--nets", "raw.pb.gz", "--net", "path=swa.pb.gz visits=100"),
        versions={},
        device="cpu",
        parallel=1,
        nets=tuple(NetFile(net.sha256, net.path.name, "tiny", 1, path=path) for net in nets),  # type: ignore[attr-defined]
    )


def test_report_asks_the_nets_where_the_match_had_them(
    real: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(real), "--format", "json"]) == 0
    assert json.loads((real / "summary.json").read_text())["opinions"] is None
    assert main(["report", str(real), "--format", "json", "--opinions", "--json"]) == 0
    out, err = capsys.readouterr()
    summary = json.loads(out[out.index("{\n") :])
    assert err == ""
    assert summary["opinions"] == {"pairs": 4, "evaluator": "winograd (float32 on a CPU)"}
    run = read_run(real)
    position = summary["curves"]["deciding"][0]
    place = place_of(position)
    exact = Exact(tiny(1), run.pairs[place.pair - 1], place)
    same_opinion(position["baseline"], exact)


def test_report_says_which_net_is_missing(real: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = real.parents[1] / "swa.pb.gz"
    moved = other.rename(other.with_name("moved.pb.gz"))
    other.write_bytes(b"another net")
    assert main(["report", str(real), "--opinions"]) == 2
    error = capsys.readouterr().err.splitlines()
    assert error[0].startswith("error: swa: no file with its sha256 (")
    assert error[0].endswith(": swa.pb.gz")
    assert len(error) == 2
    assert not (real / OPINIONS_FILE).exists()
    assert not (real / "summary.json").exists()  # nothing half-written
    net = type("Saved", (), {"sha256": read_run(real).identity.nets[1].sha256, "path": moved})
    session_started(real, session([net], path=str(moved)))
    assert main(["report", str(real), "--format", "json", "--opinions", "-q"]) == 0


def test_only_a_match_has_opinions(real: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--index", str(real.parent), "--opinions"]) == 2
    assert "--opinions is of a single match" in capsys.readouterr().err
