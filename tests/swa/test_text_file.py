from __future__ import annotations

import gzip
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import read_jsonl
from numpy.typing import NDArray
from text_nets import text_net
from tiny_net import TINY, random_weights

from swa.batchnorm import fold
from swa.cli import main
from swa.model import for_play, tower, unpack
from swa.net import load_net, save_net
from swa.spec import NetError, NetSpec, PolicyKind, PolicySpec, ValueKind, ValueSpec
from swa.text_file import is_text, parse
from swa.weights_file import unpack as unpacked

PLAIN = replace(
    TINY,
    se=0,
    blocks=2,
    policy=PolicySpec(PolicyKind.CLASSICAL, 1),
    value=ValueSpec(ValueKind.CLASSICAL, channels=2, hidden=3),
    moves_left=None,
)
SQUEEZING = replace(PLAIN, se=2)
CONVOLUTION = replace(SQUEEZING, policy=PolicySpec(PolicyKind.CONVOLUTION, 4))
EARLY = replace(PLAIN, early=True)
SPECS = {1: EARLY, 2: PLAIN, 3: SQUEEZING, 4: CONVOLUTION}

ZOO_NETS = (
    "n12a_text2_step1.txt.gz",
    "n12b_text2_step2.txt",
    "n12c_text3_se.txt.gz",
    "n12d_text4_convpol.txt.gz",
    "n12e_text4_convpol_wdl3.txt.gz",
)


def weights_without_gammas(spec: NetSpec, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    weights = random_weights(spec, seed)
    if spec.early:
        weights["input.conv.weight"][:, 110:] = 0  # planes that version 1 has not
    return {
        name: np.ones_like(array) if name.endswith(".gamma") else array
        for name, array in weights.items()
    }


def weights_for(version: int, spec: NetSpec) -> dict[str, NDArray[np.float32]]:
    return weights_without_gammas(spec) if version <= 2 else random_weights(spec)


@cache
def written(version: int = 2) -> bytes:
    spec = SPECS[version]
    return text_net(version, spec, weights_for(version, spec))


def with_line(payload: bytes, number: int, line: bytes) -> bytes:
    """The same file with another line of that number, from 1."""
    lines = payload.split(b"\n")
    lines[number - 1] = line
    return b"\n".join(lines)


def twin_of(name: str) -> str:
    return f"{name.partition('.')[0]}_f32twin.pb.gz"


# What is read


@pytest.mark.parametrize("version", SPECS)
@pytest.mark.parametrize("kind", list(ValueKind))
@pytest.mark.parametrize("blocks", [0, 1, 3])
def test_reads_back_what_was_written(version: int, kind: ValueKind, blocks: int) -> None:
    spec = SPECS[version]
    spec = replace(spec, blocks=blocks, value=replace(spec.value, kind=kind))
    spec = replace(spec, se=0) if not blocks else spec
    weights = weights_for(version, spec)
    found = parse(text_net(version, spec, weights))
    assert (found.version, found.spec) == (version, spec)
    assert list(found.weights) == list(weights)
    for name, array in weights.items():
        read = found.weights[name]
        assert read.dtype == np.float32
        assert not read.flags.writeable
        if version <= 2 and name.endswith(".beta"):  # rounded when hidden, and when found
            np.testing.assert_allclose(read, array, rtol=2e-7)
        else:
            np.testing.assert_array_equal(read, array)


def test_a_hidden_beta_is_the_bias_of_its_convolution() -> None:
    """leela-chess takes biases from the means: (conv + bias - mean) / sqrt(variance + 1e-5)."""
    generator = np.random.default_rng(3)
    conv, bias, mean = generator.normal(size=(3, 4)).astype(np.float32)
    variance = np.array([0, 1e-4, 0.5, 30], np.float32)
    lines = written().split(b"\n")
    for offset, array in ((2, bias), (3, mean), (4, variance)):
        lines[offset] = b" ".join(str(x).encode() for x in array)
    weights = parse(b"\n".join(lines)).weights
    deviation = np.sqrt(variance.astype(np.float64) + 1e-5)
    expected = (conv.astype(np.float64) + bias - mean) / deviation
    norm = {part: weights[f"input.bn.{part}"] for part in ("gamma", "beta", "mean", "variance")}
    deviation = np.sqrt(norm["variance"].astype(np.float64) + 1e-5)
    found = norm["gamma"] * (conv.astype(np.float64) - norm["mean"]) / deviation + norm["beta"]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data + b"\n",
        lambda data: data + b" \n\n",
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: data.replace(b" ", b"  ").replace(b"\n", b" \n"),
        lambda data: data.replace(b" ", b"\t"),
        lambda data: b"2 \n" + data.partition(b"\n")[2],
    ],
)
def test_white_space_does_not_matter(change: Callable[[bytes], bytes]) -> None:
    data = written()
    plain, changed = parse(data), parse(change(data))
    assert changed.spec == plain.spec
    for name, array in plain.weights.items():
        np.testing.assert_array_equal(changed.weights[name], array)


