"""``swa average`` and ``swa convert``, as users and scripts call them."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_net import TINY, random_weights, tiny_payload

from swa.averaging import Ema, EmaStart, Lawa, Lczero, Rule, shares, weighted_mean
from swa.cli import main
from swa.net import load_net, new_net, save_net


@pytest.fixture
def run(tmp_path: Path) -> list[str]:
    """Files of four snapshots of a run, oldest first."""
    random, weights, files = np.random.default_rng(0), random_weights(TINY), []
    for place in range(4):
        weights = {
            name: values * np.float32(1 + 0.1 * random.normal()) for name, values in weights.items()
        }
        path = tmp_path / f"run-{place}.pb"
        save_net(new_net(TINY, weights), path, encoding="float32")
        files.append(str(path))
    return files


def said(words: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main([*words, "--json"]) == 0
    output = capsys.readouterr()
    assert output.err == ""
    document: dict[str, Any] = json.loads(output.out)
    return document


@pytest.mark.parametrize(
    ("flags", "rule"),
    [
        ([], None),
        (["--rule", "ema"], Ema.of_scale(8)),
        (["--rule", "ema", "--scale", "2"], Ema(0.5)),
        (["--rule", "ema", "--decay", "0.9"], Ema(0.9)),
        (["--rule", "ema", "--decay", "0", "--ema-start", "warm-up"], Ema(0, EmaStart.WARM_UP)),
        (
            ["--rule", "ema", "--decay", "0.9", "--ema-start", "unbiased"],
            Ema(0.9, EmaStart.UNBIASED),
        ),
        (["--rule", "lczero"], Lczero(10)),
        (["--rule", "lczero", "--max-n", "0"], Lczero(0)),
        (["--rule", "lawa", "--last", "2"], Lawa(2)),
        (["--rule", "lawa"], Lawa(5)),
    ],
)
def test_rules(
    flags: list[str],
    rule: Rule | None,
    run: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out.pb.gz"
    document = said(["average", *run, "-o", str(out), *flags], capsys)
    weights = (1.0,) * 4 if rule is None else rule.proportions(4)
    listed = [ingredient["weight"] for ingredient in document["ingredients"]]
    assert listed == list(shares(weights, 4))
    expected = weighted_mean([load_net(path).weights for path in run], weights)
    for name, values in load_net(out).weights.items():
        np.testing.assert_array_equal(values, expected[name].astype(np.float32))


def test_what_average_says_in_json(
    run: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.pb.gz"
    words = ["average", *run[:2], "-o", str(out), "--weights", "3", "1", "--encoding", "linear16"]
    document = said(words, capsys)
    assert document["net"] == str(out)
    assert document["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert document["bytes"] == out.stat().st_size
    assert (document["encoding"], document["min_version"]) == ("linear16", "0.33.0")
    assert (document["rule"], document["batch_norm"]) == ("mean", "averaged")
    assert [ingredient["weight"] for ingredient in document["ingredients"]] == [0.75, 0.25]
    assert document["ingredients"][1] == {
        "path": run[1],
        "sha256": hashlib.sha256(Path(run[1]).read_bytes()).hexdigest(),
        "weight": 0.25,
        "training_steps": None,
    }
    assert document["least_alike"]["cosine"] > 0.9
    assert {document["least_alike"][side] for side in ("one", "other")} == set(run[:2])
    assert len(document["layers"]) == len(load_net(out).weights)
    assert 0 < max(layer["relative"] for layer in document["layers"]) < 1e-5


def test_what_average_says_in_words(
    run: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.pb.gz"
    assert main(["average", *run, "-o", str(out)]) == 0
    words = capsys.readouterr().out
    assert "rounding: none" in words
    assert "not refreshed" in words
    assert "swa build" in words
    assert words.count("0.25") == 4
    assert main(["average", *run, "-o", str(out), "--overwrite", "--encoding", "bfloat16"]) == 0
    words = capsys.readouterr().out
    assert "rounding: at most" in words
    assert "batch norm scales: off by at most" in words


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--last", "2"], "--last goes with --rule lawa"),
        (["--rule", "lawa", "--max-n", "2"], "--max-n goes with --rule lczero"),
        (["--rule", "lawa", "--ema-start", "first"], "--ema-start goes with --rule ema"),
        (["--rule", "ema", "--weights", "2"], "--weights goes with --rule mean"),
        (["--rule", "ema", "--decay", "0.5", "--scale", "2"], "not allowed with"),
        (["--rule", "ema", "--decay", "1.5"], "decay cannot be 1.5"),
        (["--rule", "ema", "--decay", "nan"], "decay cannot be nan"),
        (["--rule", "lawa", "--last", "0"], "last 0 nets"),
        (["--weights", "1"], "1 weights for 4 nets"),
        (["--weights", "1", "1", "1", "-1"], "a weight cannot be -1"),
        (["--weights", "0", "0", "0", "0"], "all weights are 0"),
        (["--encoding", "float8"], "invalid choice"),
    ],
)
def test_average_refuses_in_a_few_lines(
    flags: list[str],
    reason: str,
    run: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = sorted(tmp_path.iterdir())
    assert main(["average", *run, "-o", str(tmp_path / "out.pb"), *flags]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert reason in output.err
    assert len(output.err.splitlines()) <= 3
    assert sorted(tmp_path.iterdir()) == before


def test_a_weight_that_is_nothing_beside_the_others(
    run: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.pb"
    weights = ["--weights", "1e-300", "1e300", "0", "1e300"]
    document = said(["average", *run, "-o", str(out), *weights], capsys)
    assert [ingredient["weight"] for ingredient in document["ingredients"]] == [0, 0.5, 0, 0.5]
    nets = [load_net(path).weights for path in (run[1], run[3])]
    for name, values in load_net(out).weights.items():
        np.testing.assert_array_equal(values, weighted_mean(nets, [1, 1])[name].astype(np.float32))


def test_what_never_ends_is_no_net(capsys: pytest.CaptureFixture[str]) -> None:
    if not Path("/dev/zero").is_char_device():
        pytest.skip("no /dev/zero here")
    assert main(["inspect", "/dev/zero"]) == 2
    assert "larger than any net" in capsys.readouterr().err


def test_inputs_are_never_overwritten(
    run: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    linked = tmp_path / "linked.pb"
    linked.hardlink_to(run[1])
    before = Path(run[1]).read_bytes()
    for words in (
        ["average", *run, "-o", run[1]],
        ["average", *run, "-o", str(linked)],
        ["convert", run[1], run[1]],
        ["convert", run[1], f"{tmp_path}/./run-1.pb", "--encoding", "float16"],
    ):
        assert main([*words, "--overwrite"]) == 2
        assert "is an input" in capsys.readouterr().err
        assert Path(run[1]).read_bytes() == before


def test_a_file_that_is_there_is_replaced_on_request_only(
    run: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.pb"
    out.write_bytes(b"precious")
    assert main(["convert", run[0], str(out)]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"error: {out}: is there already",
        "  Choose another name, or add --overwrite.",
    ]
    assert out.read_bytes() == b"precious"
    assert main(["convert", run[0], str(out), "--overwrite"]) == 0
    assert out.read_bytes() == Path(run[0]).read_bytes()


def test_different_runs_need_force(
    run: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stranger, out = tmp_path / "stranger.pb", tmp_path / "out.pb"
    stranger.write_bytes(tiny_payload(seed=99))
    assert main(["average", run[0], str(stranger), "-o", str(out)]) == 2
    message = capsys.readouterr().err
    assert "another run" in message
    assert str(stranger) in message
    assert not out.exists()
    assert main(["average", run[0], str(stranger), "-o", str(out), "--force"]) == 0


@pytest.mark.parametrize("rule", ["ema", "lczero", "lawa"])
def test_snapshots_in_the_wrong_order_are_refused(
    rule: str, run: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for steps, path in zip((1000, 10_000, None, 2000), run, strict=True):
        net = replace(load_net(path), training_steps=steps)
        save_net(net, path, overwrite=True)
    words = ["average", *run, "-o", str(tmp_path / "out.pb")]
    assert main([*words, "--rule", rule]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"error: {run[3]}: has 2,000 training steps, the net before it, run-1.pb, 10,000",
        f"  For --rule {rule} name nets from the oldest to the newest.",
    ]
    assert not (tmp_path / "out.pb").exists()
    assert main(words) == 0  # a mean has no order
    ordered = [run[0], run[3], run[2], run[1]]
    assert main(["average", *ordered, "-o", str(tmp_path / "new.pb"), "--rule", rule]) == 0


ODD = os.fsdecode(b"caf\xe9")
"""A name that is not UTF-8, as they come from old archives."""


def test_paths_that_are_not_utf8(
    run: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ODD).mkdir()
    odd = str(tmp_path / ODD / f"{ODD}.pb")
    assert main(["average", *run, "-o", odd]) == 0
    assert "caf\\udce9.pb: " in capsys.readouterr().out
    document = said(["convert", odd, str(tmp_path / ODD / "out.pb.gz")], capsys)
    assert load_net(document["net"]).name == "out"
    assert main(["inspect", odd]) == 0
    assert "caf\\udce9" in capsys.readouterr().out


# licences


def licensed(path: str, licence: bytes) -> None:
    net = load_net(path)
    net.message.license = licence  # type: ignore[attr-defined]
    save_net(net, path, overwrite=True)


def licence_in(path: Path) -> bytes:
    found: bytes = load_net(path).message.license  # type: ignore[attr-defined]
    return found


def test_the_licence_that_is_told_is_kept(
    run: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.pb"
    document = said(["average", *run, "-o", str(out)], capsys)
    assert document["licence"] is None
    assert main(["convert", str(out), str(tmp_path / "again.pb")]) == 0
    assert "licence: none told; --licence TEXT" in capsys.readouterr().out
    for told in (run[:1], run[3:], run):  # the others say nothing
        for path in run:
            licensed(path, b"GPL-3.0" if path in told else b" ")
        document = said(["average", *run, "-o", str(out), "--overwrite"], capsys)
        assert document["licence"] == "GPL-3.0"
        assert licence_in(out) == b"GPL-3.0"
    assert main(["inspect", str(out)]) == 0
    assert re.search("^licence +GPL-3.0$", capsys.readouterr().out, re.MULTILINE)


def test_different_licences_are_for_the_user_to_settle(
    run: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.pb"
    licensed(run[1], b"CC0-1.0")
    licensed(run[2], b"AGPL-3.0\x1b[2J\n" + 100 * b"and more ")
    words = ["average", *run, "-o", str(out)]
    assert main([*words, "--force"]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith(f"error: {run[2]}: is under the licence 'AGPL-3.0 [2J and more ")
    assert first.endswith(f" ...', {run[1]} under 'CC0-1.0'")
    assert second == "  Say with --licence TEXT what their average is under."
    assert not out.exists()
    assert said([*words, "--licence", "AGPL-3.0"], capsys)["licence"] == "AGPL-3.0"
    assert licence_in(out) == b"AGPL-3.0"
    # What does not go in does not count.
    weights = ["--weights", "1", "1", "0", "1", "--overwrite"]
    assert said([*words, *weights], capsys)["licence"] == "CC0-1.0"


def test_convert_sets_a_licence(
    run: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.pb"
    words = ["convert", run[0], str(out), "--licence"]
    assert said([*words, "GPL-3.0, naïve"], capsys)["licence"] == "GPL-3.0, naïve"
    assert licence_in(out).decode() == "GPL-3.0, naïve"
    for licence, reason in ((ODD, r"the licence 'caf\udce9' is not UTF-8"), (" ", "is empty")):
        assert main([*words, licence, "--overwrite"]) == 2
        assert reason in capsys.readouterr().err


# swa convert


def test_convert_between_packings_and_encodings(
    run: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    zipped, plain, small = (tmp_path / name for name in ("a.pb.gz", "b.pb", "c.pb.gz"))
    document = said(["convert", run[0], str(zipped)], capsys)
    assert (document["encoding"], document["min_version"]) == ("float32", "0.33.0")
    said(["convert", str(zipped), str(plain)], capsys)
    assert gzip.decompress(zipped.read_bytes()) == plain.read_bytes() == Path(run[0]).read_bytes()
    document = said(["convert", str(plain), str(small), "--encoding", "bfloat16"], capsys)
    worst = max(document["layers"], key=lambda layer: layer["max_error"])
    values = (load_net(path).weights[worst["name"]].astype(np.float64) for path in (plain, small))
    one, other = values
    assert np.abs(one - other).max() == worst["max_error"] > 0
    assert load_net(small).encoding == "bfloat16"


def test_convert_refuses_what_is_no_net(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "broken.pb"
    broken.write_bytes(tiny_payload()[:-20])
    for words, reason in (
        (["convert", str(broken), str(tmp_path / "out.pb")], "cannot be parsed"),
        (["convert", str(tmp_path / "absent.pb"), str(tmp_path / "out.pb")], "no such file"),
        (["convert", str(broken), str(tmp_path / "out.txt")], "not the name of a net"),
    ):
        assert main(words) == 2
        assert reason in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [broken]
