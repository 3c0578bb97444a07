"""All pictures of a match, in the order in which a report shows them."""

from __future__ import annotations

from arena.report.pictures.builds import build_pictures
from arena.report.pictures.evidence import elo_picture, llr_picture
from arena.report.pictures.nets import calibration_picture, divergence_picture, opinions_picture
from arena.report.pictures.outcomes import (
    lengths_picture,
    openings_picture,
    pentanomial_picture,
    terminations_picture,
)
from arena.report.pictures.pace import pace_picture
from arena.report.schema import Summary
from swa.picture import Picture

PICTURES = {
    "elo": elo_picture,
    "llr": llr_picture,
    "pentanomial": pentanomial_picture,
    "openings": openings_picture,
    "lengths": lengths_picture,
    "terminations": terminations_picture,
    "calibration": calibration_picture,
    "divergence": divergence_picture,
    "opinions": opinions_picture,
    "pace": pace_picture,
}
"""By name: the picture's own, of its file and of its place in a page."""


def pictures(summary: Summary) -> list[Picture]:
    """Return the pictures for which a match has data; their numbers are those of the summary."""
    made = (picture_of(summary) for picture_of in PICTURES.values())
    of_builds = (picture for net in summary["nets"] for picture in build_pictures(net))
    return [*(picture for picture in made if picture is not None), *of_builds]
