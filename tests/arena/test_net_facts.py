"""What a report tells of nets: their files, their heads, and what averaged ones were made from."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY
from scripted_match import identity, pair, run_folder
from tiny_net import KINDS, TINY

from arena.match_file import NetIdentity
from arena.net_facts import SwaFacts, read_swa_facts, swa_facts
from arena.report.markdown import markdown
from arena.report.nets import net_rows
from arena.report.run import read_run
from arena.report.summary import summarize
from arena.sessions import SESSIONS_FILE, NetFile, Session, read_sessions, session_started
from swa.net import load_net

AVERAGE = REPOSITORY / "nets" / "fledgling-swa-24000.pb.gz"
MANIFEST = AVERAGE.with_name(f"{AVERAGE.name}.json")


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The net that ships, with its manifest, in a folder of its own."""
    shutil.copy(MANIFEST, tmp_path)
    return Path(shutil.copy(AVERAGE, tmp_path))


def facts_of(path: Path) -> SwaFacts | None:
    return swa_facts(load_net(path))


def test_facts_are_those_of_the_manifest() -> None:
    facts = facts_of(AVERAGE)
    assert facts is not None
    manifest = json.loads(MANIFEST.read_text())
    losses = {row["name"]: row["loss"] for row in manifest["losses"]["nets"]}
    assert [asdict(item) for item in facts.ingredients] == [
        {
            "name": item["name"],
            "training_steps": item["training_steps"],
            "weight": item["weight"],
            "loss": losses[item["name"]],
        }
        for item in manifest["ingredients"]
    ]
    assert len(facts.ingredients) == 5
    assert (facts.rule, facts.refresh, facts.refresh_positions) == ("mean", "exact", 6061)
    assert (facts.losses_on, facts.losses_positions) == ("held-out", 686)
    assert facts.raw_loss == losses["fledgling-24000"]
    assert facts.stale_loss == losses["averaged, not refreshed"]
    assert facts.refreshed_loss == losses["fledgling-swa-24000"]


def test_a_net_without_a_manifest_has_no_facts(copied: Path) -> None:
    assert facts_of(AVERAGE.with_name("fledgling-24000.pb.gz")) is None
    copied.with_name(MANIFEST.name).unlink()
    assert facts_of(copied) is None


def test_a_manifest_of_another_net_says_nothing(copied: Path) -> None:
    shutil.copy(AVERAGE.with_name("fledgling-24000.pb.gz"), copied)
    assert facts_of(copied) is None


