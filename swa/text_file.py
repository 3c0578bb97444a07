"""The text nets of 2018: lines of numbers in, ``NetSpec`` and named float32 arrays out.

The first line is a version, every other one an array, its numbers parted by spaces, in the order of
``swa.spec.parameters``. Four versions are known:

1. leela-chess: 120 planes and 1924 moves (leela-chess src/Network.cpp, ``swa.leela_chess``);
2. leela-chess and lczero-training: 112 planes and 1858 moves. Neither it nor version 1 has gammas
   or betas: a convolution's four lines are its weights, biases, means and variances, and what is
   called biases is beta in units of the standard deviation, or zeros;
3. lczero-training: squeeze-excitation in every block, gammas and betas in place of biases;
4. as 3, and the policy is a convolution.

That the value head tells win, draw and loss is not said: its last line then has three numbers.
Nets of version 2 and later are from here on like any other. One of version 1 is an ``early`` one:
evaluated like all others, but lc0's files have no place for it. Of its planes those are dropped
that never hold anything: the third occurrences, the number of the move, and the last.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swa.leela_chess import INPUT_PLANES, KEPT_PLANES
from swa.spec import (
    BATCH_NORM_EPSILON,
    PLANES,
    NetError,
    NetSpec,
    PolicyKind,
    PolicySpec,
    ValueKind,
    ValueSpec,
    parameters,
)

GO_PLANES = 18
"""Input planes of Leela Zero's nets, which otherwise look like those of version 1."""

_VERSION_LINE = re.compile(rb"[0-9]{1,9}[ \t\r]*(\n|$)")
_DAMAGED = "The file is damaged or incomplete: download or copy it again."


class _Version(NamedTuple):
    """How the nets of a version are laid out."""

    convolution_lines: int  # that a convolution and its batch norm have
    squeezes: bool
    policy: PolicyKind

    @property
    def block_lines(self) -> int:
        """Two convolutions, and two dense layers of weights and biases."""
        return 2 * self.convolution_lines + 4 * self.squeezes

    @property
    def head_lines(self) -> int:
        """A convolution and another layer of the policy, one and two of the value."""
        return 2 * self.convolution_lines + 6


_VERSIONS = {
    1: _Version(4, squeezes=False, policy=PolicyKind.CLASSICAL),
    2: _Version(4, squeezes=False, policy=PolicyKind.CLASSICAL),
    3: _Version(5, squeezes=True, policy=PolicyKind.CLASSICAL),
    4: _Version(5, squeezes=True, policy=PolicyKind.CONVOLUTION),
}


class TextFile(NamedTuple):
    """All that a text net says."""

    version: int
    spec: NetSpec
    weights: dict[str, NDArray[np.float32]]  # by parameter name, read-only


def is_text(payload: bytes) -> bool:
    """Whether unpacked bytes begin as a text net does; no protobuf net begins so."""
    return _VERSION_LINE.match(payload) is not None


def parse(payload: bytes) -> TextFile:
    """A net from the unpacked bytes of a text file.

    Numbers are rounded to float32 once. Raises NetError, naming the line, for all that is no net.
    """
    first, *lines = payload.rstrip().split(b"\n")
    number = int(first)
    if number not in _VERSIONS:
        raise NetError(
            f"a text net of version {number}, which is not known", "Known are versions 1 to 4."
        )
    version = _VERSIONS[number]
    arrays = [_numbers(line, place) for place, line in enumerate(lines, start=2)]
    spec = _spec(arrays, number)
    if spec.early:
        arrays[0] = _modern_input(arrays[0], spec.filters)
    weights = {}
    rows = [
        row
        for row in parameters(spec)
        if version.convolution_lines == 5 or not row.name.endswith(".gamma")
    ]
    for place, (row, array) in enumerate(zip(rows, arrays, strict=True), start=2):
        weights[row.name] = _shaped(array, place, row.name, row.shape)
    places = {row.name: place for place, row in enumerate(rows, start=2)}
    _check_variances(weights, places)
    if version.convolution_lines == 4:
        _settle_hidden_betas(weights, places)
    whole = {row.name: weights[row.name] for row in parameters(spec)}
    for array in whole.values():
        array.flags.writeable = False
    return TextFile(number, spec, whole)


