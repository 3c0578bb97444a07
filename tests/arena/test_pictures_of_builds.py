"""Pictures of how the nets of a match were built: those of their manifests, by way of a session."""

from __future__ import annotations

import copy
import json
from dataclasses import asdict, replace

import pytest
from conftest import REPOSITORY

from arena.net_facts import SwaFacts, read_swa_facts, swa_facts
from arena.report.nets import swa_summary
from arena.report.pictures.builds import build_pictures
from arena.report.schema import NetSummary
from swa.manifest import read_manifest
from swa.net import load_net
from swa.picture import svg

pytestmark = pytest.mark.draws

SHIPPED = next((REPOSITORY / "nets").glob("*-swa-*.pb.gz"))


@pytest.fixture(scope="module")
def facts() -> SwaFacts:
    found = swa_facts(load_net(SHIPPED))
    assert found is not None
    return found


def net_of(facts: SwaFacts | None) -> NetSummary:
    return NetSummary(
        name="the net",
        role="candidate",
        sha256="0" * 64,
        file=None,
        architecture=None,
        training_steps=None,
        bytes=None,
        heads=None,
        swa=swa_summary(facts),
    )


def test_facts_survive_the_sessions_file(facts: SwaFacts):
    assert read_swa_facts(json.loads(json.dumps(asdict(facts)))) == facts
    older = asdict(facts)
    del older["layers"]
    assert read_swa_facts(older) == replace(facts, layers=())


@pytest.mark.parametrize("broken", [None, "many", float("nan"), float("inf")])
def test_facts_that_are_damaged_say_nothing(facts: SwaFacts, broken):
    values = copy.deepcopy(asdict(facts))
    values["layers"][0]["mean_shift_rms"] = broken
    assert read_swa_facts(values) is None


def test_pictures_are_the_manifests(facts: SwaFacts):
    manifest = read_manifest(SHIPPED.with_name(f"{SHIPPED.name}.json"))
    losses, shift = build_pictures(net_of(facts))
    assert [losses.name, shift.name] == ["candidate-build-losses", "candidate-build-batch-norm"]
    assert losses.title.startswith("the net: ")
    found = {row[0]: row[1] for row in losses.rows}
    assert manifest.losses is not None
    for net in manifest.losses.nets:
        label = {"built": "built", "averaged": "average, stale"}.get(net.role, net.name)
        assert found[label] == f"{net.loss:.4f}"
    assert [row[0] for row in shift.rows] == [layer.name for layer in manifest.refresh.layers]
    assert "games" not in losses.caption
    assert "bars" not in losses.caption
    for picture in (losses, shift):
        assert svg(picture) == svg(picture)


def test_a_net_without_a_manifest_has_no_pictures(facts: SwaFacts):
    assert build_pictures(net_of(None)) == []
    bare = replace(facts, losses_on=None, refreshed_loss=None, stale_loss=None, layers=())
    assert build_pictures(net_of(bare)) == []
