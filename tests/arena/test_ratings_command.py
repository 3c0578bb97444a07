from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from scripted_match import identity, pair, run_folder

from arena.adjudication_rules import AdjudicationRules, ResignRule
from arena.cli import main
from arena.game import PairRecord
from arena.match_file import MatchIdentity, NetIdentity
from arena.report.ratings.field import find_runs, read_field
from arena.stats.elo import logistic_elo
from arena.stats.pentanomial import PairCounts
from arena.stats.sprt import Sprt

SHAS = {"raw": "a" * 64, "swa": "b" * 64, "old": "c" * 64, "odd": "d" * 64}

EVEN = [(1.0, 0.5), (0.5, 0.5), (1.0, 0.0), (0.0, 0.5), (1.0, 1.0), (0.5, 0.0)]
"""Six pairs, 6.5 points of 12."""


def of(baseline: str, candidate: str, **changed: object) -> MatchIdentity:
    nets = (
        NetIdentity("baseline", baseline, SHAS[baseline]),
        NetIdentity("candidate", candidate, SHAS[candidate]),
    )
    return replace(identity(pairs=6, sprt=None), **({"nets": nets} | changed))


def pairs(points: list[tuple[float, float]] = EVEN) -> list[PairRecord]:
    return [pair(number, *both) for number, both in enumerate(points)]


@pytest.fixture
def tournament(tmp_path: Path) -> Path:
    """Three nets, an encounter of each two, as run folders in one."""
    folder = tmp_path / "tournament"
    run_folder(folder / "1", of("raw", "swa"), pairs())
    run_folder(folder / "2", of("raw", "old"), pairs(EVEN[:4]))
    run_folder(folder / "3", of("swa", "old"), pairs(EVEN[::-1]))
    return folder


