"""What search asks of a net: the legal moves' logits and the outcome of a batch of positions.

Search knows nets only as an ``Evaluator``, so a real net, a cache and the stand-ins of tests and
benchmarks (``arena.stand_ins``) are the same to it. Positions come packed, moves of all boards one
after the other, and only the legal moves' logits go back: a batch is a few arrays, whatever its
size. Positions are packed as the net wants to see them, which ``encoding_of`` tells; moves are the
mover's, and a net that sees a board turned turns them by itself.

B = positions of a batch, M = legal moves of all of them.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from threading import Lock
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from arena.encoding import CLASSICAL, Encoding
from swa.cores import usable_cores
from swa.devices import first_device, is_available, may_have_accelerator
from swa.forward import Forward
from swa.net import Net
from swa.packed import why_not
from swa.spec import POLICY_MOVES, NetSpec

if TYPE_CHECKING:
    import torch

Dtype = Literal["float32", "float16", "bfloat16"]

Kind = Literal["winograd", "torch"]
"""What can evaluate a net: our own forward pass on a CPU, or torch's on any device."""


class DeviceError(ValueError):
    """A device that is not there, or one that cannot evaluate as asked."""


NOT_TURNED = np.zeros(0, np.uint8)
"""The ``transforms`` of a batch in which no board is turned."""


class Leaves(NamedTuple):
    """Positions that wait for a net, seen from the mover."""

    masks: NDArray[np.uint64]  # [B, 112] squares of each plane, bit 0 = a1
    values: NDArray[np.float32]  # [B, 112] what those squares hold
    moves: NDArray[np.uint16]  # [M] policy indices of the legal moves, board after board
    offsets: NDArray[np.int64]  # [B + 1] board b has moves[offsets[b] : offsets[b + 1]]
    keys: NDArray[np.uint64]  # [B, 2] hash of everything above that a net sees; for caches
    transforms: NDArray[np.uint8] = NOT_TURNED  # [B] by which ``masks`` are turned, ``moves`` not

    def first(self, count: int) -> Leaves:
        """The first ``count`` positions, or all where there are fewer."""
        offsets = self.offsets[: count + 1]
        moves = self.moves[: offsets[-1]]
        return Leaves(
            self.masks[:count],
            self.values[:count],
            moves,
            offsets,
            self.keys[:count],
            self.transforms[:count],
        )

    def moves_for(self, encoding: Encoding) -> NDArray[np.uint16]:
        """``moves`` [M] as a net of this encoding knows them."""
        if not (len(self.transforms) and self.transforms.any()):
            return self.moves
        return encoding.turned(self.moves, np.repeat(self.transforms, np.diff(self.offsets)))


class Evaluation(NamedTuple):
    """What a net says of ``Leaves``."""

    logits: NDArray[np.float32]  # [M] of those moves, as the net gives them
    wdl: NDArray[np.float32]  # [B, 3] win, draw, loss probabilities of the side to move
    moves_left: NDArray[np.float32]  # [B] plies to the end; 0 from a net that does not say


class EvaluationError(ValueError):
    """A net said something that is no number: what, and what to do."""


class Evaluator(Protocol):
    """A net, or what stands for one.

    ``evaluate`` may be called from several threads at once. A position's evaluation does not depend
    on the others in its batch; torch's does in its last digits. One that wants positions packed in
    another way than input format 1 has an ``encoding``, see ``encoding_of``.
    """

    @property
    def name(self) -> str:
        """What reports call it."""

    @property
    def has_moves_left(self) -> bool:
        """Whether ``moves_left`` means anything."""

    def evaluate(self, leaves: Leaves) -> Evaluation:
        """Evaluate a batch of at least one position."""


def encoding_of(evaluator: Evaluator) -> Encoding:
    """How positions are packed for an evaluator: as it says, or as input format 1."""
    encoding: Encoding = getattr(evaluator, "encoding", CLASSICAL)
    return encoding


class WinogradEvaluator:
    """A net on a CPU by the forward pass of ``swa.forward``, without torch.

    A position's evaluation is the same, bit for bit, in any batch and on any number of threads:
    with it a match can be repeated to the last digit.
    """

    device = "cpu"

    def __init__(self, net: Net, threads: int = 1) -> None:
        """Compute a batch on up to ``threads`` cores, shared by all callers of this process.

        The net must be one that ``swa.packed.why_not`` has nothing against.
        """
        self.name = net.name
        self.has_moves_left = net.spec.moves_left is not None
        self.encoding = Encoding(net.spec.input_format, net.lc0_transpose)
        self._threads = threads
        self._forward = Forward(net.spec, net.weights)

    def evaluate(self, leaves: Leaves) -> Evaluation:
        """Evaluate a batch; see ``Evaluator``."""
        masks, values, offsets = leaves.masks, leaves.values, leaves.offsets
        moves = leaves.moves_for(self.encoding)
        try:
            outputs = self._forward(masks, values, moves, offsets, self._threads)
        except ValueError:  # arrays of another layout, which are rare; or nonsense, said once more
            outputs = self._forward(
                np.ascontiguousarray(masks, np.uint64),
                np.ascontiguousarray(values, np.float32),
                np.ascontiguousarray(moves, np.uint16),
                np.ascontiguousarray(offsets, np.int64),
                self._threads,
            )
        return Evaluation(*outputs)


