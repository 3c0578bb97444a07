"""A net's forward pass on a CPU: packed planes in, the legal moves' logits and the outcome out.

What makes it fast: 3x3 convolutions by Winograd (``swa.winograd``) in groups of six boards, an
input layer that adds up the filters of the squares that are set, and of the policy only the legal
moves. Torch is not needed, nor loaded. A board's result does not depend, bit for bit, on the boards
beside it or on the number of threads: each of its numbers is the same sum in the same order.

B = boards, M = legal moves of all of them. Activations are [64 squares][channels], channels padded
to a multiple of 16, in flat arrays of float32.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from swa.activations import NO_ACTIVATION, exp8, sigmoid8
from swa.batchnorm import Weights
from swa.cores import in_chunks
from swa.filters import TAPS
from swa.jit import compiled_for, kernel, pasted
from swa.layers import (
    activate,
    add_and_activate,
    bias_and_activate,
    dense_logit,
    excite,
    input_convolution,
    move_logit,
    squeeze,
)
from swa.packed import Head, Packed, Policy, Tower, pack
from swa.simd import WIDTH, Floats, aligned, splat8, store8
from swa.spec import PLANES, POLICY_MOVES, NetSpec
from swa.winograd import (
    GROUP,
    SQUARES,
    Layout,
    Slots,
    from_slots,
    layout_of,
    multiply,
    multiply_rows,
    new_slots,
    to_slots,
)


class Outputs(NamedTuple):
    """What a net says of B boards with M legal moves."""

    logits: NDArray[np.float32]  # [M]
    wdl: NDArray[np.float32]  # [B, 3] win, draw, loss probabilities of the side to move
    moves_left: NDArray[np.float32]  # [B] plies; 0 from a net that does not say


class Workspace(NamedTuple):
    """What one thread computes in: a group of boards."""

    slots: Slots
    tower: Floats  # [GROUP][64][filters] what a block begins with, and what the tower comes to
    inner: Floats  # [GROUP][64][channels] what a layer makes of it
    sums: Floats  # [9][filters]
    counts: NDArray[np.int64]  # [64]
    planes: NDArray[np.int64]  # [64][112]
    means: Floats  # [GROUP][filters]
    squeezed: Floats  # [GROUP][se]
    gates: Floats  # [GROUP][2][filters]
    head: Floats  # [GROUP][64][channels of the widest head]
    hidden: Floats  # [GROUP][hidden]


def new_workspace(net: Packed) -> Workspace:
    """Room for one thread: some 0.6 MB for 64 filters."""
    tower, heads = net.tower, (net.value, net.moves_left)
    channels = max(tower.filters, net.policy.channels)
    board = GROUP * SQUARES
    return Workspace(
        slots=new_slots(channels),
        tower=aligned(board * tower.filters),
        inner=aligned(board * channels),
        sums=aligned(TAPS * tower.filters),
        counts=np.zeros(SQUARES, np.int64),
        planes=np.zeros(SQUARES * PLANES, np.int64),
        means=aligned(GROUP * tower.filters),
        squeezed=aligned(GROUP * tower.se),
        gates=aligned(GROUP * 2 * tower.filters),
        head=aligned(board * max(net.policy.channels, *(head.channels for head in heads))),
        hidden=aligned(GROUP * max(head.hidden for head in heads)),
    )


@pasted
def _input(
    net: Tower,
    work: Workspace,
    layout: Layout,
    masks: NDArray[np.uint64],
    values: NDArray[np.float32],
) -> None:
    """The first layer of a group's boards, [boards, 112] each."""
    size = SQUARES * net.filters
    for board in range(masks.shape[0]):
        input_convolution(
            masks[board],
            values[board],
            net.input,
            net.input_bias,
            net.filters,
            work.sums,
            work.counts,
            work.planes,
            work.inner,
        )
        activate(work.inner, 0, work.tower, board * size, size, net.activation)
        to_slots(work.tower, board * size, net.filters, work.slots, layout, board)


