"""Pictures of how the nets of a match were built, where a session noted their manifests' facts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from arena.report.pictures.words import short
from arena.report.schema import NetSummary, SwaSummary
from swa.picture import Picture

if TYPE_CHECKING:  # takes a second to import, and few matches need it
    from swa.manifest import LossesRecord, RefreshRecord


def build_pictures(net: NetSummary) -> list[Picture]:
    """Return the pictures of ``swa build`` for a net of summary.json; none without a manifest.

    Losses are the sum of policy and value, as the summary has them.
    """
    swa = net["swa"]
    if swa is None:
        return []
    from swa.build_pictures import build_pictures as pictures_of

    made = pictures_of(_losses(net["name"], swa), _refresh(swa), f"{net['role']}-build")
    return [replace(one, title=f"{short(net['name'], 40)}: {one.title}") for one in made]


def _losses(name: str, swa: SwaSummary) -> LossesRecord | None:
    from swa.manifest import LossesRecord, LossRecord

    if swa["losses_on"] is None or swa["refreshed_loss"] is None:
        return None
    found = [
        ("built", name, swa["refreshed_loss"]),
        ("averaged", "", swa["stale_loss"]),
        *(("ingredient", item["name"], item["loss"]) for item in swa["ingredients"]),
    ]
    nets = tuple(
        LossRecord(role, short(label, 24), loss, {"loss": loss}, {})
        for role, label, loss in found
        if loss is not None
    )
    return LossesRecord(swa["losses_on"], swa["losses_positions"], 0, 0.0, 0.0, nets)


def _refresh(swa: SwaSummary) -> RefreshRecord:
    from swa.manifest import RefreshRecord
    from swa.refresh_report import LayerShift

    layers = tuple(LayerShift(**layer) for layer in swa.get("layers", ()))
    return RefreshRecord(swa["refresh"], "", "", "", 1, swa["refresh_positions"], layers)
