"""Exact refresh of batch norm: each layer's mean and variance over given positions.

Layer by layer, every convolution sees what the refreshed layers before it make of the positions,
as it will when the net plays; nothing depends on how positions are grouped, on their order, on
threads, or on the statistics that the net came with. The running averages of training, and
statistics of training-mode batches, have none of these properties.
(Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization", 2018, arXiv
1803.05407, recompute them after averaging, by a pass in training mode.)

Two arrays are kept from layer to layer, what a block began with and what the last convolution gave,
so that each convolution runs once: 32 kB a position for 64 filters, most of it in a temporary file
if there are many positions. The positions themselves are read once and not kept.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from swa.batchnorm import Statistics, Weights, with_statistics
from swa.devices import first_device, is_available, may_have_accelerator
from swa.packed import why_not
from swa.refresh_report import LayerShift, layer_shifts
from swa.refresh_state import Key, check_state, load_state, save_state
from swa.refresh_winograd import WinogradRefresh
from swa.spec import PLANES, NetError, NetSpec, UnfitError, norm_of, normed_convolutions
from swa.spill import Spill

if TYPE_CHECKING:
    import torch

Planes = tuple[NDArray[np.uint64], NDArray[np.float32]]
"""Masks and values [n, 112]: packed planes (``swa.planes``)."""

Method = Literal["exact", "pooled", "mean-of-batches", "running-average", "averaged"]
"""``exact``, and those of ``swa.refresh_methods``; ``averaged`` leaves the statistics as the
averaging of weights made them, as lczero's training does."""

Evaluator = Literal["winograd", "torch", "none"]
Dtype = Literal["float32", "float64"]

MEMORY = 2**30
"""Bytes of memory for what is kept of the positions between layers; the rest goes to a file."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a refresh has come."""

    layer: int  # that is worked on, from 0: convolutions in the order of the forward pass
    layers: int
    convolutions: tuple[str, ...]  # of this layer: one, or those of all heads
    positions: int  # done of this layer
    of: int | None  # positions in all; None before all have been read


@dataclass(frozen=True, slots=True)
class Report:
    """How a refresh was made and what it changed."""

    method: Method
    evaluator: Evaluator
    device: str
    dtype: Dtype
    positions: int
    layers: tuple[LayerShift, ...]  # a row for each batch norm, from the input to the heads


@dataclass(frozen=True, slots=True, eq=False)
class Refreshed:
    """A net's weights with new statistics, those with all their digits, and the report."""

    weights: dict[str, NDArray[np.float32]]
    statistics: dict[str, Statistics]  # by the batch norm's name: "blocks.0.bn1"
    report: Report


class Engine(Protocol):
    """What runs convolutions one after the other on windows of positions, numbered as begun."""

    window: int  # positions

    def begin(self, masks: NDArray[np.uint64], values: NDArray[np.float32]) -> None:
        """Make a window of packed planes and measure the input layer on it."""

    def measure(self, convolutions: Sequence[str], window: int) -> None:
        """Run convolutions that are next on what is kept of a window; add up what they give."""

    def skip(self, convolutions: Sequence[str], window: int) -> None:
        """Run convolutions one after the other, all norms before the last one's being known."""

    def found(self, convolutions: Sequence[str]) -> list[Statistics]:
        """The statistics of what was measured last, and begin anew."""

    def use(self, convolution: str, statistics: Statistics) -> None:
        """Norm what a convolution gives by these statistics."""


