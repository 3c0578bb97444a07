"""The forward pass on a CPU against the torch module in float64, and what else it promises."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import llvmlite.binding
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tiny_net import KINDS, TINY, calm_weights

from swa import planes
from swa.filters import NARROW, padded
from swa.forward import Forward, Outputs, new_workspace
from swa.simd import LINE
from swa.spec import (
    NET_ACTIVATIONS,
    POLICY_MOVES,
    Activation,
    MovesLeftSpec,
    NetSpec,
    PolicyKind,
    PolicySpec,
    ValueKind,
    ValueSpec,
    parameters,
)

Floats = NDArray[np.float32]
Weights = Mapping[str, Floats]

every_kind = pytest.mark.parametrize("spec", KINDS.values(), ids=KINDS.keys())


class Boards(NamedTuple):
    """What a forward pass is asked."""

    masks: NDArray[np.uint64]
    values: Floats
    moves: NDArray[np.uint16]
    offsets: NDArray[np.int64]

    def some(self, chosen: Sequence[int]) -> Boards:
        """The same boards in another order, fewer of them, or some several times."""
        lists = [self.moves[self.offsets[b] : self.offsets[b + 1]] for b in chosen]
        return Boards(
            np.ascontiguousarray(self.masks[list(chosen)]),
            np.ascontiguousarray(self.values[list(chosen)]),
            np.concatenate([np.zeros(0, np.uint16), *lists]),
            np.cumsum([0, *map(len, lists)], dtype=np.int64),
        )


def random_boards(count: int, seed: int = 0) -> Boards:
    """Empty, full and nearly empty planes and ones of random bits; any values, any moves."""
    random = np.random.default_rng(seed)
    words = np.stack(
        [
            np.zeros((count, 112), np.uint64),
            np.full((count, 112), planes.FULL_BOARD, np.uint64),
            np.uint64(1) << random.integers(0, 64, (count, 112), np.uint64),
            random.integers(0, planes.FULL_BOARD, (count, 112), np.uint64, endpoint=True),
        ]
    )
    kinds = random.choice(4, (count, 112), p=[0.4, 0.1, 0.4, 0.1])
    masks = np.take_along_axis(words, kinds[None], axis=0)[0]
    lists = [random.integers(0, POLICY_MOVES, random.integers(0, 60)) for _ in range(count)]
    return Boards(
        masks,
        random.normal(0, 2, (count, 112)).astype(np.float32),
        np.concatenate([np.zeros(0, int), *lists]).astype(np.uint16),
        np.cumsum([0, *map(len, lists)], dtype=np.int64),
    )


def reference(spec: NetSpec, weights: Weights, boards: Boards) -> Outputs:
    """What the torch module says in float64, batch norm not folded."""
    import torch

    from swa.model import tower

    torch.set_num_threads(1)  # more collapse when anything else wants a core
    module = tower(spec, weights).eval().double()
    inputs = torch.from_numpy(planes.unpack(boards.masks, boards.values.astype(np.float64)))
    with torch.inference_mode():
        outputs = module(inputs)
    rows = np.repeat(np.arange(len(boards.masks)), np.diff(boards.offsets))
    value = outputs.value.double()
    if spec.value.kind is ValueKind.WDL:
        wdl = value.softmax(1).numpy()
    else:
        q = value.numpy()
        wdl = np.concatenate(((1 + q) / 2, np.zeros_like(q), (1 - q) / 2), axis=1)
    plies = outputs.moves_left
    return Outputs(
        outputs.policy.numpy()[rows, boards.moves],
        wdl,
        np.zeros(len(wdl)) if plies is None else plies.numpy()[:, 0],
    )


def same(ours: Outputs, theirs: Outputs) -> None:
    """Equal bit for bit."""
    for field, one, other in zip(Outputs._fields, ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=field)


def close(ours: Outputs, exact: Outputs, tolerance: float = 1e-5) -> None:
    """Within so much of the largest logit (or of 1), of probabilities, of plies.

    In 459 random nets the greatest errors were 1.4e-6, 1.3e-6 and 2.4e-6.
    """
    scale = max(1.0, float(np.abs(exact.logits).max(initial=0)))
    np.testing.assert_allclose(ours.logits, exact.logits, rtol=0, atol=tolerance * scale)
    np.testing.assert_allclose(ours.wdl, exact.wdl, rtol=0, atol=tolerance)
    np.testing.assert_allclose(ours.moves_left, exact.moves_left, rtol=tolerance, atol=tolerance)


# Exactness

CONVOLUTIONAL = (PolicyKind.CLASSICAL, PolicyKind.CONVOLUTION)

widths = st.integers(1, 70)
narrow = st.integers(1, 40)

specs = st.builds(
    NetSpec,
    blocks=st.integers(0, 3),
    filters=widths,
    se=st.one_of(st.just(0), st.integers(1, 40)),
    policy=st.builds(PolicySpec, st.sampled_from(CONVOLUTIONAL), narrow),
    value=st.builds(ValueSpec, st.sampled_from(ValueKind), narrow, widths),
    moves_left=st.one_of(st.none(), st.builds(MovesLeftSpec, narrow, widths)),
    activation=st.sampled_from(NET_ACTIVATIONS),
    batch_norm=st.booleans(),
)


@given(specs, st.integers(0, 14), st.integers(0, 2**32))
@settings(max_examples=60)
def test_any_net_is_evaluated_as_by_torch_in_float64(spec: NetSpec, count: int, seed: int) -> None:
    weights, boards = calm_weights(spec, seed), random_boards(count, seed)
    outputs = Forward(spec, weights)(*boards)
    assert outputs.logits.dtype == outputs.wdl.dtype == outputs.moves_left.dtype == np.float32
    assert outputs.wdl.shape == (count, 3)
    assert outputs.moves_left.shape == (count,)
    close(outputs, reference(spec, weights, boards))


@pytest.mark.parametrize(
    ("filters", "policy"), [(128, 128), (96, 16), (16, 112)], ids=["10x128", "narrow", "wide"]
)
def test_larger_nets(filters: int, policy: int) -> None:
    spec = replace(
        TINY,
        blocks=10 if filters == 128 else 4,
        filters=filters,
        se=24,
        policy=PolicySpec(PolicyKind.CONVOLUTION, policy),
        value=ValueSpec(ValueKind.WDL, 32, 128),
    )
    weights, boards = calm_weights(spec), random_boards(13)
    close(Forward(spec, weights)(*boards), reference(spec, weights, boards))


def test_outcomes_are_probabilities() -> None:
    for kind in ValueKind:
        spec = replace(TINY, value=ValueSpec(kind, 4, 8))
        wdl = Forward(spec, calm_weights(spec))(*random_boards(100)).wdl
        assert (wdl >= 0).all()
        np.testing.assert_allclose(wdl.sum(axis=1), 1, rtol=1e-6)
        assert (wdl[:, 1] == 0).all() == (kind is ValueKind.CLASSICAL)
        assert len(np.unique(wdl[:, 2])) > 20  # and say something


def test_a_value_too_large_for_exp_is_still_a_probability() -> None:
    weights = calm_weights(TINY)
    weights["value.dense2.bias"] = np.array([500, -500, 499], np.float32)
    wdl = Forward(TINY, weights)(*random_boards(5)).wdl
    np.testing.assert_allclose(wdl, reference(TINY, weights, random_boards(5)).wdl, atol=1e-4)


def test_plies_left_are_not_negative() -> None:
    weights = calm_weights(TINY)
    for bias, expected in ((-100, 0), (100, 100)):
        weights["moves_left.dense2.bias"] = np.array([bias], np.float32)
        plies = Forward(TINY, weights)(*random_boards(5)).moves_left
        np.testing.assert_allclose(plies, expected, atol=20 if expected else 0)


def test_values_of_empty_planes_do_not_matter() -> None:
    boards = random_boards(9)
    other = boards.values.copy()
    other[boards.masks == 0] = 1e6
    forward = Forward(TINY, calm_weights(TINY))
    same(forward(*boards._replace(values=other)), forward(*boards))


# The same bits


@cache
def middle_net() -> Forward:
    """Two blocks of 32 filters with everything, and a batch that several threads share."""
    spec = replace(
        TINY,
        blocks=2,
        filters=32,
        se=8,
        policy=PolicySpec(PolicyKind.CONVOLUTION, 48),
        value=ValueSpec(ValueKind.WDL, 8, 32),
    )
    return Forward(spec, calm_weights(spec))


def keeping_taps(spec: NetSpec) -> Forward:
    """What a large net would be: with kernels of its own for a single board."""
    with patch("swa.packed.MOST_CACHED", 0):
        forward = Forward(spec, calm_weights(spec))
    assert bool(forward._net.tower.convs.taps.size) == (padded(spec.filters) > NARROW)
    return forward


@cache
def wide_net() -> Forward:
    """Two blocks of 128 filters of which the taps are kept."""
    spec = replace(
        TINY, blocks=2, filters=128, se=8, policy=PolicySpec(PolicyKind.CONVOLUTION, 100)
    )
    return keeping_taps(spec)


@cache
def tiny_forward(kind: str) -> Forward:
    return Forward(KINDS[kind], calm_weights(KINDS[kind]))


def parts(outputs: Outputs, boards: Boards) -> list[Outputs]:
    """What was said of each board."""
    return [
        Outputs(outputs.logits[first:end], outputs.wdl[b], outputs.moves_left[b])
        for b, (first, end) in enumerate(pairwise(boards.offsets))
    ]


@given(
    st.sampled_from(list(KINDS)),
    st.lists(st.integers(0, 39), max_size=60),
    st.sampled_from([1, 2, 5]),
)
@settings(max_examples=80)
def test_a_board_is_the_same_in_any_batch(kind: str, chosen: list[int], threads: int) -> None:
    boards, forward = random_boards(40), tiny_forward(kind)
    alone = parts(forward(*boards), boards)
    batch = boards.some(chosen)
    together = parts(forward(*batch, threads=threads), batch)
    for board, outputs in zip(chosen, together, strict=True):
        same(outputs, alone[board])


@pytest.mark.parametrize("kind", KINDS)
def test_boards_without_moves_have_the_same_values(kind: str) -> None:
    """All of them, or as many as a group and more among others: the policy is not computed."""
    boards, forward = random_boards(40), tiny_forward(kind)
    whole = forward(*boards)
    for first, end in ((0, 40), (3, 25)):
        lengths = np.diff(boards.offsets)
        asked = np.ones(40, bool)
        asked[first:end] = False
        moves = boards.moves[np.repeat(asked, lengths)]
        offsets = np.append(0, np.cumsum(lengths * asked))
        outputs = forward(boards.masks, boards.values, moves, offsets)
        same(outputs, whole._replace(logits=whole.logits[np.repeat(asked, lengths)]))


WIDE = {
    "classical": replace(
        TINY, blocks=1, filters=70, se=0, policy=PolicySpec(PolicyKind.CLASSICAL, 20)
    ),
    "mish": replace(
        TINY,
        blocks=1,
        filters=96,
        activation=Activation.MISH,
        policy=PolicySpec(PolicyKind.CONVOLUTION, 130),
    ),
}
"""Other nets of which the taps are kept; the policy of one is wider than its tower."""


@pytest.mark.parametrize("kind", WIDE)
def test_a_board_of_any_wide_net_is_the_same_alone(kind: str) -> None:
    boards, forward = random_boards(8), keeping_taps(WIDE[kind])
    together = parts(forward(*boards), boards)
    for board in range(8):
        alone = boards.some([board])
        same(parts(forward(*alone), alone)[0], together[board])
        bare = alone._replace(moves=np.zeros(0, np.uint16), offsets=np.zeros(2, np.int64))
        np.testing.assert_array_equal(forward(*bare).wdl[0], together[board].wdl)


@given(st.lists(st.integers(0, 19), min_size=1, max_size=14), st.sampled_from([1, 2, 5]))
@settings(max_examples=30)
def test_a_board_of_a_wide_net_is_the_same_in_any_batch(chosen: list[int], threads: int) -> None:
    boards, forward = random_boards(20), wide_net()
    together = parts(forward(*boards), boards)
    batch = boards.some(chosen)
    for board, outputs in zip(chosen, parts(forward(*batch, threads=threads), batch), strict=True):
        same(outputs, together[board])


@pytest.mark.parametrize("net", [middle_net, wide_net])
def test_a_board_is_the_same_alone_and_in_the_middle_of_many(net: Callable[[], Forward]) -> None:
    boards, forward = random_boards(100), net()
    together = forward(*boards)
    for threads in (2, 5):
        same(forward(*boards, threads=threads), together)
    for board, outputs in enumerate(parts(together, boards)):
        single = boards.some([board])
        same(parts(forward(*single), single)[0], outputs)


def test_a_broken_board_does_not_touch_its_neighbours() -> None:
    boards, forward = random_boards(20), middle_net()
    before = parts(forward(*boards), boards)
    boards.values[8] = np.nan
    after = parts(forward(*boards), boards)
    assert np.isnan(after[8].wdl).all()
    assert np.isnan(after[8].logits).all()
    for board in range(20):
        if board != 8:
            same(after[board], before[board])
    # Nor what is computed in the same room later.
    same(parts(forward(*random_boards(20)), boards)[8], before[8])


def test_many_threads_may_call_at_once() -> None:
    forward, asked = middle_net(), [random_boards(1 + 7 * seed, seed) for seed in range(8)]
    expected = [forward(*boards) for boards in asked]
    found: list[list[Outputs]] = [[] for _ in asked]

    def call(caller: int) -> None:
        for repeat in range(20):
            found[caller].append(forward(*asked[caller], threads=1 + (caller + repeat) % 3))

    threads = [threading.Thread(target=call, args=(caller,)) for caller in range(len(asked))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for answers, outputs in zip(found, expected, strict=True):
        assert len(answers) == 20
        for answer in answers:
            same(answer, outputs)


def test_no_boards_no_answers() -> None:
    outputs = tiny_forward("mish")(*random_boards(0))
    assert [array.shape for array in outputs] == [(0,), (0, 3), (0,)]


def test_boards_without_moves() -> None:
    boards = random_boards(7)
    bare = boards._replace(moves=np.zeros(0, np.uint16), offsets=np.zeros(8, np.int64))
    outputs = middle_net()(*bare)
    assert outputs.logits.size == 0
    np.testing.assert_array_equal(outputs.wdl, middle_net()(*boards).wdl)


# Memory

SENTINEL = 0x7FC0DEAD
"""As a float it is a NaN, which whatever is computed from it would be too."""

ZONE = 1 << 16
"""Bytes before and after an array: more than a channel or a board too many reaches."""


class Guarded:
    """Arrays that each stand between two zones which nobody may write to or use."""

    def __init__(self) -> None:
        self._rooms: list[tuple[NDArray[np.uint32], int, int]] = []

    def __call__(self, array: NDArray[Any]) -> NDArray[Any]:
        """A copy that begins at a cache line and ends right before its second zone."""
        words = -(-array.nbytes // 4)
        room = np.full(words + 2 * ZONE // 4 + LINE // 4, SENTINEL, np.uint32)
        start = ZONE // 4 + (-room.ctypes.data % LINE) // 4
        self._rooms.append((room, start, start + words))
        place = room.view(np.uint8)[4 * start : 4 * start + array.nbytes]
        copy = place.view(array.dtype).reshape(array.shape)
        copy[...] = array
        return copy

    def all_of(self, arrays: Any) -> Any:
        """A tuple of arrays, numbers and such tuples, its arrays guarded."""
        return type(arrays)(
            *(
                self(part)
                if isinstance(part, np.ndarray)
                else self.all_of(part)
                if isinstance(part, tuple)
                else part
                for part in arrays
            )
        )

    def check(self) -> None:
        """Raise where a zone was written to."""
        assert self._rooms
        for number, (room, start, end) in enumerate(self._rooms):
            assert (room[:start] == SENTINEL).all(), number
            assert (room[end:] == SENTINEL).all(), number


def fill(arrays: Any) -> None:
    """Leave in a workspace what nobody may use."""
    for part in arrays:
        if isinstance(part, tuple):
            fill(part)
        elif isinstance(part, np.ndarray):
            part.fill(np.nan if part.dtype == np.float32 else 1 << 40)


def guarded_run(forward: Forward, boards: Boards, guarded: Guarded) -> Outputs:
    """The compiled forward pass on one thread, every array it sees between guard zones."""
    net = guarded.all_of(forward._net)
    work = guarded.all_of(new_workspace(forward._net))
    fill(work)
    count = len(boards.masks)
    logits = guarded(np.full(len(boards.moves), np.nan, np.float32))
    wdl = guarded(np.full((count, 3), np.nan, np.float32))
    plies = guarded(np.zeros((count, 1), np.float32))
    arguments = guarded.all_of(boards)
    forward._run(net, work, *arguments, 0, count, logits, wdl, plies)
    return Outputs(logits, wdl, plies[:, 0])


def test_guards_notice() -> None:
    guarded = Guarded()
    array = guarded(np.zeros(5, np.float32))
    guarded.check()
    beyond = np.lib.stride_tricks.as_strided(array, (6,))
    beyond[5] = np.nan
    with pytest.raises(AssertionError):
        guarded.check()


@given(specs, st.integers(1, 13), st.integers(0, 2**32))
@settings(max_examples=30)
def test_nothing_is_read_or_written_beyond_an_array(spec: NetSpec, count: int, seed: int) -> None:
    with patch("swa.packed.MOST_CACHED", 0):
        forward, guarded = Forward(spec, calm_weights(spec, seed)), Guarded()
    boards = random_boards(count, seed)
    outputs = guarded_run(forward, boards, guarded)
    guarded.check()
    for array in outputs:
        assert np.isfinite(array).all()
    same(outputs, forward(*boards))


@pytest.mark.parametrize("filters", [1, 16, 17, 64, 80])
@pytest.mark.parametrize("policy", CONVOLUTIONAL)
def test_guard_zones_of_the_usual_shapes(filters: int, policy: PolicyKind) -> None:
    """As wide as each other, wider and narrower: slots and rooms are shared by tower and heads."""
    for channels in (1, 32, 80):
        spec = replace(
            TINY,
            filters=filters,
            se=filters + 1,
            policy=PolicySpec(policy, channels),
            value=ValueSpec(ValueKind.WDL, channels, 100),
            moves_left=MovesLeftSpec(3 * channels, 3),
        )
        # Two groups, the second of a single board.
        forward, boards, guarded = keeping_taps(spec), random_boards(7), Guarded()
        outputs = guarded_run(forward, boards, guarded)
        guarded.check()
        same(outputs, forward(*boards))


def test_part_of_a_batch_leaves_the_rest_alone() -> None:
    forward, boards = middle_net(), random_boards(20)
    count = len(boards.moves)
    logits, wdl = np.full(count, 7, np.float32), np.full((20, 3), 7, np.float32)
    plies = np.full((20, 1), 7, np.float32)
    work = new_workspace(forward._net)
    forward._run(forward._net, work, *boards, 6, 15, logits, wdl, plies)
    whole, edges = forward(*boards), slice(boards.offsets[6], boards.offsets[15])
    np.testing.assert_array_equal(logits[edges], whole.logits[edges])
    np.testing.assert_array_equal(wdl[6:15], whole.wdl[6:15])
    np.testing.assert_array_equal(plies[6:15, 0], whole.moves_left[6:15])
    assert (np.delete(logits, edges) == 7).all()
    assert (np.delete(wdl, slice(6, 15), axis=0) == 7).all()
    assert (np.delete(plies, slice(6, 15)) == 7).all()


# Broken nets


BROKEN = {
    name: replace(spec, policy=replace(spec.policy, channels=1)) for name, spec in KINDS.items()
}


def all_moves_of_dense_boards(count: int) -> Boards:
    """Boards whose every plane has pieces, so that every weight counts."""
    random = np.random.default_rng(1)
    masks = random.integers(0, planes.FULL_BOARD, (count, 112), np.uint64)
    masks[:, 0] = planes.FULL_BOARD  # the plane whose weight shall be none
    return Boards(
        masks,
        random.normal(0, 2, (count, 112)).astype(np.float32),
        np.tile(np.arange(POLICY_MOVES, dtype=np.uint16), count),
        np.arange(count + 1, dtype=np.int64) * POLICY_MOVES,
    )


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        (kind, number)
        for kind, spec in BROKEN.items()
        for number in (np.nan, np.inf, -np.inf)
        # Here mish of that is its limit, 0, and in torch no number.
        if number != -np.inf or spec.activation is not Activation.MISH
    ],
)
def test_a_weight_that_is_no_number_is_noticed(kind: str, number: float) -> None:
    """What torch's forward pass would show, this one shows, for one weight of every array."""
    spec, boards = BROKEN[kind], all_moves_of_dense_boards(3)
    weights = calm_weights(spec)
    assert all(np.isfinite(array).all() for array in reference(spec, weights, boards))
    shown = 0
    for row in parameters(spec):
        weights = calm_weights(spec)
        # Of a 3x3 filter the middle: torch also multiplies the zeros beyond the edge, not so here.
        weights[row.name].flat[4 if row.shape[2:] == (3, 3) else 0] = number
        with np.errstate(all="ignore"):
            ours = Forward(spec, weights)(*boards)
        for field, one, other in zip(
            Outputs._fields, ours, reference(spec, weights, boards), strict=True
        ):
            broken = ~np.isfinite(other)
            if np.isnan(number):
                assert (~np.isfinite(one) >= broken).all(), (row.name, field)
                shown += bool(broken.any())
            else:
                assert not np.isfinite(one).all() or not broken.any(), (row.name, field)
    assert shown >= len(parameters(spec)) or not np.isnan(number)


