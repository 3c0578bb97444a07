"""``swa eval``, as users and scripts call it."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest
from record_bytes import packed_game, tar_of
from tiny_net import KINDS, TINY, calm_weights

from swa.cli import main
from swa.commands.eval_output import printable
from swa.evaluation import COMPARISONS, METRICS
from swa.net import new_net, save_net

KINDS_OF_NET = (TINY, TINY, KINDS["no se, classical policy and value"])


@pytest.fixture
def nets(tmp_path: Path) -> list[str]:
    """Files of two nets with all heads, and of one with few."""
    paths = [tmp_path / f"net-{place}.pb" for place in range(3)]
    for place, spec in enumerate(KINDS_OF_NET):
        save_net(new_net(spec, calm_weights(spec, place)), paths[place], encoding="float32")
    return [str(path) for path in paths]


@pytest.fixture
def data(tmp_path: Path) -> str:
    """Three games, a cut file, a damaged one and a licence."""
    folder = tmp_path / "data"
    folder.mkdir()
    for game, (q, d) in enumerate(((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0))):
        chunk = packed_game(6, 4 + game, result_q=q, result_d=d, plies_left=20.0 + game)
        (folder / f"game-{game}.gz").write_bytes(chunk)
    whole = packed_game(count=9)
    (folder / "x-damaged.gz").write_bytes(whole[:30] + b"\xff\xff" + whole[32:])
    (folder / "LICENSE").write_text("free")
    return str(folder)


def said(words, capsys):
    assert main(["eval", *words, "--json"]) == 0
    output = capsys.readouterr()
    assert output.err == ""
    return json.loads(output.out)


def test_the_document(nets, data, capsys):
    document = said([*nets, "--data", data], capsys)
    assert document["data"]["positions"] == 15
    assert document["data"]["games"] == 3
    (skipped,) = document["data"]["skipped"]
    assert skipped["files"] == 1
    assert "x-damaged.gz" in skipped["example"]
    first, second, classical = document["nets"]
    assert [net["path"] for net in document["nets"]] == nets
    for net in (first, second):
        assert net["positions"] == 15
        for name in (*METRICS, "value_ece"):
            assert isinstance(net[name], float), name
        low, high = net["intervals"]["value_mse"]
        assert low <= net["value_mse"] <= high
        assert sum(row["count"] for row in net["reliability"]["draw"]) == 15
        assert net["value_ece"] == pytest.approx(
            sum(net["ece"][outcome] for outcome in ("win", "draw", "loss")) / 3
        )
    assert document["data"]["decided_games"] == 2
    results = document["data"]["results"]
    assert [results[name] for name in ("win", "draw", "loss")] == pytest.approx(
        [4 / 15, 5 / 15, 0.4]
    )
    assert sum(first["outcomes"].values()) == pytest.approx(1)
    assert classical["outcomes"] is None
    assert 0 <= classical["value_side"] <= 1
    assert first["difference_to_first"] is None
    difference = second["difference_to_first"]
    for name in METRICS:
        assert difference[name]["difference"] == pytest.approx(second[name] - first[name])
        assert difference[name]["interval"][0] <= difference[name]["interval"][1]
    assert difference["value_ece"] == {
        "difference": second["value_ece"] - first["value_ece"],
        "interval": None,
    }
    assert {*METRICS, *COMPARISONS, "value_ece", "q_distance_95"} == set(difference)
    for name in ("value_cross_entropy", "value_ece", "moves_left_mae"):
        assert classical[name] is None
        assert classical["difference_to_first"][name] is None
    assert classical["ece"]["score"] > 0
    assert classical["reliability"]["win"] is None


def test_the_same_again_and_the_settings(nets, data, capsys):
    words = [*nets[:2], "--data", data]
    document = said(words, capsys)
    assert said(words, capsys) == document
    assert document["settings"]["q_ratio"] == 0
    mixed = said([*words, "--q-ratio", "0.5"], capsys)
    for key in ("value_cross_entropy", "value_mse"):
        assert mixed["nets"][0][key] != document["nets"][0][key]
    for key in ("policy_cross_entropy", "value_ece", "value_brier"):
        assert mixed["nets"][0][key] == document["nets"][0][key]
    few = said([*words, "--positions", "6"], capsys)
    assert (few["data"]["positions"], few["data"]["games"]) == (6, 2)
    files = [str(Path(data) / f"game-{game}.gz") for game in (0, 2)]
    assert said([*nets[:2], "--data", *files], capsys)["data"]["positions"] == 10
    torchs = said([*words, "--evaluator", "torch", "--device", "cpu"], capsys)["nets"][0]
    assert torchs["evaluator"] == "torch on cpu"
    assert torchs["value_mse"] == pytest.approx(document["nets"][0]["value_mse"], abs=1e-6)


def test_the_table(nets, data, capsys):
    assert main(["eval", *nets, "--data", data]) == 0
    text = capsys.readouterr().out
    assert "15 positions of 3 games" in text
    assert "damaged gzip: 1 file" in text
    assert "x-damaged.gz" in text
    assert "difference to net-0" in text
    assert "3 games are few" in text
    base = (
        "results; to say so always:   26.67%   33.33%   40.00%   accuracy 40.00%, value CE 1.0852"
    )
    assert "winner's side, of 2 decided games" in text
    assert base in text.splitlines()
    assert "nan" not in text.lower()
    assert max(map(len, text.splitlines()[5:])) <= 100
    assert main(["eval", nets[0], "--data", str(Path(data) / "game-0.gz")]) == 0
    text = capsys.readouterr().out
    assert "4 positions of 1 game," in text
    assert "no intervals" in text
    assert "accuracy 100.00%, value CE 0.0000" in text
    assert main(["eval", nets[0], "--data", data, "--q-ratio", "0.5"]) == 0
    assert "accuracy 40.00%\n" in capsys.readouterr().out
    assert main(["eval", nets[0], "--data", str(Path(data) / "game-1.gz")]) == 0  # drawn
    assert "nan" not in capsys.readouterr().out.lower()


@pytest.mark.parametrize("suffix", [".png", ".svg"])
@pytest.mark.parametrize("chosen", [[0, 1, 2], [2]])
def test_the_picture(chosen, suffix, nets, data, tmp_path, capsys):
    path = tmp_path / f"losses{suffix}"
    words = ["eval", *(nets[place] for place in chosen), "--data", data, "--plot", str(path)]
    assert main(words) == 0
    assert path.read_bytes().startswith({".png": b"\x89PNG", ".svg": b"<?xml"}[suffix])
    if suffix == ".svg":
        assert "nan" not in path.read_text().lower().replace("dominant", "")


def test_a_picture_is_not_replaced_unasked(nets, data, tmp_path, capsys):
    path = tmp_path / "a.png"
    words = ["eval", nets[0], "--data", data, "--plot", str(path)]
    assert main(words) == 0
    path.write_text("mine")
    capsys.readouterr()
    assert main(words) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert "is there already" in output.err
    assert "--overwrite" in output.err
    assert len(output.err.splitlines()) <= 3
    assert path.read_text() == "mine"
    assert main([*words, "--overwrite"]) == 0
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_picture_never_replaces_what_is_read(nets, data, tmp_path, capsys):
    named, linked = tmp_path / "net.png", tmp_path / "linked.png"
    named.write_bytes(Path(nets[0]).read_bytes())
    linked.symlink_to(Path(data) / "game-0.gz")
    game = str(Path(data) / "game-0.gz")
    for net, path in ((str(named), named), (nets[0], linked)):
        words = ["eval", net, "--data", game, "--plot", str(path), "--overwrite"]
        before = path.read_bytes()
        assert main(words) == 2
        assert "is an input" in capsys.readouterr().err
        assert path.read_bytes() == before


def test_figures_are_not_lost_with_a_picture_that_cannot_be_written(
    nets, data, tmp_path, capsys, monkeypatch
):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("swa.evaluation_plot.write_whole", full)
    assert main(["eval", nets[0], "--data", data, "--plot", str(tmp_path / "a.png")]) == 2
    output = capsys.readouterr()
    assert "15 positions of 3 games" in output.out
    assert "no space left" in output.err


def test_a_picture_of_nets_with_difficult_names(nets, data, tmp_path):
    odd = tmp_path / f"$a_{'x' * 60}$b^.pb"
    odd.write_bytes(Path(nets[0]).read_bytes())
    path = tmp_path / "a.png"
    assert main(["eval", nets[0], str(odd), "--data", data, "--plot", str(path)]) == 0
    assert path.stat().st_size > 1000


@pytest.mark.filterwarnings("error")
def test_names_that_no_table_can_hold(nets, data, tmp_path, capsys):
    """A line break, a terminal's escape, a byte that is not UTF-8; letters that no font has."""
    for name in ("a\nb\x1b[31m.pb", os.fsdecode(b"bad\xff.pb"), "\u7db2.pb"):
        odd = tmp_path / name
        odd.write_bytes(Path(nets[0]).read_bytes())
        path = tmp_path / "odd.svg"
        words = ["eval", nets[0], str(odd), "--data", data, "--plot", str(path), "--overwrite"]
        assert main(words) == 0
        text, error = capsys.readouterr()
        assert error == ""
        assert printable(odd.name.removesuffix(".pb")) in text
        assert all(line.isprintable() for line in text.splitlines())
        assert path.stat().st_size > 1000