def refresh(
    spec: NetSpec,
    weights: Weights,
    planes: Planes | Iterable[Planes],
    *,
    method: Method = "exact",
    device: str = "auto",
    dtype: Dtype | None = None,
    threads: int = 1,
    batch: int | None = None,
    work_dir: str | Path | None = None,
    memory: int = MEMORY,
    state: str | Path | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Refreshed:
    """The same weights with each batch norm's mean and variance those of the given positions.

    ``planes`` is a tuple of masks [n, 112] uint64 and values [n, 112] float32, or an iterable of
    such tuples, which is gone through once (by ``running-average`` again and again, if need be).
    Variances are those of the population: of all squares of all positions. ``weights`` are not
    touched.

    On a CPU the forward pass of ``swa.forward`` does it, in float32 with exact sums: the result is
    the same bit for bit for any ``batch`` and ``threads``, and any order of positions. Torch does
    it on a GPU, where there is one (``device`` auto), in float32; for nets that ``swa.packed`` does
    not cover; and where ``dtype`` is float64, which is its default on a CPU. Sums are float64.

    ``batch`` positions are worked on at a time. What is kept of them between layers takes up to
    ``memory`` bytes of memory, then a nameless file in ``work_dir`` (default: where temporary files
    go), which disappears whatever happens. ``state`` is a file for the statistics found so far: a
    refresh that was interrupted goes on from it, to the same result. It is written after each
    layer; whoever has put the result in safety deletes it.

    Raises NetError for a net without batch norms, activations that are no numbers, a device that is
    not there; its kind ``swa.spill.SpaceError`` for a full disk; ValueError for no positions, and
    for arrays of another shape or type.
    """
    if not spec.batch_norm:
        raise NetError("has no batch norm to refresh", _why_none(spec))
    if method not in get_args(Method):
        raise ValueError(f"method {method!r} is none of {', '.join(get_args(Method))}")
    if batch is not None and batch < 1:
        raise ValueError(f"batches of {batch} positions: at least 1 is needed")
    if state is not None and method != "exact":
        raise ValueError(f"only the exact method can be gone on with, not {method}")
    if method == "averaged":
        report = Report(method, "none", "cpu", "float32", 0, layer_shifts(spec, weights, {}))
        return Refreshed(dict(weights), {}, report)
    choice = _choose(spec, method, device, dtype)
    notify = progress or (lambda _: None)
    if method == "exact":
        place = None if state is None else Path(state)
        if place is not None:
            check_state(place)
        with ExitStack() as stack:
            spill = stack.enter_context(Spill(work_dir, memory))
            engine, how = _engine(spec, weights, choice, spill, threads, batch, stack)
            progress_file = _ProgressFile(place, Key(how, spec, weights))
            found, positions = _layer_by_layer(spec, engine, planes, progress_file, notify)
    else:
        found, positions = _in_training_mode(
            spec, weights, planes, method, choice, threads, batch, notify
        )
    shifts = layer_shifts(spec, weights, found)
    return Refreshed(
        with_statistics(weights, found), found, Report(method, *choice, positions, shifts)
    )


def _why_none(spec: NetSpec) -> str:
    if not spec.filters:
        return "An attention body without a tower has none: its average is complete as it is."
    return "Refresh the net it was folded from."


class _Choice(NamedTuple):
    """What a refresh is made by."""

    evaluator: Evaluator
    device: str
    dtype: Dtype


def _choose(spec: NetSpec, method: Method, device: str, dtype: Dtype | None) -> _Choice:
    """Resolve ``auto``. Raises NetError for a device that is not there or cannot do it."""
    if device == "auto":
        device = first_device() if dtype != "float64" and may_have_accelerator() else "cpu"
    elif device != "cpu" and not is_available(device):
        raise NetError(f"device {device!r} is not available here", "Use auto, or cpu.")
    if device.startswith("mps") and dtype == "float64":
        raise NetError("device 'mps' has no float64", "Use float32, or cpu.")
    if device != "cpu":
        return _Choice("torch", device, dtype or "float32")
    if method != "exact" or dtype == "float64" or why_not(spec):
        return _Choice("torch", device, dtype or "float64")
    return _Choice("winograd", device, "float32")


def _engine(
    spec: NetSpec,
    weights: Weights,
    choice: _Choice,
    spill: Spill,
    threads: int,
    batch: int | None,
    stack: ExitStack,
) -> tuple[Engine, str]:
    """What runs the convolutions, for as long as the stack lasts, and all that decides its bits."""
    how = " ".join(("exact", *choice))
    if choice.evaluator == "winograd":
        return WinogradRefresh(spec, weights, spill, threads, batch), how
    from swa import refresh_torch  # takes seconds to import, and only this branch needs it

    stack.enter_context(refresh_torch.torch_settings(threads))
    engine = refresh_torch.TorchRefresh(spec, weights, spill, choice.device, choice.dtype, batch)
    return engine, f"{how} {engine.window} {threads}"


class _ProgressFile(NamedTuple):
    """The file of the statistics found so far, if there is to be one, and its key."""

    path: Path | None
    key: Key

    def load(self) -> dict[str, Statistics]:
        """What was found before."""
        return {} if self.path is None else load_state(self.path, self.key.hexdigest())

    def save(self, found: dict[str, Statistics]) -> None:
        """Put on the disk what has been found."""
        if self.path is not None:
            save_state(self.path, self.key.hexdigest(), found)


def _layer_by_layer(
    spec: NetSpec,
    engine: Engine,
    planes: Planes | Iterable[Planes],
    progress_file: _ProgressFile,
    notify: Callable[[Progress], None],
) -> tuple[dict[str, Statistics], int]:
    """Layer after layer on the statistics of those before; and how many positions there were."""
    names = normed_convolutions(spec)
    tower = 1 + 2 * spec.blocks
    layers: list[tuple[str, ...]] = [(name,) for name in names[:tower]]
    if names[tower:]:  # the heads; those of squares have none
        layers.append(names[tower:])
    sizes: list[int] = []
    for masks, values in _windows(planes, engine.window):
        if progress_file.path is not None:
            progress_file.key.add(masks, values)
        engine.begin(masks, values)
        sizes.append(len(masks))
        notify(Progress(0, len(layers), layers[0], sum(sizes), None))
    positions = sum(sizes)
    if not positions:
        raise ValueError("a refresh needs at least one position")
    known = progress_file.load()
    found: dict[str, Statistics] = {}

    def take(convolutions: Sequence[str], statistics: Iterable[Statistics]) -> None:
        for convolution, one in zip(convolutions, statistics, strict=True):
            _check(convolution, one)
            engine.use(convolution, one)
            found[norm_of(convolution)] = one

    measured = engine.found(layers[0])
    done = _known_layers(layers, known)
    for layer in layers[:done]:
        take(layer, [known[norm_of(convolution)] for convolution in layer])
    if not done:
        take(layers[0], measured)
        progress_file.save(found)
        done = 1
    elif 1 < done < len(layers):
        for window in range(len(sizes)):
            engine.skip([convolution for layer in layers[1:done] for convolution in layer], window)
            notify(
                Progress(
                    done - 1, len(layers), layers[done - 1], sum(sizes[: window + 1]), positions
                )
            )
    for number in range(done, len(layers)):
        for window in range(len(sizes)):
            engine.measure(layers[number], window)
            here = sum(sizes[: window + 1])
            notify(Progress(number, len(layers), layers[number], here, positions))
        take(layers[number], engine.found(layers[number]))
        progress_file.save(found)
    return found, positions


def _known_layers(layers: Sequence[tuple[str, ...]], known: dict[str, Statistics]) -> int:
    """How many layers, from the first on, have all their statistics."""
    whole = (all(norm_of(name) in known for name in layer) for layer in layers)
    return sum(itertools.takewhile(bool, whole))


def _check(convolution: str, statistics: Statistics) -> None:
    largest = np.finfo(np.float32).max
    if not all((np.abs(part) <= largest).all() for part in statistics):  # nor if it is NaN
        raise UnfitError(f"{convolution} gives numbers that are not finite", "Refresh another net.")


def _in_training_mode(
    spec: NetSpec,
    weights: Weights,
    planes: Planes | Iterable[Planes],
    method: Method,
    choice: _Choice,
    threads: int,
    batch: int | None,
    notify: Callable[[Progress], None],
) -> tuple[dict[str, Statistics], int]:
    """The statistics by a method of ``swa.refresh_methods``; and how many positions were used."""
    from swa import refresh_methods, refresh_torch  # torch, which takes seconds to import

    positions, names = 0, normed_convolutions(spec)
    plays = (f"policies.{spec.policy_head}.", f"values.{spec.value_head}.")
    for name in names:
        if name.startswith(("policies.", "values.")) and not name.startswith(plays):
            raise NetError(f"{method} does not reach {name}, which does not play", "Use exact.")

    def batches() -> Iterator[torch.Tensor]:
        nonlocal positions
        for masks, values in _windows(planes, batch or refresh_torch.BATCH):
            positions += len(masks)
            yield refresh_torch.planes_on(choice.device, choice.dtype, masks, values)
            notify(Progress(0, 1, names, positions, None))

    with refresh_torch.torch_settings(threads):
        module = refresh_torch.module_on(spec, weights, choice.device, choice.dtype)
        if method == "pooled":
            found = refresh_methods.pooled(module, batches())
        elif method == "mean-of-batches":
            found = refresh_methods.mean_of_batches(module, batches())
        else:
            found = refresh_methods.running_average(module, batches)
    if not positions:
        raise ValueError("a refresh needs at least one position")
    for convolution in names:
        _check(convolution, found[norm_of(convolution)])
    return found, positions


def _windows(planes: Planes | Iterable[Planes], size: int) -> Iterator[Planes]:
    """The positions ``size`` by ``size``, the last ones fewer, in arrays that kernels may read.

    Raises ValueError for arrays of another shape or type.
    """
    waiting: list[Planes] = []
    count = 0
    for chunk in [planes] if isinstance(planes, tuple) else planes:
        masks, values = chunk
        _require(masks, np.uint64)
        _require(values, np.float32)
        if len(masks) != len(values):
            raise ValueError(f"there are masks of {len(masks)} positions, values of {len(values)}")
        start = 0
        while start < len(masks):
            end = min(len(masks), start + size - count)
            waiting.append((masks[start:end], values[start:end]))
            count, start = count + end - start, end
            if count == size:
                yield _joined(waiting)
                waiting, count = [], 0
    if count:
        yield _joined(waiting)


def _require(array: NDArray[Any], dtype: type[np.generic]) -> None:
    if array.dtype != dtype or array.ndim != 2 or array.shape[1] != PLANES:
        found = f"{array.dtype}{list(array.shape)}"
        raise ValueError(f"packed planes are {np.dtype(dtype)}[n, {PLANES}], not {found}")


def _joined(chunks: Sequence[Planes]) -> Planes:
    masks, values = (
        parts[0] if len(parts) == 1 else np.concatenate(parts)
        for parts in zip(*chunks, strict=True)
    )
    return _plain(masks), _plain(values)


def _plain(array: NDArray[Any]) -> NDArray[Any]:
    """The same row after row and writable, which kernels and torch want; a copy only if it is not.

    The last step is for a single row, whose stride numpy leaves as it was in a larger array.
    """
    return np.require(array, None, ["C", "W"]).reshape(-1).reshape(array.shape)