def test_a_manifest_cut_anywhere_says_nothing(copied: Path) -> None:
    net, path = load_net(copied), copied.with_name(MANIFEST.name)
    whole = path.read_bytes()
    for size in [*range(0, len(whole) - 2, len(whole) // 40), len(whole) - 3]:
        path.write_bytes(whole[:size])
        assert swa_facts(net) is None
    path.unlink()
    path.mkdir()
    assert swa_facts(net) is None


def changed(copied: Path, change: dict[str, Any]) -> SwaFacts:
    path = copied.with_name(MANIFEST.name)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    facts = facts_of(copied)
    assert facts is not None
    return facts


def test_facts_without_losses_and_without_some_ingredients(copied: Path) -> None:
    facts = changed(copied, {"losses": None})
    assert (facts.raw_loss, facts.stale_loss, facts.refreshed_loss) == (None, None, None)
    assert facts.losses_on is None
    ingredients = json.loads(MANIFEST.read_text())["ingredients"]
    for item in ingredients:
        used = item is not ingredients[0]
        item |= {"weight": 0.25 * used, "rule_weight": 1.0 * used}
    losses = json.loads(MANIFEST.read_text())["losses"]
    losses["nets"] = [row for row in losses["nets"] if row["name"] != ingredients[0]["name"]]
    settings = {"decay": 0.5, "start": "first", "losses": [1.0]}
    change = {"ingredients": ingredients, "losses": losses}
    facts = changed(copied, change | {"rule": {"name": "ema", "settings": settings}})
    assert [item.name for item in facts.ingredients] == [item["name"] for item in ingredients[1:]]
    assert facts.ingredients[0].loss == losses["nets"][2]["loss"]
    assert facts.rule == "ema decay 0.5 start first"  # lists are for the manifest


# --- from the session to the report ---


def session(*nets: NetFile) -> Session:
    return Session("2025-01-31T23:59:59+00:00", ("arena",), {}, "cpu", 1, nets=nets)


def noted(copied: Path) -> NetFile:
    net = load_net(copied)
    return NetFile(
        net.sha256,
        net.path.name,
        str(net.spec),
        net.training_steps,
        bytes=copied.stat().st_size,
        heads=net.spec.heads,
        swa=swa_facts(net),
        path=str(copied),
    )


def test_sessions_are_read_as_they_were_noted(tmp_path: Path) -> None:
    files = noted(AVERAGE), NetFile("a" * 64, "raw.pb.gz", "2x32", None)
    session_started(tmp_path, session(*files))
    assert read_sessions(tmp_path)[0].nets == files


def test_sessions_of_older_and_of_later_versions_are_read(tmp_path: Path) -> None:
    session_started(tmp_path, session(noted(AVERAGE)))
    line = json.loads((tmp_path / SESSIONS_FILE).read_text())
    net = line["nets"][0]
    older = {key: net[key] for key in ("sha256", "file", "architecture", "training_steps")}
    odd = {"bytes": "many", "heads": 3, "path": [], "swa": {"rule": "mean"}}
    for changed_net in (older, net | odd, net | {"later": 1}):
        text = json.dumps(line | {"nets": [changed_net]})
        (tmp_path / SESSIONS_FILE).write_text(f"{text}\n")
        (found,) = read_sessions(tmp_path)[0].nets
        assert found.sha256 == net["sha256"]
        if "later" in changed_net:
            assert found == noted(AVERAGE)
        else:
            assert (found.bytes, found.heads, found.swa, found.path) == (None,) * 4


@pytest.mark.parametrize(
    "change",
    [
        {"refresh_positions": "x"},
        {"stale_loss": float("nan")},
        {"ingredients": 3},
        {"ingredients": [None]},
        {"ingredients": [{"name": "a"}]},
    ],
)
def test_facts_that_are_none_are_left_out(change: dict[str, Any]) -> None:
    facts = facts_of(AVERAGE)
    assert facts is not None
    assert read_swa_facts(asdict(facts)) == facts
    assert read_swa_facts(asdict(facts) | change) is None


def test_the_report_tells_of_averaged_nets(tmp_path: Path) -> None:
    net = noted(AVERAGE)
    base = identity(sprt=None)
    players = (base.nets[0], NetIdentity("candidate", "swa", net.sha256))
    folder = run_folder(tmp_path / "run", replace(base, nets=players), [pair(0, 1.0, 0.5)])
    session_started(folder, session(net))
    run = read_run(folder)
    summary = summarize(run)
    baseline, candidate = summary["nets"]
    assert (baseline["bytes"], baseline["heads"], baseline["swa"]) == (None, None, None)
    assert candidate["bytes"] == AVERAGE.stat().st_size
    assert candidate["swa"] is not None
    assert candidate["swa"]["raw_loss"] == facts_of(AVERAGE).raw_loss  # type: ignore[union-attr]
    rows = dict(net_rows(summary["nets"]))
    assert rows["size"] == ["-", f"{AVERAGE.stat().st_size:,} bytes"]
    assert rows["average of"][1] == (
        "5 nets: fledgling-22400, fledgling-22800, fledgling-23200, fledgling-23600, "
        "fledgling-24000; after 22,400, 22,800, 23,200, 23,600, 24,000 steps"
    )
    assert rows["averaged by"] == ["-", "mean"]
    assert rows["batch norm"] == ["-", "refreshed (exact) on 6,061 positions"]
    assert rows["loss"][1].startswith(f"{candidate['swa']['raw_loss']:.4f} longest trained")
    assert rows["loss"][1].endswith("this net (nats, 686 held-out positions)")
    text = markdown(run, summary)
    assert "| batch norm | - | refreshed (exact) on 6,061 positions |" in text
    assert "engine" not in rows  # what nobody has is left out


def test_shares_that_differ_are_told(tmp_path: Path) -> None:
    swa: Any = asdict(facts_of(AVERAGE)) | {"raw_loss": None}  # type: ignore[call-overload]
    for item, weight in zip(swa["ingredients"], (0.5, 0.3, 0.1, 0.1, 0.0), strict=True):
        item["weight"] = weight
    net: Any = {"name": "a", "role": "baseline", "sha256": "0" * 64, "swa": swa}
    net |= dict.fromkeys(("file", "architecture", "training_steps", "bytes", "heads"))
    rows = dict(net_rows([net]))
    assert rows["average of"][0].startswith("5 nets: fledgling-22400 (50.0 %), ")


@pytest.mark.parametrize("kind", KINDS)
def test_heads_are_told_in_words(kind: str) -> None:
    spec = KINDS[kind]
    words = spec.heads
    assert ("convolution" in words) == ("a dense layer" not in words)
    assert ("win, draw and loss" in words) == (spec.value.outputs == 3)
    assert ("no moves left" in words) == (spec.moves_left is None)


def test_the_heads_of_a_net() -> None:
    assert TINY.heads == (
        "policy by convolution (4 channels), value as win, draw and loss (2 channels, 3 hidden), "
        "moves left"
    )
