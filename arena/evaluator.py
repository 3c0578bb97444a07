"""What search asks of a net: the legal moves' logits and the outcome of a batch of positions.

Search knows nets only as an ``Evaluator``, so a real net, a cache and the stand-ins of tests and
benchmarks are the same to it. Positions come packed, moves of all boards one after the other, and
only the legal moves' logits go back: a batch is a few arrays, whatever its size.

B = positions of a batch, M = legal moves of all of them.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from threading import Lock
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from swa.jit import inline, kernel
from swa.net import Net
from swa.spec import POLICY_MOVES, ValueKind

if TYPE_CHECKING:
    import torch

Dtype = Literal["float32", "float16", "bfloat16"]


class DeviceError(ValueError):
    """A device that is not there, or one that cannot evaluate as asked."""


class Leaves(NamedTuple):
    """Positions that wait for a net, seen from the mover."""

    masks: NDArray[np.uint64]  # [B, 112] squares of each plane, bit 0 = a1
    values: NDArray[np.float32]  # [B, 112] what those squares hold
    moves: NDArray[np.uint16]  # [M] policy indices of the legal moves, board after board
    offsets: NDArray[np.int64]  # [B + 1] board b has moves[offsets[b] : offsets[b + 1]]
    keys: NDArray[np.uint64]  # [B, 2] hash of everything above that a net sees; for caches


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
    on the others in its batch, beyond float rounding.
    """

    @property
    def name(self) -> str:
        """What reports call it."""

    @property
    def has_moves_left(self) -> bool:
        """Whether ``moves_left`` means anything."""

    def evaluate(self, leaves: Leaves) -> Evaluation:
        """Evaluate a batch of at least one position."""


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
        import torch  # takes seconds to import: stand-ins do without

        from swa.model import for_play

        self._device = _pick_device(device)
        self._dtype: torch.dtype = getattr(torch, dtype)
        on_cpu = self._device.type == "cpu"
        if on_cpu and dtype != "float32":
            raise DeviceError(f"dtype {dtype} needs an accelerator; on a CPU use float32")
        self.name = net.name
        in_turn = self._device.type not in ("cpu", "cuda")
        self._turn: AbstractContextManager[object] = Lock() if in_turn else nullcontext()
        self.has_moves_left = net.spec.moves_left is not None
        self._wdl = net.spec.value.kind is ValueKind.WDL
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

        if self._device.type == "cpu" and torch.get_num_threads() != 1:
            torch.set_num_threads(1)  # holds for the calling thread only, hence here
        boards, count = len(leaves.offsets) - 1, len(leaves.moves)
        # Moves as places in the flattened policy [B * 1858]; int32 halves the copy to a device.
        rows = np.repeat(np.arange(boards, dtype=np.int32), np.diff(leaves.offsets))
        places = rows * np.int32(POLICY_MOVES) + leaves.moves
        with self._turn, torch.inference_mode():
            # Masks go as bytes: not every device has unsigned integers of 64 bits.
            answers = self._answers(
                torch.tensor(leaves.masks.view(np.uint8)).to(self._device),
                torch.tensor(leaves.values).to(self._device),
                torch.from_numpy(places).to(self._device),
            )
            flat = answers.cpu().numpy()
        logits, wdl, moves_left = np.split(flat, (count, count + 3 * boards))
        return Evaluation(logits, wdl.reshape(boards, 3), moves_left)

    def _answers(
        self, masks: torch.Tensor, values: torch.Tensor, places: torch.Tensor
    ) -> torch.Tensor:
        """Logits [M], wdl [B * 3] and moves left [B] as one float32 tensor, for a single copy."""
        import torch

        from swa.model import unpack

        outputs = self._module(unpack(masks, values, self._dtype))
        logits = outputs.policy.flatten().index_select(0, places).float()
        value = outputs.value.float()
        if self._wdl:
            wdl = value.softmax(1)
        else:
            wdl = torch.cat(((1 + value) / 2, torch.zeros_like(value), (1 - value) / 2), 1)
        moves_left = outputs.moves_left
        plies = torch.zeros_like(wdl[:, 0]) if moves_left is None else moves_left.float()
        return torch.cat((logits, wdl.flatten(), plies.flatten()))


def _pick_device(device: str) -> torch.device:
    """The device that a user names. Raises DeviceError where there is no such."""
    import torch

    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise DeviceError(f"device {device!r} is not available here; try auto or cpu") from error
    return chosen


class UniformEvaluator:
    """Knows nothing: all moves alike, every position even. For tests."""

    name = "uniform"
    has_moves_left = False

    def evaluate(self, leaves: Leaves) -> Evaluation:
        """Evaluate a batch; see ``Evaluator``."""
        boards = len(leaves.offsets) - 1
        return Evaluation(
            logits=np.zeros(len(leaves.moves), np.float32),
            wdl=np.tile(np.array([0.25, 0.5, 0.25], np.float32), (boards, 1)),
            moves_left=np.zeros(boards, np.float32),
        )