class TorchEvaluator:
    """A net on any device that torch knows, batch norm folded, channels last.

    On a CPU each calling thread computes alone (one intra-op thread): torch's own threads collapse
    to a tenth when anything else wants a core. On an accelerator a batch goes in as packed planes
    and comes back as one copy; CUDA queues what several threads ask for, others get it in turn.
    """

    def __init__(self, net: Net, device: str = "auto", dtype: Dtype = "float32") -> None:
        """``device``: auto (cuda, mps, cpu in this order), or torch's name for one.

        Raises DeviceError for a device that is not there, and for half precision on a CPU, where it
        is slower than float32 and less exact.
        """
        device = pick_device(device, dtype)

        import torch  # takes seconds to import: the others do without

        from swa.model import for_play

        self._device = torch.device(device)
        self._dtype: torch.dtype = getattr(torch, dtype)
        self.name = net.name
        in_turn = self._device.type not in ("cpu", "cuda")
        self._turn: AbstractContextManager[object] = Lock() if in_turn else nullcontext()
        self.has_moves_left = net.spec.moves_left is not None
        self.encoding = Encoding(net.spec.input_format, net.lc0_transpose)
        self._module = for_play(net.spec, net.weights, self._device, self._dtype)
        if self._device.type == "cuda" and dtype == "float32":
            # TensorFloat-32 keeps 10 bits of the mantissa; float32 shall mean float32.
            torch.backends.cudnn.allow_tf32 = False

    @property
    def device(self) -> str:
        """Where the net is evaluated: "cpu", "cuda:0", ..."""
        return str(self._device)

    def evaluate(self, leaves: Leaves) -> Evaluation:
        """Evaluate a batch; see ``Evaluator``."""
        import torch

        from swa.model import answers

        if self._device.type == "cpu" and torch.get_num_threads() != 1:
            torch.set_num_threads(1)  # holds for the calling thread only, hence here
        boards, count = len(leaves.offsets) - 1, len(leaves.moves)
        # Moves as places in the flattened policy [B * 1858]; int32 halves the copy to a device.
        rows = np.repeat(np.arange(boards, dtype=np.int32), np.diff(leaves.offsets))
        places = rows * np.int32(POLICY_MOVES) + leaves.moves_for(self.encoding)
        with self._turn, torch.inference_mode():
            # Masks go as bytes: not every device has unsigned integers of 64 bits.
            found = answers(
                self._module,
                torch.tensor(leaves.masks.view(np.uint8)).to(self._device),
                torch.tensor(leaves.values).to(self._device),
                torch.from_numpy(places).to(self._device),
                self._dtype,
            )
            flat = torch.cat([part.flatten() for part in found]).cpu().numpy()  # a single copy
        logits, wdl, moves_left = np.split(flat, (count, count + 3 * boards))
        return Evaluation(logits, wdl.reshape(boards, 3), moves_left)


# --- which of them ---


class Choice(NamedTuple):
    """What evaluates a net, where, and why."""

    kind: Kind
    device: str  # "cpu", "cuda", "mps"
    reason: str  # "float32 on a CPU"

    def __str__(self) -> str:
        return f"{self.kind} ({self.reason})"


def choose_evaluator(
    spec: NetSpec | None,
    wanted: Kind | Literal["auto"] = "auto",
    device: str = "auto",
    dtype: Dtype = "float32",
) -> Choice:
    """Say what evaluates a net of this architecture; None stands for one that everything covers.

    ``device`` is auto or torch's name for one; torch is imported only where there may be an
    accelerator, or another device than the CPU is named.

    Raises DeviceError for a device that is not there, for half precision on a CPU, and for
    ``winograd`` where it cannot compute.
    """
    if wanted == "winograd" and device == "auto":
        device = "cpu"
    if wanted == "winograd" and (_type_of(device) != "cpu" or dtype != "float32"):
        raise DeviceError(
            f"--evaluator winograd computes float32 on a CPU, not {dtype} on {device}\n"
            "Use --evaluator auto for anything but float32 on a CPU."
        )
    device = pick_device(device, dtype)
    if wanted == "torch":
        return Choice("torch", device, "asked for")
    if _type_of(device) != "cpu":
        return Choice("torch", device, f"runs on {device}")
    if spec is not None and (reason := why_not(spec)):
        if wanted == "winograd":
            raise DeviceError(
                f"--evaluator winograd does not cover {spec}: {reason}\n"
                "Use --evaluator auto: torch evaluates such nets."
            )
        return Choice("torch", device, f"not covered by winograd: {reason}")
    return Choice("winograd", device, "asked for" if wanted == "winograd" else "float32 on a CPU")


def make_evaluator(
    net: Net, choice: Choice, dtype: Dtype = "float32"
) -> WinogradEvaluator | TorchEvaluator:
    """Make the evaluator that was chosen.

    Winograd computes a batch on all cores of this process, torch on a CPU on the calling thread.
    """
    if choice.kind == "winograd":
        return WinogradEvaluator(net, threads=usable_cores())
    return TorchEvaluator(net, choice.device, dtype)


def pick_device(device: str, dtype: Dtype) -> str:
    """Return torch's name for a device, with auto resolved.

    Raises DeviceError where there is no such device, and for half precision on a CPU.
    """
    if device == "auto":
        device = first_device() if may_have_accelerator() else "cpu"
    elif device != "cpu" and not is_available(device):
        raise DeviceError(
            f"device {device!r} is not available here\n"
            "Use --device auto; arena doctor shows which devices there are."
        )
    if _type_of(device) == "cpu" and dtype != "float32":
        raise DeviceError(
            f"dtype {dtype} needs an accelerator\n"
            "On a CPU use --dtype float32: half precision is slower there, and less exact."
        )
    return device


def _type_of(device: str) -> str:
    return device.partition(":")[0]