def _numbers(line: bytes, place: int) -> NDArray[np.float32]:
    """The numbers of a line. Raises NetError where it has none, or one that is not finite."""
    try:
        with np.errstate(over="ignore"):
            numbers = np.array(line.split(), np.float64).astype(np.float32)
    except ValueError as error:
        raise NetError(f"line {place} of the text net is not all numbers", _DAMAGED) from error
    if not numbers.size:
        raise NetError(f"line {place} of the text net is empty", _DAMAGED)
    if not np.isfinite(numbers).all():
        raise NetError(
            f"line {place} of the text net holds a value that is not a finite number", _DAMAGED
        )
    return numbers


def _shaped(
    array: NDArray[np.float32], place: int, name: str, shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """A line as the array that it is. Raises NetError where it has other than so many numbers."""
    if array.size != math.prod(shape):
        raise NetError(
            f"line {place} of the text net has {array.size} numbers, where {name} of "
            f"{' x '.join(map(str, shape))} fits the other lines",
            _DAMAGED,
        )
    return array.reshape(shape)


def _spec(arrays: list[NDArray[np.float32]], number: int) -> NetSpec:
    """The architecture, from the number of lines and the lengths of some."""
    version = _VERSIONS[number]
    convolution, block = version.convolution_lines, version.block_lines
    fixed = convolution + version.head_lines
    blocks, rest = divmod(len(arrays) - fixed, block)
    if blocks < 0 or rest:
        raise NetError(
            f"a text net of version {number} with {len(arrays)} lines of numbers, where "
            f"{fixed} and {block} more for each block fit",
            _DAMAGED,
        )
    filters = arrays[1].size
    if arrays[0].size == GO_PLANES * 9 * filters:
        raise NetError("a net of Leela Zero: it plays Go", "Use a net of chess.")
    policy = convolution + blocks * block  # the first of its lines
    value = policy + convolution + 2
    outputs = arrays[-1].size
    if outputs not in (1, 3):
        raise NetError(
            f"line {len(arrays) + 1} of the text net has {outputs} numbers: a value is one, "
            "or three (win, draw, loss)",
            _DAMAGED,
        )
    return NetSpec(
        blocks=blocks,
        filters=filters,
        se=arrays[3 * convolution + 1].size if version.squeezes and blocks else 0,
        policy=PolicySpec(version.policy, arrays[policy + 1].size),
        value=ValueSpec(
            kind=ValueKind.WDL if outputs == 3 else ValueKind.CLASSICAL,
            channels=arrays[value + 1].size,
            hidden=arrays[value + convolution + 1].size,
        ),
        early=number == 1,
    )


def _modern_input(weights: NDArray[np.float32], filters: int) -> NDArray[np.float32]:
    """The first convolution of version 1 for lc0's planes; the two that it had not get zeros."""
    early = _shaped(weights, 2, "input.conv.weight", (filters, INPUT_PLANES, 3, 3))
    modern = np.zeros((filters, PLANES, 3, 3), np.float32)
    modern[:, : len(KEPT_PLANES)] = early[:, KEPT_PLANES]
    return modern.reshape(-1)


def _check_variances(weights: dict[str, NDArray[np.float32]], places: dict[str, int]) -> None:
    """Raise NetError where a batch norm would divide by nothing."""
    for name, array in weights.items():
        if name.endswith(".variance") and (array.astype(np.float64) <= -BATCH_NORM_EPSILON).any():
            raise NetError(
                f"line {places[name]} of the text net holds a negative variance", _DAMAGED
            )


def _settle_hidden_betas(weights: dict[str, NDArray[np.float32]], places: dict[str, int]) -> None:
    """Put gammas of 1 beside what is now called beta, and make it one.

    The bias of a convolution stands there: it comes before the division by the standard deviation
    (leela-chess src/Network.cpp takes it from the mean), which beta comes after.
    """
    for name in [name for name in weights if name.endswith(".beta")]:
        norm = name.removesuffix(".beta")
        variance = weights[f"{norm}.variance"].astype(np.float64)
        with np.errstate(over="ignore"):
            beta = (weights[name] / np.sqrt(variance + BATCH_NORM_EPSILON)).astype(np.float32)
        if not np.isfinite(beta).all():
            raise NetError(
                f"line {places[name]} of the text net holds a bias too large for its batch norm",
                _DAMAGED,
            )
        weights[name], weights[f"{norm}.gamma"] = beta, np.ones_like(beta)