@pasted
def _blocks(net: Tower, work: Workspace, layout: Layout, boards: int) -> None:
    """All blocks: from activations in ``work.tower`` and the slots to the same."""
    slots, filters = work.slots, net.filters
    size = SQUARES * filters
    for conv in range(0, 2 * net.blocks, 2):
        multiply(slots, layout, boards, net.convs, conv)
        for board in range(boards):
            place, bias = board * size, conv * filters
            from_slots(
                slots, layout, board, net.biases, bias, filters, net.activation, work.inner, place
            )
            to_slots(work.inner, place, filters, slots, layout, board)
        multiply(slots, layout, boards, net.convs, conv + 1)
        for board in range(boards):
            place, bias = board * size, (conv + 1) * filters
            from_slots(
                slots, layout, board, net.biases, bias, filters, NO_ACTIVATION, work.inner, place
            )
        if net.se:
            squeeze_and_excite(net, work, conv // 2, boards)
        for board in range(boards):
            place = board * size
            add_and_activate(work.tower, place, work.inner, place, size, net.activation)
            to_slots(work.tower, place, filters, slots, layout, board)


@kernel
def squeeze_and_excite(net: Tower, work: Workspace, block: int, boards: int) -> None:
    """Scale and shift the channels of ``work.inner`` by what the whole board shows."""
    filters, se, gates = net.filters, net.se, 2 * net.filters
    size, start = SQUARES * filters, block * filters * se
    for board in range(boards):
        squeeze(work.inner, board * size, filters, work.means, board * filters)
    multiply_rows(
        work.means, 0, filters, boards, net.squeeze, start, filters, se, work.squeezed, 0, se
    )
    bias_and_activate(work.squeezed, 0, boards, se, net.squeeze_bias, block * se, net.activation)
    multiply_rows(
        work.squeezed, 0, se, boards, net.excite, 2 * start, se, gates, work.gates, 0, gates
    )
    bias_and_activate(work.gates, 0, boards, gates, net.excite_bias, block * gates, NO_ACTIVATION)
    for board in range(boards):
        excite(work.inner, board * size, filters, work.gates, board * gates)


@pasted
def _pointwise(
    net: Tower, work: Workspace, boards: int, weights: Floats, bias: Floats, channels: int
) -> None:
    """A 1x1 convolution of the tower's activations into ``work.head``, biased and activated."""
    squares, filters = boards * SQUARES, net.filters
    multiply_rows(
        work.tower, 0, filters, squares, weights, 0, filters, channels, work.head, 0, channels
    )
    bias_and_activate(work.head, 0, squares, channels, bias, 0, net.activation)


@pasted
def _dense_head(
    net: Tower, head: Head, work: Workspace, boards: int, outputs: NDArray[np.float32]
) -> None:
    """Fill ``outputs`` [boards, >= head.outputs] with what a head says, not yet normalised."""
    _pointwise(net, work, boards, head.conv, head.conv_bias, head.channels)
    depth, hidden = SQUARES * head.channels, head.hidden
    multiply_rows(
        work.head, 0, depth, boards, head.dense1, 0, depth, hidden, work.hidden, 0, hidden
    )
    bias_and_activate(work.hidden, 0, boards, hidden, head.bias1, 0, net.activation)
    for board in range(boards):
        for row in range(head.outputs):
            outputs[board, row] = dense_logit(
                work.hidden, board * hidden, hidden, head.dense2, head.bias2, row
            )


@pasted
def _policy(
    net: Tower,
    policy: Policy,
    work: Workspace,
    layout: Layout,
    moves: NDArray[np.uint16],
    offsets: NDArray[np.int64],
    logits: NDArray[np.float32],
) -> None:
    """Fill the logits of a group's legal moves; ``offsets`` [boards + 1] point into ``moves``."""
    boards, channels = len(offsets) - 1, policy.channels
    if policy.convolution:
        multiply(work.slots, layout, boards, policy.filters, 0)
        for board in range(boards):
            from_slots(
                work.slots, layout, board, policy.bias, 0, channels, net.activation, work.inner, 0
            )
            for edge in range(offsets[board], offsets[board + 1]):
                place = policy.places[moves[edge]]
                logits[edge] = move_logit(
                    work.inner, channels, policy.moves, policy.moves_bias, place
                )
    else:
        _pointwise(net, work, boards, policy.conv, policy.bias, channels)
        depth = SQUARES * channels
        for board in range(boards):
            for edge in range(offsets[board], offsets[board + 1]):
                row = int(moves[edge])  # 16 bits are too few for places
                logits[edge] = dense_logit(
                    work.head, board * depth, depth, policy.moves, policy.moves_bias, row
                )


@pasted
def _normalise(outputs: int, wdl: NDArray[np.float32], scratch: Floats) -> None:
    """Turn what a value head said, in ``wdl`` [boards, 3], into probabilities.

    No library's exponential is called, of which every machine has another.
    """
    for board in range(wdl.shape[0]):
        if outputs == 1:
            # (1 + tanh v) / 2 = 1 / (1 + e^-2v)
            store8(scratch, 0, sigmoid8(splat8(np.float32(2) * wdl[board, 0])))
            store8(scratch, WIDTH, sigmoid8(splat8(np.float32(-2) * wdl[board, 0])))
            win, draw, loss = scratch[0], np.float32(0), scratch[WIDTH]
            total = np.float32(1)
        else:
            greatest = max(wdl[board, 0], wdl[board, 1], wdl[board, 2])
            for place in range(3):
                store8(scratch, place * WIDTH, exp8(splat8(wdl[board, place] - greatest)))
            win, draw, loss = scratch[0], scratch[WIDTH], scratch[2 * WIDTH]
            total = win + draw + loss
        wdl[board, 0], wdl[board, 1], wdl[board, 2] = win / total, draw / total, loss / total


@kernel
def _evaluate(
    net: Packed,
    work: Workspace,
    masks: NDArray[np.uint64],
    values: NDArray[np.float32],
    moves: NDArray[np.uint16],
    offsets: NDArray[np.int64],
    first: int,
    end: int,
    logits: NDArray[np.float32],
    wdl: NDArray[np.float32],
    moves_left: NDArray[np.float32],
) -> None:
    """Evaluate the boards from ``first`` to before ``end``, group after group."""
    for start in range(first, end, GROUP):
        stop = min(start + GROUP, end)
        layout = layout_of(work.slots, stop - start, net.tower.convs)
        _input(net.tower, work, layout, masks[start:stop], values[start:stop])
        _blocks(net.tower, work, layout, stop - start)
        if offsets[stop] > offsets[start]:
            _policy(net.tower, net.policy, work, layout, moves, offsets[start : stop + 1], logits)
        _dense_head(net.tower, net.value, work, stop - start, wdl[start:stop])
        _normalise(net.value.outputs, wdl[start:stop], work.sums)
        if net.moves_left.channels:
            plies = moves_left[start:stop]
            _dense_head(net.tower, net.moves_left, work, stop - start, plies)
            for board in range(stop - start):
                plies[board, 0] = max(plies[board, 0], np.float32(0))


@kernel
def _in_order(moves: NDArray[np.uint16], offsets: NDArray[np.int64]) -> bool:
    """Whether offsets rise from 0 to the number of moves, all of which are policy indices."""
    if offsets[0] != 0 or offsets[-1] != moves.size:
        return False
    for board in range(offsets.size - 1):
        if offsets[board + 1] < offsets[board]:
            return False
    greatest = 0
    for move in moves:
        greatest = max(greatest, move)
    return bool(greatest < POLICY_MOVES)


_UINT64, _FLOAT32, _UINT16, _INT64 = map(np.dtype, ("uint64", "float32", "uint16", "int64"))


def _require(
    array: NDArray[np.generic], name: str, dtype: np.dtype[Any], shape: tuple[int, ...]
) -> None:
    if array.dtype != dtype or array.shape != shape or not array.flags.c_contiguous:
        found = f"{array.dtype}{list(array.shape)}"
        wanted = f"{dtype}{list(shape)}, rows together"
        raise ValueError(f"{name} is {found}, not {wanted}")


class Forward:
    """A net's forward pass; may be called from several threads at once."""

    def __init__(self, spec: NetSpec, weights: Weights) -> None:
        """Pack a net; see ``swa.packed.why_not`` for what is not covered."""
        self._net = pack(spec, weights)
        self._free = [new_workspace(self._net)]
        self._run = compiled_for(
            _evaluate,
            self._net,
            self._free[0],
            np.empty((1, PLANES), np.uint64),
            np.empty((1, PLANES), np.float32),
            np.empty(1, np.uint16),
            np.empty(1, np.int64),
            0,
            0,
            np.empty(1, np.float32),
            np.empty((1, 3), np.float32),
            np.empty((1, 1), np.float32),
        )
        self._in_order = compiled_for(_in_order, np.empty(1, np.uint16), np.empty(1, np.int64))

    def __call__(
        self,
        masks: NDArray[np.uint64],
        values: NDArray[np.float32],
        moves: NDArray[np.uint16],
        offsets: NDArray[np.int64],
        threads: int = 1,
    ) -> Outputs:
        """Evaluate boards on up to ``threads`` cores, as many of them as nobody else here uses.

        ``masks`` and ``values`` [B, 112] are packed planes (``swa.planes``), ``moves`` [M] the
        policy indices of the legal moves, of board b from ``offsets[b]`` to before
        ``offsets[b + 1]``. Raises ValueError for arrays of another shape or type, or in another
        order of memory: what is computed from their addresses would be nonsense, or a crash.
        """
        boards = len(offsets) - 1
        # A single board of a large net leaves nothing of Python in the caches, so that all that is
        # done here shows: a twentieth of the time, with numpy for what is compiled now.
        _require(masks, "masks", _UINT64, (boards, PLANES))
        _require(values, "values", _FLOAT32, (boards, PLANES))
        _require(moves, "moves", _UINT16, (len(moves),))
        _require(offsets, "offsets", _INT64, (boards + 1,))
        if not self._in_order(moves, offsets):
            if len(moves) and moves.max() >= POLICY_MOVES:
                raise ValueError(f"move {moves.max()}: policy indices are below {POLICY_MOVES}")
            raise ValueError(f"offsets must rise from 0 to the {len(moves)} moves")
        logits = np.empty(len(moves), np.float32)
        wdl, plies = np.empty((boards, 3), np.float32), np.zeros((boards, 1), np.float32)

        def evaluate(first: int, end: int) -> None:
            try:
                work = self._free.pop()
            except IndexError:
                work = new_workspace(self._net)
            self._run(
                self._net, work, masks, values, moves, offsets, first, end, logits, wdl, plies
            )
            self._free.append(work)

        # Half groups make shares more even; a group's price a board hardly depends on its size.
        in_chunks(evaluate, boards, GROUP // 2, threads)
        return Outputs(logits, wdl, plies[:, 0])