def test_a_gzipped_tar_is_told_what_to_do_about(nets, tmp_path, capsys):
    packed = gzip.compress(tar_of({"a.gz": packed_game()}))
    (tmp_path / "games.tar.gz").write_bytes(packed)
    assert main(["eval", nets[0], "--data", str(tmp_path)]) == 2
    assert "unpack it with gunzip" in capsys.readouterr().err


def test_progress_is_for_terminals_and_leaves_an_empty_line(nets, data, capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert main(["eval", nets[0], "--data", data]) == 0
    assert main(["eval", nets[0], "--data", data, "--device", "abacus"]) == 2
    progress, error = capsys.readouterr().err.split("error: ")
    assert "15 positions" in progress
    line, rest = progress.split("\r")[-2:]
    assert (line.strip(), rest) == ("", "")
    assert "not available" in error


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--q-ratio", "2"], "from 0 to 1"),
        (["--q-ratio", "nan"], "from 0 to 1"),
        (["--positions", "0"], "whole number"),
        (["--every", "x"], "whole number"),
        (["--plot", "a.jpeg"], ".png"),
        (["--plot", "nowhere/a.png"], "no such folder"),
        (["--device", "abacus"], "not available"),
    ],
)
def test_bad_settings(flags, message, nets, data, capsys):
    assert main(["eval", nets[0], "--data", data, *flags]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert message in output.err
    assert len(output.err.splitlines()) <= 3


def test_data_that_is_named_twice_counts_once(nets, data, capsys):
    once = said([nets[0], "--data", data], capsys)
    twice = said([nets[0], "--data", data, data, f"{data}/game-1.gz"], capsys)
    assert (once["data"].pop("repeated"), twice["data"].pop("repeated")) == (0, 6)
    for document in (once, twice):
        del document["data"]["sources"]
    assert twice == once
    assert main(["eval", nets[0], "--data", data, data]) == 0
    assert "named more than once, read once: 5 files" in capsys.readouterr().out


def test_one_position_in_too_many(nets, data, capsys):
    assert main(["eval", nets[0], "--data", data, "--every", "9" * 30]) == 2
    error = capsys.readouterr().err
    assert "make it smaller" in error
    assert len(error.splitlines()) <= 3


def test_no_positions(nets, tmp_path, capsys):
    empty, damaged, unsearched = (tmp_path / name for name in ("empty", "damaged", "unsearched"))
    for folder in (empty, damaged, unsearched):
        folder.mkdir()
    (damaged / "a.gz").write_bytes(b"nothing")
    (unsearched / "a.gz").write_bytes(packed_game(invariance_info=64))
    for source, message in (
        (tmp_path / "nowhere", "no such file"),
        (empty, "no positions"),
        (damaged, "a.gz"),
        (unsearched, "never searched"),
    ):
        assert main(["eval", nets[0], "--data", str(source), "--json"]) == 2
        output = capsys.readouterr()
        assert output.out == ""
        assert message in output.err
        assert 1 <= len(output.err.splitlines()) <= 3


def test_a_net_that_is_none(data, tmp_path, capsys):
    (tmp_path / "no.pb.gz").write_bytes(b"nothing")
    assert main(["eval", str(tmp_path / "no.pb.gz"), "--data", data]) == 2
    assert len(capsys.readouterr().err.splitlines()) <= 3