@pytest.mark.parametrize("name", ["old.txt", "old.txt.gz", "anything"])
def test_a_file_is_told_by_what_is_in_it(tmp_path: Path, name: str) -> None:
    data = gzip.compress(written(), mtime=0) if name.endswith(".gz") else written()
    (tmp_path / name).write_bytes(data)
    net = load_net(tmp_path / name)
    assert net.format == ("txt.gz" if name.endswith(".gz") else "txt")
    assert net.name == name.removesuffix(".gz").removesuffix(".txt")
    assert net.encoding == "text"
    assert net.training_steps is None
    assert net.network == "NETWORK_CLASSICAL_WITH_HEADFORMAT"


def test_a_protobuf_net_does_not_look_like_a_text_net(shared: Path) -> None:
    for path in sorted((shared / "golden/zoo/nets").glob("*.pb*"))[:5]:
        assert not is_text(unpacked(path.read_bytes()))
    assert is_text(b"2")
    assert is_text(b"2\n")
    assert not is_text(b"")
    assert not is_text(b"2 4\n")
    assert not is_text(b"-2\n")


# Against lc0's zoo


@pytest.mark.parametrize("name", ZOO_NETS)
def test_the_nets_of_the_zoo_are_their_twins(shared: Path, name: str) -> None:
    folder = shared / "golden/zoo/nets"
    net, twin = load_net(folder / name), load_net(folder / twin_of(name))
    assert net.spec == twin.spec
    assert list(net.weights) == list(twin.weights)
    for parameter, array in twin.weights.items():
        np.testing.assert_array_equal(net.weights[parameter], array, err_msg=parameter)


@pytest.fixture(scope="module")
def planes(shared: Path) -> dict[int, torch.Tensor]:
    """The planes of input format 1 that lc0 made of each position, by its id."""
    found = {}
    for row in read_jsonl(shared / "golden/zoo/planes.jsonl.gz"):
        if row["input_format"] == 1:
            masks, values = np.zeros((1, 112), np.uint64), np.ones((1, 112), np.float32)
            for plane, (mask, value) in row["planes"].items():
                masks[0, int(plane)], values[0, int(plane)] = int(mask, 16), value
            bits = torch.tensor(masks.view(np.int64))
            found[row["id"]] = unpack(bits, torch.tensor(values), torch.float64)
    return found