@every_kind
def test_what_float32_has_no_room_for_is_noticed(spec: NetSpec) -> None:
    boards = random_boards(7)
    for name in ("input.conv.weight", "blocks.0.conv1.weight", "blocks.0.conv2.weight"):
        weights = calm_weights(spec)
        weights[name] = np.full_like(weights[name], 3e38)
        with np.errstate(all="ignore"):
            outputs = Forward(spec, weights)(*boards)
        assert not np.isfinite(outputs.logits).any(), name
        assert not np.isfinite(outputs.wdl[:, [0, 2]]).any(), name


# Elsewhere


EVERYWHERE = KINDS | {"wide": replace(TINY, blocks=1, filters=NARROW + 1)}


def tiny_outcomes() -> dict[str, list[Any]]:
    """What the tiny nets say of a few boards."""
    boards = random_boards(7)  # a group, and a single board
    return {
        kind: [array.tolist() for array in keeping_taps(spec)(*boards)]
        for kind, spec in EVERYWHERE.items()
    }


def elsewhere(code: str, **environment: str) -> Any:
    """What a program prints in JSON, started with the modules of these tests at hand."""
    here = Path(__file__).parent
    folders = os.pathsep.join(map(str, (here, here.parent, here.parents[1])))
    # numpy's threads collapse when anything else wants a core, on products as small as these.
    alone = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    finished = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": folders} | alone | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