def document(capsys: pytest.CaptureFixture[str], *words: object) -> dict:
    assert main(["ratings", *map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refusal(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """What is said of bad input, in one to three lines."""
    assert main(["ratings", *map(str, words)]) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith("error: ")
    assert len(error.splitlines()) <= 3
    assert "internal" not in error
    return error


def test_document(tournament, capsys):
    found = document(capsys, tournament)
    nets = found["nets"]
    assert [net["rank"] for net in nets] == [1, 2, 3]
    assert [net["elo"] for net in nets] == sorted((n["elo"] for n in nets), reverse=True)
    assert sum(net["elo"] for net in nets) == pytest.approx(0)
    assert {net["net"]: net["pairs"] for net in nets} == {"raw": 10, "swa": 12, "old": 10}
    assert {net["net"]: net["sha256"] for net in nets} == {
        n: SHAS[n] for n in ("raw", "swa", "old")
    }
    assert sum(net["points"] for net in nets) == 2 * 16
    for n, net in enumerate(nets):
        low, high = net["elo_ci"]
        assert low < net["elo"] < high
        assert net["los"] == (found["los"][n][n + 1] if n < 2 else None)
        assert found["covariance"][n][n] == pytest.approx(
            sum(-x for k, x in enumerate(found["covariance"][n]) if k != n)
        )
    assert found["los"][0][1] + found["los"][1][0] == pytest.approx(1)
    assert [(e["baseline"], e["candidate"], e["pairs"]) for e in found["encounters"]] == [
        ("raw", "swa", 6),
        ("raw", "old", 4),
        ("swa", "old", 6),
    ]
    assert found["intransitivity"]["dof"] == 1
    assert found["prior_pairs"] == 1.0
    assert found["anchors"] == {}
    # The second match had six pairs to play.
    assert [run["unfinished"] for run in found["runs"]] == [False, True, False]
    assert any("unfinished" in note for note in found["notes"])


def test_text(tournament, capsys):
    assert main(["ratings", str(tournament), "--anchor", "raw=1500"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Ratings of 3 nets by 16 pairs in 3 run folders (100 visits, float32")
    assert "anchored at raw = 1500" in out
    assert "Prior: 1 drawn pair of each net against the field" in out
    assert "Intransitivity: chi-squared" in out
    assert "1 degree of freedom" in out
    rows = [line.split() for line in out.splitlines()[2:5]]
    assert {row[0] for row in rows} == {"1", "2", "3"}
    assert [row[2:4] for row in rows if row[1] == "raw"] == [["1500.00", "anchor"]]
    assert main(["ratings", str(tournament), "--quiet"]) == 0
    assert capsys.readouterr().out == ""


def test_one_match_is_its_elo(tmp_path, capsys):
    folder = run_folder(tmp_path / "run", of("raw", "swa"), pairs())
    found = document(capsys, folder, "--prior", 0, "--anchor", "raw=0")
    counts = PairCounts.total(PairCounts.of_pair(*points) for points in EVEN)
    swa = next(net for net in found["nets"] if net["net"] == "swa")
    assert swa["elo"] == pytest.approx(logistic_elo(counts).elo)
    assert found["intransitivity"] is None
    assert main(["ratings", str(folder)]) == 0
    assert "nothing to check" in capsys.readouterr().out


def test_only_counted_pairs_enter(tmp_path, capsys):
    """Behind a gap, and behind the verdict, pairs do not count."""
    gap = [pair(0, 1.0, 0.5), pair(1, 0.5, 0.5), pair(3, 1.0, 1.0)]
    folder = run_folder(tmp_path / "gap", of("raw", "swa"), gap)
    assert document(capsys, folder)["nets"][0]["pairs"] == 2
    test = Sprt(0, 400)
    won = [pair(number, 1.0, 1.0 if number % 3 else 0.5) for number in range(60)]
    folder = run_folder(tmp_path / "decided", of("raw", "swa", sprt=test, pairs=60), won)
    found = document(capsys, folder)
    assert found["nets"][0]["pairs"] < 60
    assert found["runs"][0]["stopped_by_test"] is True
    assert "sequential test" in found["notes"][0]


def test_nets_are_their_sha256(tmp_path, capsys):
    """Two nets of one name are two; one net under two names is one."""
    twins = (NetIdentity("baseline", "net", "1" * 64), NetIdentity("candidate", "net", "2" * 64))
    run_folder(tmp_path / "1", of("raw", "swa", nets=twins), pairs())
    renamed = (
        NetIdentity("baseline", "first", "1" * 64),
        NetIdentity("candidate", "odd", "3" * 64),
    )
    run_folder(tmp_path / "2", of("raw", "swa", nets=renamed), pairs())
    found = document(capsys, tmp_path, "--anchor", "first=10", "--anchor", f"{'2' * 64}=20")
    nets = {net["net"]: net for net in found["nets"]}
    assert nets.keys() == {"net@11111111", "net@22222222", "odd"}
    assert nets["net@11111111"]["names"] == ["net", "first"]
    assert found["anchors"] == {"net@11111111": 10.0, "net@22222222": 20.0}
    assert "could be any of" in refusal(capsys, tmp_path, "--anchor", "net=0")
    assert "same net" in refusal(
        capsys, tmp_path, "--anchor", "first=0", "--anchor", f"{'1' * 64}=0"
    )


def test_no_label_is_shared(tmp_path, capsys):
    """Not even by nets whose names and first digits are the same."""
    twins = (
        NetIdentity("baseline", "net", "1" * 64),
        NetIdentity("candidate", "net", "1" * 63 + "2"),
    )
    folder = run_folder(tmp_path / "1", of("raw", "swa", nets=twins), pairs())
    nets = document(capsys, folder)["nets"]
    assert {net["net"] for net in nets} == {"net@11111111", f"net@{'1' * 63}2"}


def test_no_game_counts_twice(tmp_path, capsys):
    """Neither a folder given twice, nor the same games in two folders, whoever is the baseline."""
    one = run_folder(tmp_path / "1", of("raw", "swa"), pairs())
    once = document(capsys, one)
    assert document(capsys, one, tmp_path, one / ".")["nets"] == once["nets"]
    run_folder(tmp_path / "2", of("raw", "swa", seed=8), pairs())
    found = document(capsys, tmp_path)
    assert found["nets"] == once["nets"]
    assert [run["repeated_pairs"] for run in found["runs"]] == [0, 6]
    assert any("6 pairs left out" in note for note in found["notes"])
    run_folder(tmp_path / "3", of("raw", "swa", seed=9), pairs([(0.0, 0.0)] * 6))
    assert document(capsys, tmp_path)["nets"][0]["pairs"] == 12


def test_the_same_games_with_sides_exchanged(tmp_path):
    """A pair is two games, whoever is called the candidate."""
    run_folder(tmp_path / "1", of("raw", "swa"), [pair(0, 1.0, 0.5)])
    # In the first run raw lost as Black and drew as White; in the second it is the candidate.
    run_folder(tmp_path / "2", of("swa", "raw"), [pair(0, 0.5, 0.0)])
    assert [run.repeated for run in read_field([tmp_path]).runs] == [0, 1]


def test_conditions_must_be_the_same(tmp_path, capsys):
    run_folder(tmp_path / "1", of("raw", "swa"), pairs())
    other = identity(visits=800).search
    run_folder(tmp_path / "2", of("raw", "old", search=other, dtype="float16"), pairs())
    error = refusal(capsys, tmp_path)
    assert "dtype: float32 in" in error
    assert "1 other setting" in error
    assert "--mixed" in error
    found = document(capsys, tmp_path, "--mixed")
    assert [text.partition(":")[0] for text in found["differences"]] == ["dtype", "visits"]
    assert any("Conditions differ" in note for note in found["notes"])


def test_rules_of_adjudication_are_conditions_and_their_audit_is_none(tmp_path, capsys):
    rules = AdjudicationRules(resign=ResignRule())
    for number, other, audit in ((1, "swa", 0.05), (2, "old", 0.5)):
        match = replace(of("raw", other), adjudication=replace(rules, audit=audit))
        run_folder(tmp_path / str(number), match, pairs())
    assert document(capsys, tmp_path)["differences"] == []
    run_folder(tmp_path / "3", of("raw", "odd"), pairs())
    assert "adjudication: resign movecount=3 score=600 in" in refusal(capsys, tmp_path)


def test_a_renamed_book_is_the_same(tmp_path, capsys):
    run_folder(tmp_path / "1", of("raw", "swa"), pairs())
    match = of("raw", "old")
    renamed = replace(match, openings=replace(match.openings, file="other.pgn"))
    run_folder(tmp_path / "2", renamed, pairs())
    assert document(capsys, tmp_path)["differences"] == []
    book = replace(match, openings=replace(match.openings, sha256="e" * 64))
    run_folder(tmp_path / "3", book, pairs())
    assert "book of openings" in refusal(capsys, tmp_path)


def test_a_sweep_without_a_prior(tmp_path, capsys):
    run_folder(tmp_path / "1", of("raw", "swa"), pairs())
    run_folder(tmp_path / "2", of("raw", "old"), pairs([(0.0, 0.0)] * 6))
    found = document(capsys, tmp_path, "--prior", 0)
    last = found["nets"][-1]
    assert (last["net"], last["rank"], last["elo"], last["elo_ci"]) == ("old", None, None, None)
    assert any("No finite rating without a prior: old" in note for note in found["notes"])
    assert main(["ratings", str(tmp_path), "--prior", "0"]) == 0
    assert "inf" not in capsys.readouterr().out.replace("finite", "")


def test_runs_that_say_nothing_are_named(tmp_path, capsys):
    run_folder(tmp_path / "1", of("raw", "swa"), pairs())
    run_folder(tmp_path / "2", of("raw", "old"), [])
    run_folder(tmp_path / "3", of("raw", "raw"), pairs())
    found = document(capsys, tmp_path)
    assert [net["net"] for net in found["nets"]] == ["swa", "raw"]
    notes = " ".join(found["notes"])
    assert "2 has no counted pair yet" in notes
    assert "raw against itself" in notes
    assert "has not played" in refusal(capsys, tmp_path, "--anchor", "old=0")


def test_bad_input(tournament, tmp_path, capsys):
    assert "no such folder" in refusal(capsys, tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert "no run folder in it" in refusal(capsys, tmp_path / "empty")
    error = refusal(capsys, tournament, "--anchor", "new=0")
    assert "none of the nets" in error
    assert "raw, swa, old" in error
    assert "NET=ELO" in refusal(capsys, tournament, "--anchor", "raw")
    assert "NET=ELO" in refusal(capsys, tournament, "--anchor", "raw=nan")
    assert "twice" in refusal(capsys, tournament, "--anchor", "raw=0", "--anchor", "raw=1")
    assert "0 or more" in refusal(capsys, tournament, "--prior", "-1")
    assert "within 5000" in refusal(capsys, tournament, "--anchor", "raw=1e9")
    run_folder(tmp_path / "apart", of("odd", "odd", nets=of("odd", "raw").nets), [])
    assert "no games" in refusal(capsys, tmp_path / "apart")
    (tournament / "1" / "match.toml").write_text("format = 99")
    assert "not as arena wrote it" in refusal(capsys, tournament)


def test_groups_that_never_met(tmp_path, capsys):
    run_folder(tmp_path / "1", of("raw", "swa"), pairs())
    run_folder(tmp_path / "2", of("old", "odd"), pairs())
    assert "raw, swa | old, odd" in refusal(capsys, tmp_path)


def test_run_folders_are_found_at_any_depth(tmp_path):
    inside = run_folder(tmp_path / "a" / "b" / "run", of("raw", "swa"), pairs())
    other = run_folder(tmp_path / "z", of("raw", "old"), pairs())
    assert find_runs([tmp_path]) == [inside, other]
    assert find_runs([inside, tmp_path]) == [inside, other]