class HashEvaluator:
    """A pseudo-random net that costs next to nothing, for tests and benchmarks of search.

    The evaluation is a function of the seed and the board's planes alone, bit for bit: the batch,
    the thread and the machine do not matter.
    """

    has_moves_left = False

    def __init__(self, seed: int = 0) -> None:
        self.name = f"hash-{seed}"
        self._seed = np.uint64(seed)

    def evaluate(self, leaves: Leaves) -> Evaluation:
        """Evaluate a batch; see ``Evaluator``."""
        boards = len(leaves.offsets) - 1
        logits = np.empty(len(leaves.moves), np.float32)
        wdl = np.empty((boards, 3), np.float32)
        _hash_boards(
            self._seed,
            leaves.masks,
            leaves.values.view(np.uint32),
            leaves.moves,
            leaves.offsets,
            logits,
            wdl,
        )
        return Evaluation(logits, wdl, np.zeros(boards, np.float32))


class DelayEvaluator:
    """A stand-in for an accelerator: each batch takes a fixed time, one batch after the other.

    As a device does, it queues what is asked for while it is busy, and leaves the CPU to the
    search: the time is slept. ``busy_seconds`` is how long it had work, ``batches`` and
    ``positions`` how much.
    """

    def __init__(self, inner: Evaluator, seconds_per_batch: float) -> None:
        self.name = f"{inner.name} at {1000 * seconds_per_batch:g} ms a batch"
        self.has_moves_left = inner.has_moves_left
        self.seconds_per_batch = seconds_per_batch
        self.batches = 0
        self.positions = 0
        self._inner = inner
        self._free_at = 0.0
        self._queue = Lock()

    @property
    def busy_seconds(self) -> float:
        """Seconds of work that were asked for."""
        return self.batches * self.seconds_per_batch

    def evaluate(self, leaves: Leaves) -> Evaluation:
        """Evaluate a batch; see ``Evaluator``."""
        with self._queue:
            done_at = max(time.perf_counter(), self._free_at) + self.seconds_per_batch
            self._free_at = done_at
            self.batches += 1
            self.positions += len(leaves.offsets) - 1
        evaluation = self._inner.evaluate(leaves)
        time.sleep(max(0.0, done_at - time.perf_counter()))
        return evaluation


_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio: odd, bits well mixed
_MIX = np.uint64(0xBF58476D1CE4E5B9)  # Steele et al., "Fast splittable PRNGs", 2014: SplitMix64
_HALF = np.uint64(32)
_FOURTH = np.uint64(16)
_LOW_16 = np.uint64(0xFFFF)
_STATE_PLANES = 104  # first plane that is not history: castling, rule 50, ...
_UNIT = np.float32(1 / 65536)


@inline
def _mix(word: np.uint64) -> np.uint64:
    word = (word ^ (word >> _HALF)) * _MIX
    return word ^ (word >> _HALF)


@kernel
def _hash_boards(
    seed: np.uint64,
    masks: NDArray[np.uint64],
    value_bits: NDArray[np.uint32],
    moves: NDArray[np.uint16],
    offsets: NDArray[np.int64],
    logits: NDArray[np.float32],
    wdl: NDArray[np.float32],
) -> None:
    """Fill ``logits`` in [-2, 2) and ``wdl`` from hashes of planes and moves."""
    for board in range(masks.shape[0]):
        # Four chains of multiplications instead of one: four times as fast.
        one, two = seed ^ _GOLDEN, seed + _GOLDEN
        three, four = seed ^ _MIX, seed + _MIX
        for plane in range(0, masks.shape[1], 4):
            one = (one ^ masks[board, plane]) * _GOLDEN
            two = (two ^ masks[board, plane + 1]) * _GOLDEN
            three = (three ^ masks[board, plane + 2]) * _GOLDEN
            four = (four ^ masks[board, plane + 3]) * _GOLDEN
            # A product's low bits see only the low bits of its factors.
            one ^= one >> _HALF
            two ^= two >> _HALF
            three ^= three >> _HALF
            four ^= four >> _HALF
        for plane in range(_STATE_PLANES, masks.shape[1]):
            one = (one ^ np.uint64(value_bits[board, plane])) * _GOLDEN
        position = _mix(_mix(_mix(one) ^ two) ^ three) ^ four
        outcome = _mix(position)
        draw = np.float32(outcome & _LOW_16) * _UNIT * np.float32(0.5)
        win = (np.float32(1) - draw) * np.float32((outcome >> _FOURTH) & _LOW_16) * _UNIT
        wdl[board, 0] = win
        wdl[board, 1] = draw
        wdl[board, 2] = np.float32(1) - draw - win
        for edge in range(offsets[board], offsets[board + 1]):
            word = _mix(position + np.uint64(moves[edge]) * _GOLDEN)
            logits[edge] = np.float32(word >> np.uint64(48)) * _UNIT * np.float32(4) - np.float32(2)
