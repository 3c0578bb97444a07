"""Which heads of a net play: said with the net wherever one is named, and part of who plays.

The nets are the zoo's, of which several have four policy heads and three value heads; and what
plays an attention net at all.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from arena.cli import main
from arena.match_file import NetIdentity, read_identity
from arena.players import Reading

SEVERAL = "n08a_bt4like_multihead.pb.gz"
SINGLE = "n06a_attnbody_pemap.pb.gz"
CONVOLUTIONAL = "n02_se_convpol_wdl_mlh.pb.gz"
CANONICAL = "n09_fmt003_canon.pb.gz"

FEW = ["--no-sprt", "--visits", "2", "--parallel", "8", "--maxmoves", "20", "--device", "cpu", "-q"]


@pytest.fixture(scope="module")
def nets(shared: Path) -> Path:
    return shared / "golden" / "zoo" / "nets"


def asked(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """What ``arena ... --json`` says."""
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main([*words]) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert len(error.splitlines()) <= 3
    return error


# --- one net ---


def test_a_head_is_chosen_by_its_name(nets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def analyze(words: str) -> dict[str, Any]:
        return asked(capsys, "analyze", "--net", f"path={nets / SEVERAL}{words}")

    main_heads = analyze("")
    assert analyze(" policy-head=vanilla value-head=winner") == main_heads
    soft, q = analyze(" policy-head=soft"), analyze(" value-head=q")
    assert soft["wdl"] == main_heads["wdl"]
    assert soft["logits"] != main_heads["logits"]
    assert q["logits"] == main_heads["logits"]
    assert q["wdl"] != main_heads["wdl"]


@pytest.mark.parametrize(
    ("file", "words", "message"),
    [
        (SEVERAL, "policy-head=optimist", "has no policy head 'optimist'"),
        (SEVERAL, "value-head=vanilla", "has no value head 'vanilla'"),
        (SINGLE, "policy-head=soft", "It has vanilla."),
        (CONVOLUTIONAL, "value-head=q", "It has winner."),
        ("n12c_text3_se.txt.gz", "value-head=q", "It has winner."),
        (CONVOLUTIONAL, "lc0-transpose=true", "whose boards are not turned"),
        ("n12c_text3_se.txt.gz", "lc0-transpose=true", "whose boards are not turned"),
    ],
)
def test_what_a_net_has_not_is_refused_by_what_it_has(
    nets: Path, capsys: pytest.CaptureFixture[str], file: str, words: str, message: str
) -> None:
    error = refused(capsys, "analyze", "--net", f"path={nets / file} {words}")
    assert message in error
    assert file in error


def test_lc0_s_transpose_changes_moves_only_where_a_board_is_transposed(
    nets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def analyze(fen: str, words: str = "") -> dict[str, Any]:
        net = f"path={nets / CANONICAL}{words}"
        return asked(capsys, "analyze", "--net", net, "--fen", fen)

    turned, flipped = "8/7k/K7/3r4/8/2n2N2/3Q4/8 w - - 40 90", "8/3r4/4k3/8/2n5/5N2/3Q4/3K4 w - -"
    lc0 = analyze(turned, " lc0-transpose=true")
    assert lc0["wdl"] == analyze(turned)["wdl"]
    assert lc0["logits"] != analyze(turned)["logits"]
    assert analyze(flipped, " lc0-transpose=true") == analyze(flipped)


def test_winograd_is_refused_for_what_has_attention(
    nets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file, reason in (
        (SINGLE, "it has an attention body"),
        ("n05a_se_attnpol.pb.gz", "it has an attention policy"),
    ):
        error = refused(capsys, "analyze", "--net", str(nets / file), "--evaluator", "winograd")
        assert reason in error
        assert "--evaluator auto: torch evaluates such nets" in error


@pytest.mark.parametrize("file", [SEVERAL, "n15_residual_plus_attnbody.pb.gz"])
def test_the_doctor_says_what_evaluates_a_net(
    nets: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    monkeypatch.setattr("arena.doctor.SECONDS_A_BATCH_SIZE", 0.0)
    found = asked(capsys, "doctor", "--net", str(nets / file), "--device", "cpu")
    assert found["evaluator"] == "torch"
    assert found["evaluator_reason"] == "not covered by winograd: it has an attention body"
    assert all(speed["per_second"] > 0 for speed in found["speeds"])


def test_uci_plays_by_the_heads_that_were_asked_for(
    nets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def best(words: str) -> str:
        net = f"path={nets / SEVERAL}{words}"
        command = [sys.executable, "-m", "arena", "uci", "--net", net, "-q", "--device", "cpu"]
        said = "position startpos\ngo nodes 1\n"
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as engine:
            assert engine.stdin is not None
            assert engine.stdout is not None
            engine.stdin.write(said)
            engine.stdin.flush()
            line = next(line for line in engine.stdout if line.startswith("bestmove"))
            engine.communicate("quit\n", timeout=300)
        return line.split()[1]

    for words in ("", " policy-head=optimistic value-head=q"):
        net = f"path={nets / SEVERAL}{words}"
        policy = asked(capsys, "analyze", "--net", net)["policy"]
        assert best(words) == max(policy, key=lambda move: policy[move])


def test_selfplay_goes_on_with_the_same_heads_only(
    nets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def play(words: str, games: int) -> list[str]:
        net = f"path={nets / SEVERAL}{words}"
        flags = ["--games", str(games), "--visits", "2", "--max-plies", "6", "--device", "cpu"]
        return ["selfplay", "--net", net, *flags, "--out", str(tmp_path / "out"), "-q"]

    assert main(play(" value-head=q", 1)) == 0
    settings = json.loads((tmp_path / "out" / "settings.json").read_text())
    assert settings["net"]["value_head"] == "q"
    assert "policy_head" not in settings["net"]
    assert main(play(" value-head=q", 2)) == 0
    assert "value-head: q -> None" in refused(capsys, *play("", 2))


def test_a_file_of_settings_names_heads_as_flags_do(nets: Path, tmp_path: Path) -> None:
    (tmp_path / "net.pb.gz").symlink_to(nets / SEVERAL)
    (tmp_path / "selfplay.toml").write_text('net = "path=net.pb.gz value-head=st"\n')
    flags = ["--games", "1", "--visits", "2", "--max-plies", "4", "--device", "cpu", "-q"]
    config, out = str(tmp_path / "selfplay.toml"), tmp_path / "out"
    assert main(["selfplay", "--config", config, *flags, "--out", str(out)]) == 0
    assert json.loads((out / "settings.json").read_text())["net"]["value_head"] == "st"


# --- matches ---


def test_two_heads_of_one_file_play_each_other(
    nets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def play(other: str, pairs: int) -> list[str]:
        players = ["--net", f"path={nets / SEVERAL}", "--net", f"path={nets / SEVERAL} {other}"]
        return ["run", *players, *FEW, "--pairs", str(pairs), "--out", str(tmp_path / "run")]

    assert main(play("policy-head=optimistic value-head=q", 2)) == 0
    identity = read_identity(tmp_path / "run")
    baseline, candidate = identity.nets
    assert isinstance(baseline, NetIdentity)
    assert isinstance(candidate, NetIdentity)
    assert baseline.sha256 == candidate.sha256
    assert baseline.reading == Reading()
    assert candidate.reading == Reading("optimistic", "q")
    stem = SEVERAL.removesuffix(".pb.gz")
    assert baseline.name == stem
    assert candidate.name == f"{stem} (policy-head optimistic, value-head q)"
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["pairs"] == 2
    assert summary["opinions"] is not None  # they are two nets, and differ
    assert summary["nets"][1]["settings"] == {"policy-head": "optimistic", "value-head": "q"}
    assert "policy head 'optimistic' of" in summary["nets"][1]["heads"]
    assert "policy head 'vanilla' of" in summary["nets"][0]["heads"]
    report = (tmp_path / "run" / "report.md").read_text()
    assert "policy-head optimistic" in report

    # It goes on with the same heads, and with no others.
    assert main(play("value-head=q policy-head=optimistic", 3)) == 0
    error = refused(capsys, *play("policy-head=soft value-head=q", 3))
    assert "nets.candidate.policy-head: optimistic -> soft" in error
    assert "hold the same net" in refused(capsys, *play("policy-head=vanilla", 3))


def test_opinions_are_asked_again_of_the_same_heads(nets: Path, tmp_path: Path) -> None:
    players = ["--net", f"path={nets / SEVERAL}", "--net", f"path={nets / SEVERAL} value-head=st"]
    folder = tmp_path / "run"
    assert main(["run", *players, *FEW, "--pairs", "1", "--out", str(folder)]) == 0
    before = json.loads((folder / "opinions.json").read_text())
    assert any(row["value_difference"] > 0 for row in before["opinions"])
    assert all(row["kl"] == 0 for row in before["opinions"])  # of the same policy head
    (folder / "opinions.json").unlink()
    assert main(["report", str(folder), "--opinions"]) == 0
    after = json.loads((folder / "opinions.json").read_text())
    assert len(after["opinions"]) == len(before["opinions"])
    for one, other in zip(before["opinions"], after["opinions"], strict=True):
        assert other == pytest.approx(one, abs=1e-5)


@pytest.mark.parametrize(
    "other", [SINGLE, SEVERAL, "n05b_se_attnpol_encoders.pb.gz", "n09x_attnbody_fmt004.pb.gz"]
)
def test_attention_nets_play_convolutional_ones(nets: Path, tmp_path: Path, other: str) -> None:
    names = ["--nets", str(nets / CONVOLUTIONAL), str(nets / other)]
    assert main(["run", *names, *FEW, "--pairs", "2", "--out", str(tmp_path / "run")]) == 0
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["pairs"] == 2
    assert summary["wins"] + summary["draws"] + summary["losses"] == 4
    for word in ("winograd (float32 on a CPU)", "torch (not covered by winograd: it has an att"):
        assert word in summary["evaluator"]
    assert "attention" in summary["nets"][1]["architecture"]
    assert summary["opinions"] is not None