def as_outputs(lists: list[Any]) -> Outputs:
    return Outputs(*(np.array(numbers) for numbers in lists))


def test_plain_python_agrees_with_compiled_code() -> None:
    code = "import json, test_forward; print(json.dumps(test_forward.tiny_outcomes()))"
    plain, compiled = elsewhere(code, NUMBA_DISABLE_JIT="1"), tiny_outcomes()
    for kind, spec in EVERYWHERE.items():
        close(as_outputs(compiled[kind]), as_outputs(plain[kind]))
        close(as_outputs(plain[kind]), reference(spec, calm_weights(spec), random_boards(7)))


def test_torch_is_not_needed() -> None:
    code = "import json, sys, swa.forward; print(json.dumps('torch' in sys.modules))"
    assert elsewhere(code) is False


OLDER = """
import json, re, test_forward
from swa.forward import _evaluate
found = test_forward.tiny_outcomes()
(text,) = _evaluate.inspect_asm().values()
called = sorted(set(re.findall(r"call\\w*\\s+\\*?(\\w*fma\\w*)", text)))
words = {word: word in text for word in ("vfmadd", "ymm", "xmm")}
print(json.dumps([found, called, words]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("processor", ["nehalem", "sandybridge"])
def test_processors_without_fma(processor: str, tmp_path: Path) -> None:
    """Compiled for a processor without AVX2 and FMA, nehalem also without AVX."""
    if "x86_64" not in llvmlite.binding.get_process_triple():
        pytest.skip("processors of another kind")
    found, called, words = elsewhere(
        OLDER,
        NUMBA_CPU_NAME=processor,
        NUMBA_CPU_FEATURES="",
        ARENA_CACHE_DIR=str(tmp_path),
    )
    assert called == []
    assert words == {"vfmadd": False, "ymm": processor == "sandybridge", "xmm": True}
    for kind, spec in EVERYWHERE.items():
        exact = reference(spec, calm_weights(spec), random_boards(7))
        close(as_outputs(found[kind]), exact)


def test_arrays_that_are_not_what_they_should_be_are_refused() -> None:
    spec = next(iter(KINDS.values()))
    forward = Forward(spec, calm_weights(spec))
    masks, values, moves, offsets = random_boards(4)
    forward(masks, values, moves, offsets)
    falling = offsets.copy()
    falling[1], falling[2] = offsets[2], offsets[1]
    late = offsets.copy()
    late[0] = 1
    wild = moves.copy()
    wild[0] = 1858
    for broken, message in (
        ((masks[:2], values, moves, offsets), "masks is uint64"),
        ((np.asfortranarray(masks), values, moves, offsets), "masks is uint64"),
        ((masks.view(np.int64), values, moves, offsets), "masks is int64"),
        ((masks, values.astype(np.float64), moves, offsets), "values is float64"),
        ((masks, values[:, :50].copy(), moves, offsets), "values is float32"),
        ((masks, values, moves.astype(np.int64), offsets), "moves is int64"),
        ((masks, values, moves, offsets.astype(np.int32)), "offsets is int32"),
        ((masks, values, moves, falling), "offsets must rise"),
        ((masks, values, moves, late), "offsets must rise"),
        ((masks, values, moves[:-1].copy(), offsets), "offsets must rise"),
        ((masks, values, wild, offsets), "move 1858"),
    ):
        with pytest.raises(ValueError, match=message):
            forward(*broken)
