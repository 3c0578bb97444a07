"""No golden vector lies about unused: the tests that hold them are run on watched copies."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
import test_bayeselo
import test_elo
import test_homogeneity
import test_overshoot
import test_ratings
import test_sprt
import test_stopping

WITH_VECTORS: list[tuple[Callable[..., None], str, tuple[str, ...]]] = [
    (test_sprt.test_llr_vectors, "llr", ()),
    (test_sprt.test_inputs_on_which_fishtest_fails, "robustness", ()),
    (test_sprt.test_closed_form_vectors, "llr_approx", ()),
    (test_sprt.test_forecast_vectors, "expected_length", ()),
    (test_sprt.test_random_walk_vectors, "expected_length", ()),
    (test_elo.test_fastchess_vectors, "elo_ci_los", ()),
    (test_elo.test_fishtest_vectors, "elo_ci_los", ()),
    (test_elo.test_single_game_vectors, "elo_ci_los", ("elo_ci_los", "cutechess")),
    (test_elo.test_single_game_vectors, "elo_ci_gate", ("elo_ci_gate", "lczero-server")),
    (test_elo.test_fishtest_normalized_vectors, "nelo_ci", ()),
    (test_elo.test_openbench_vectors, "elo_ci", ()),
    (test_stopping.test_sequential_elo_vectors, "sequential_elo", ()),
    (test_stopping.test_brownian_vectors, "brownian_cdf", ()),
    (test_overshoot.test_sequences, "sprt_sequence", ("fishtest",)),
    (test_overshoot.test_sequences, "sprt_sequence", ("vdbergh-pentanomial",)),
    *(
        (test_bayeselo.test_plain_llr_vectors, "llr_bayeselo", (system,))
        for system in test_bayeselo.PLAIN_TESTS
    ),
    (test_bayeselo.test_bayesian_gsprt_vectors, "llr_bayeselo", ()),
]
"""Tests that are given a list of vectors, of which kind, and what else they are given."""

WITH_FOLDER: list[Callable[[Path], None]] = [
    test_homogeneity.test_fishtest_vectors,
    test_ratings.test_katago_vectors,
    test_ratings.test_ordo_vectors,
]
"""Tests that read the file by themselves."""

NOT_HELD: dict[str, str] = {}
"""Vectors that no test holds, by name, and why."""


class Watched(dict[str, Any]):
    """A vector that counts how often its output was asked for; of a crash there is none."""

    asked: ClassVar[Counter[str]] = Counter()

    def __getitem__(self, key: str) -> Any:
        output = "input" if self.get("kind") == "robustness" else "output"
        if key == output and "id" in self:
            self.asked[self["id"]] += 1
        return super().__getitem__(key)


def test_every_vector_is_held(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (shared / "golden/stats_vectors.json").read_text()
    document = json.loads(text, object_hook=Watched)
    vectors = document["vectors"]
    monkeypatch.setattr(Watched, "asked", Counter())
    for test, kind, rest in WITH_VECTORS:
        test([vector for vector in vectors if vector["kind"] == kind], *rest)
    monkeypatch.setattr(json, "loads", lambda _: document)
    for reading in WITH_FOLDER:
        reading(shared)
    names = {vector["id"] for vector in vectors}
    assert len(names) == len(vectors) == document["count"]
    assert names - set(Watched.asked) == set(NOT_HELD)