@pytest.fixture(scope="module")
def references(shared: Path) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Rows of the text nets, and the same of a forward pass in float64."""
    folder = shared / "golden/zoo"
    rows = read_jsonl(folder / "rows.jsonl.gz"), read_jsonl(folder / "float64.jsonl.gz")
    pairs = zip(*rows, strict=True)
    return [(row, exact) for row, exact in pairs if row["file"] in ZOO_NETS]


@pytest.mark.parametrize("name", ZOO_NETS)
def test_evaluations_are_those_of_the_reference(
    shared: Path,
    planes: dict[int, torch.Tensor],
    references: list[tuple[dict[str, Any], dict[str, Any]]],
    name: str,
) -> None:
    net = load_net(shared / "golden/zoo/nets" / name)
    exact = tower(*fold(net.spec, net.weights)).eval().double()
    single = for_play(net.spec, net.weights)
    mine = [(row, reference) for row, reference in references if row["file"] == name]
    assert len(mine) == 47
    for row, reference in mine:
        assert (row["net"], row["id"]) == (reference["net"], reference["id"])
        position = planes[row["id"]]
        for module, board, tolerance in (
            (exact, position, (3e-5, 5e-6)),
            (single, position.float(), (5e-4, 1e-4)),
        ):
            with torch.no_grad():
                outputs = module(board)
            logits = outputs.policy[0, row["index"]].double().numpy()
            np.testing.assert_allclose(logits, reference["logits"], rtol=0, atol=tolerance[0])
            value = outputs.value[0].double()
            if value.numel() == 3:
                win, draw, loss = value.softmax(0).tolist()
                assert row["has_wdl"]
                assert draw == pytest.approx(reference["d"], abs=tolerance[1])
            else:
                win, loss = (1 + value.item()) / 2, (1 - value.item()) / 2
            assert win - loss == pytest.approx(reference["q"], abs=tolerance[1])


# What becomes of it


def test_convert_makes_a_file_that_lc0_reads(tmp_path: Path, shared: Path) -> None:
    source = shared / "golden/zoo/nets" / ZOO_NETS[0]
    for name, flags, atol in (
        ("exact.pb.gz", ["--encoding", "float32"], 0.0),
        ("small.pb", [], 1e-4),
    ):
        assert main(["convert", str(source), str(tmp_path / name), *flags]) == 0
        text, made = load_net(source), load_net(tmp_path / name)
        assert made.spec == text.spec
        assert made.network == "NETWORK_CLASSICAL_WITH_HEADFORMAT"
        assert made.min_version == ((0, 33, 0) if flags else (0, 21, 0))
        for parameter, array in text.weights.items():
            np.testing.assert_allclose(made.weights[parameter], array, rtol=0, atol=atol)


def test_average_of_two_text_nets(tmp_path: Path, shared: Path) -> None:
    sources = [shared / "golden/zoo/nets" / name for name in ZOO_NETS[:2]]
    output = tmp_path / "mean.pb.gz"
    save = ["-o", str(output), "--encoding", "float32"]
    assert main(["average", *map(str, sources), *save]) == 0
    one, other = (load_net(source).weights for source in sources)
    mean = load_net(output).weights
    for name, array in mean.items():
        expected = (one[name].astype(np.float64) + other[name]) / 2
        np.testing.assert_allclose(array, expected, rtol=1e-6, atol=1e-7)


def test_inspect_tells_of_a_text_net(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "old.txt").write_bytes(written())
    assert main(["inspect", str(tmp_path / "old.txt")]) == 0
    told = capsys.readouterr().out
    assert re.search(r"format +txt\n", told)
    assert re.search(r"blocks +2\n", told)


@pytest.mark.parametrize("name", ["new.txt", "new.txt.gz"])
def test_no_text_net_is_written(tmp_path: Path, name: str) -> None:
    (tmp_path / "old.txt").write_bytes(written())
    with pytest.raises(NetError, match="not the name of a net"):
        save_net(load_net(tmp_path / "old.txt"), tmp_path / name)


# What is refused


def refusal(data: bytes) -> str:
    with pytest.raises(NetError) as refused:
        parse(data)
    message = str(refused.value)
    assert len(message.splitlines()) <= 3
    return message


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"0\n1", "version 0"),
        (b"5\n1 2", "version 5"),
        (b"123456789\n1 2", "version 123456789"),
        (b"2", "version 2 with 0 lines of numbers, where 18 and 8 more for each block fit"),
        (b"2\n0.5 0.25", "version 2 with 1 lines"),
        (written().rpartition(b"\n")[0], "version 2 with 33 lines"),
        (with_line(written(3), 1, b"4"), "fits the other lines"),
        (with_line(written(4), 1, b"3"), "fits the other lines"),
        (with_line(written(3), 1, b"2"), "version 2 with 49 lines"),
        (with_line(written(), 3, b"0 0 0 zero"), "line 3 of the text net is not all numbers"),
        (with_line(written(), 3, b"0 0 0 0,5"), "line 3 of the text net is not all numbers"),
        (with_line(written(), 3, b"0 0 0 \xff"), "line 3 of the text net is not all numbers"),
        (with_line(written(), 3, b"0 0 0 nan"), "line 3 .* not a finite number"),
        (with_line(written(), 3, b"0 0 0 inf"), "line 3 .* not a finite number"),
        (with_line(written(), 3, b"0 0 0 1e39"), "line 3 .* not a finite number"),
        (with_line(written(), 3, b""), "line 3 of the text net is empty"),
        (with_line(written(), 3, b"1 2 3"), "line 2 .* 4032 numbers, where .*3 x 112 x 3 x 3"),
        (with_line(written(), 5, b"0 0 0 -1"), "line 5 .* negative variance"),
        (with_line(written(), 8, b"1"), "line 8 .* 1 numbers, where blocks.0.bn1.mean of 4"),
        (with_line(written(), 35, b"1 2"), "line 35 .* 2 numbers: a value is one, or three"),
        (
            with_line(with_line(written(), 3, b"0 0 0 3e38"), 5, b"1 1 1 0"),
            "line 3 .* too large for its batch norm",
        ),
        (with_line(written(), 2, b" ".join([b"0"] * 18 * 9 * 4)), "Leela Zero: it plays Go"),
    ],
)
def test_files_that_are_no_nets(data: bytes, reason: str) -> None:
    assert re.search(reason, refusal(data).splitlines()[0])


def mutations(seed: int, count: int) -> Iterator[bytes]:
    """Files with bytes changed, numbers and lines cut out, doubled or put in."""
    dice = random.Random(seed)
    sources = {version: written(version) for version in SPECS}
    for _ in range(count):
        lines = sources[dice.choice([*SPECS])].split(b"\n")
        for _ in range(dice.choice((1, 1, 2, 4))):
            at, kind = dice.randrange(len(lines)), dice.randrange(7)
            line = bytearray(lines[at])
            if kind == 0:
                lines[at] = dice.choice((b"nan", b"1e400", b"-", b"", b"0", b"1 2 3", b"\0"))
            elif kind == 1 and len(lines) > 2:
                del lines[at]
            elif kind == 2:
                lines.insert(at, lines[dice.randrange(len(lines))])
            elif kind == 3 and line:
                line[dice.randrange(len(line))] = dice.randrange(256)
                lines[at] = bytes(line)
            elif kind == 4:
                lines[at] = bytes(line[: dice.randrange(len(line) + 1)])
            elif kind == 5:
                lines[at] = bytes(line).replace(b"-", b"", 1)
            else:
                lines[at] = b" ".join(bytes(line).split()[: dice.choice((1, 3, 4, 16))])
        yield b"\n".join(lines)


def survives(seed: int, count: int) -> None:
    """Both outcomes are there, and no other: else only one is tested."""
    nets = errors = 0
    mutants = [mutant for mutant in mutations(seed, count) if is_text(mutant)]
    for mutant in mutants:
        try:
            found = parse(mutant)
        except NetError as error:
            errors += len(str(error).splitlines()) <= 3
        else:
            nets += 1
            for array in found.weights.values():
                assert np.isfinite(array).all()
            tower(found.spec, found.weights)
    assert nets + errors == len(mutants)
    assert nets > count / 50
    assert errors > count / 5


def test_mutated_files_give_nets_or_typed_errors() -> None:
    survives(1, 60)


@pytest.mark.slow
def test_many_mutated_files_give_nets_or_typed_errors() -> None:
    survives(2, 2000)
