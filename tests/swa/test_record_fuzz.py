"""Mutated files of training records give valid records or a counted, typed error, nothing else."""

from __future__ import annotations

import gzip
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from record_bytes import SIZES, game_bytes, packed_game, tar_of

from swa.chunks import ReadCounts, read_records
from swa.records import LAYOUTS, V6, parse, planes_of, targets_of, validate

FIELDS = {
    "side_to_move": 1,
    "castling_us_oo": 1,
    "result": 1,
    "root_q": 0.5,
    "best_d": 0.25,
    "plies_left": 30.0,
    "result_q": 1.0,
    "orig_q": float("nan"),
    "visits": 800,
    "best_idx": 1,
}


def light(data: bytes) -> bytes:
    return gzip.compress(data, 1, mtime=0)


Corpus = list[tuple[str, bytes, Callable[[bytes], bytes], list[int]]]
"""Name of the file, bytes to mutate, what is then done to them, places where structure is."""


def corpus() -> Corpus:
    files: Corpus = []
    for version in LAYOUTS:
        game, size = game_bytes(version, 2, **FIELDS), SIZES[version]
        first = 8 if version >= 5 else 4
        fields = [at for at in range(size) if at < first + 40 or at >= first + 4 * 1858 + 8 * 104]
        places = fields + [size + at for at in fields]
        files.append((f"{version}.bin", game, bytes, places))
        files.append((f"{version}.gz", game, light, places))
        packed = packed_game(version, 2, **FIELDS)
        files.append((f"packed-{version}.gz", packed, bytes, [*range(40), *range(-12, 0)]))
    tar = tar_of({"LICENSE": b"free", "1.gz": packed_game(6, 1), "2.bin": game_bytes(6, 1)})
    headers = [at for at in range(len(tar)) if tar[at - at % 512 :][257:262] == b"ustar"]
    files.append(("t.tar", tar, bytes, headers))
    return files


def mutations(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Files with bits flipped, bytes replaced, cut out or put in, ends cut off or added."""
    dice, files = random.Random(seed), corpus()
    for _ in range(count):
        name, source, finish, structure = dice.choice(files)
        mutant = bytearray(source)
        for _ in range(dice.choice((1, 1, 1, 2, 4))):
            if not mutant:
                break
            at = dice.choice(structure) if dice.random() < 0.8 else dice.randrange(len(source))
            at %= len(mutant)
            kind = dice.randrange(8)
            if kind < 4:
                mutant[at] ^= 1 << dice.randrange(8)
            elif kind == 4:
                mutant[at : at + 4] = dice.choice((b"\0\0\xc0\x7f", b"\xff" * 4, bytes(4)))
            elif kind == 5:
                del mutant[at : at + dice.choice((1, 4, 512, 1000))]
            elif kind == 6:
                mutant[at:at] = dice.randbytes(dice.choice((1, 4, 30)))
            elif dice.random() < 0.5:
                del mutant[dice.randrange(len(mutant)) :]
            else:
                mutant += dice.randbytes(dice.choice((1, 100))) + source[: dice.randrange(600)]
        yield name, finish(bytes(mutant))


def survive(folder: Path, seed: int, count: int) -> None:
    outcomes: Counter[str] = Counter()
    for name, data in mutations(seed, count):
        path = folder / name
        path.write_bytes(data)
        counts = ReadCounts()
        for chunk in read_records([path], counts):
            outcomes["read"] += 1
            records = chunk.records
            assert records.dtype == V6
            assert (records["version"] == 6).all()
            validate(records)
            if (records["input_format"] == 1).all():
                masks, values = planes_of(records)
                assert np.isfinite(values).all()
                assert masks[:, 111].all()
            targets = targets_of(records)
            assert (abs(targets.policy.sum(1) - 1) < 0.011).all()
            assert (abs(targets.result.sum(1) - 1) < 0.011).all()
        if not name.endswith(".tar"):
            assert counts.files + counts.truncated + counts.skipped.total() >= 1
            assert counts.files + counts.skipped.total() <= 1
        for damage, error in counts.examples.items():
            outcomes[damage] += 1
            assert error.damage is damage
            assert 1 <= len(str(error).splitlines()) <= 3
            assert str(error).startswith(str(path))
        outcomes["truncated"] += counts.truncated > 0
    # Else some of the code was never reached. No file is too long, and root reads everything.
    few = count // 500
    for outcome in ("read", "truncated", "damaged gzip", "damaged tar", "no training records"):
        assert outcomes[outcome] > few, outcomes
    for outcome in ("mixed versions", "impossible probabilities", "impossible values"):
        assert outcomes[outcome] > few, outcomes


def test_mutated_files_are_survived(tmp_path: Path) -> None:
    survive(tmp_path, 1, 2000)


@pytest.mark.slow
def test_a_hundred_thousand_mutated_files_are_survived(tmp_path: Path) -> None:
    survive(tmp_path, 2, 100_000)


def test_the_corpus_is_valid(tmp_path: Path) -> None:
    for name, source, finish, _ in corpus():
        path = tmp_path / name
        path.write_bytes(finish(source))
        counts = ReadCounts()
        assert sum(len(chunk.records) for chunk in read_records(path, counts)) == 2
        assert not counts.skipped
    assert len(parse(game_bytes(6, 2, **FIELDS))) == 2
