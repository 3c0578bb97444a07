"""What ``swa train`` is to do, from TOML (``swa.settings``), in words of lczero-training's YAML.

Defaults are lczero-training's where it has any (tf/configs/example.yaml, tf/tfprocess.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from swa.averaging import Rule
from swa.net_names import LATEST
from swa.rules import RULE_OF_SETTING, make_rule
from swa.settings import SettingsError, key_of, read_settings
from swa.spec import NetError

EncodingName = Literal["linear16", "float16", "bfloat16", "float32"]
DtypeName = Literal["float32", "bfloat16", "float16"]

MAX_THREADS = 4096
"""As in swa.build_config: more cores than any machine of today has."""

LARGEST = 1e30
"""Rates, weights and norms beyond it are slips; torch computes with them in float32."""


@dataclass(frozen=True, slots=True)
class NetSettings:
    """The net's kind, or the file that training starts from; then what is given must agree."""

    start: str | None = None  # a net file, or latest:DIR for the newest of a folder
    blocks: int | None = None
    filters: int | None = None
    se: int | None = None  # width of the squeeze; 0: no squeeze-excitation
    se_ratio: int | None = None  # the same as a divisor of filters
    policy: Literal["convolution", "classical"] | None = None
    value: Literal["wdl", "classical"] | None = None
    moves_left: bool | None = None
    activation: Literal["relu", "mish"] | None = None
    policy_channels: int | None = None  # of a classical policy
    value_channels: int | None = None
    value_hidden: int | None = None
    moves_left_channels: int | None = None
    moves_left_hidden: int | None = None

    def __post_init__(self) -> None:
        for name, value in self.sizes.items():
            least = 0 if name == "se" else 1
            _check(value >= least, f"{key_of(name)}: is at least {least}, not {value}")
        both = self.se is not None and self.se_ratio is not None
        _check(not both, "se and se-ratio say the same", "Give one of them.")
        if self.start is None:
            for name in ("blocks", "filters"):
                remedy = "Give it, or start = a net file."
                _check(getattr(self, name) is not None, f"{name} is missing", remedy)

    @property
    def sizes(self) -> dict[str, int]:
        """The numbers that are given."""
        given = asdict(self)
        return {name: value for name, value in given.items() if type(value) is int}


@dataclass(frozen=True, slots=True)
class DataSettings:
    """Training records and how they are shuffled."""

    input: tuple[Path, ...]  # folders, .gz files, tars
    held_out: float = 0.05  # share of games that are not trained on
    sampling: float = 1 / 32  # share of a game's positions that are taken in one epoch
    shuffle_size: int = 524_288  # positions that are shuffled together
    validation_positions: int = 20_000

    def __post_init__(self) -> None:
        _check(len(self.input) > 0, "input: names no data", "Give folders of training records.")
        _check(0 < self.held_out < 1, f"held-out: is between 0 and 1, not {self.held_out}")
        _check(0 < self.sampling <= 1, f"sampling: is above 0 and at most 1, not {self.sampling}")
        _at_least(1, self, "shuffle_size", "validation_positions")


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """The loss and how it is made smaller."""

    batch_size: int
    total_steps: int
    optimizer: Literal["sgd", "adamw"] = "sgd"
    momentum: float = 0.9  # of sgd
    nesterov: bool = True  # of sgd
    beta1: float = 0.9  # of adamw
    beta2: float = 0.999  # of adamw
    epsilon: float = 1e-8  # of adamw
    weight_decay: float = 1e-4  # 1e-4: a loss of 0.5e-4 times the sum of squares
    max_grad_norm: float = 10_000.0  # of all gradients together
    batch_norm_momentum: float = 0.99  # what running statistics keep at each step
    policy_loss_weight: float = 1.0
    value_loss_weight: float = 1.0
    moves_left_loss_weight: float = 1.0
    q_ratio: float = 0.0  # share of the search in the value's target; the rest is the result

    def __post_init__(self) -> None:
        # Batch norm has no variance over a single position's plane in its 1x1 squares.
        _at_least(2, self, "batch_size")
        _at_least(1, self, "total_steps")
        for name in ("momentum", "beta1", "beta2", "batch_norm_momentum"):
            value = getattr(self, name)
            _check(0 <= value < 1, f"{key_of(name)}: is from 0 to below 1, not {value}")
        _check(0 <= self.q_ratio <= 1, f"q-ratio: is from 0 to 1, not {self.q_ratio}")
        weights = ("policy_loss_weight", "value_loss_weight", "moves_left_loss_weight")
        for name in (*weights, "weight_decay"):
            value = getattr(self, name)
            _check(value >= 0, f"{key_of(name)}: is at least 0, not {value}")
        _check(any(getattr(self, name) > 0 for name in weights), "all loss weights are 0: no loss")
        for name in ("max_grad_norm", "epsilon"):
            value = getattr(self, name)
            fits = 0 < value <= LARGEST
            _check(fits, f"{key_of(name)}: is above 0 and at most {LARGEST:g}, not {value}")
        needs = "nesterov: needs a momentum above 0"
        _check(self.momentum > 0 or not self.nesterov or self.optimizer != "sgd", needs)


@dataclass(frozen=True, slots=True)
class RateSettings:
    """The learning rate by steps: see ``swa.schedules``."""

    lr: float | None = None
    schedule: Literal["constant", "steps", "cosine", "cyclic"] = "constant"
    values: tuple[float, ...] = ()  # steps: one more than boundaries
    boundaries: tuple[int, ...] = ()  # steps
    warmup_steps: int = 0
    final: float | None = None  # cosine and cyclic: where it ends; default 0
    decay_steps: int | None = None  # cosine: how long; default: to swa-start or total-steps
    cycle: int | None = None  # steps: of cyclic, and of the tail if it is cyclic
    swa_start: int | None = None  # first step of the tail
    swa_lr: float | None = None  # of the tail; where cyclic, of the start of each cycle
    swa_final: float | None = None  # of the end of each cycle of a cyclic tail

    def __post_init__(self) -> None:
        steps = self.schedule == "steps"
        for name in ("values", "boundaries"):
            given, word = bool(getattr(self, name)), f"{name}: goes with schedule = 'steps'"
            _check(steps or not given, word)
        if steps:
            _check(self.lr is None, "lr: schedule 'steps' has values instead")
            fit = len(self.values) == len(self.boundaries) + 1
            numbers = f"{len(self.values)} values for {len(self.boundaries)} boundaries"
            _check(fit, f"values: {numbers}", "Give one more than boundaries.")
            ordered = list(self.boundaries) == sorted({*self.boundaries})
            _check(
                ordered and min(self.boundaries, default=1) > 0, "boundaries: are to rise from 1"
            )
        else:
            _check(self.lr is not None, "lr is missing")
        for name in ("lr", "final", "swa_lr", "swa_final"):
            value = getattr(self, name)
            fits = value is None or 0 <= value <= LARGEST
            _check(fits, f"{key_of(name)}: is from 0 to {LARGEST:g}, not {value}")
        fits = all(0 <= value <= LARGEST for value in self.values)
        _check(fits, f"values: are from 0 to {LARGEST:g}")
        _at_least(0, self, "warmup_steps")
        _at_least(1, self, "decay_steps", "cycle", "swa_start")
        self._check_together()

    def _check_together(self) -> None:
        final = self.final is None or self.schedule in ("cosine", "cyclic")
        _check(final, "final: goes with schedule = 'cosine' or 'cyclic'")
        decays = self.decay_steps is None or self.schedule == "cosine"
        _check(decays, "decay-steps: goes with schedule = 'cosine'")
        cyclic = self.schedule == "cyclic"
        _check(not cyclic or self.cycle is not None, "cycle is missing", "Steps of one cycle.")
        tail = self.swa_start is not None
        _check(tail == (self.swa_lr is not None), "swa-start and swa-lr go together")
        both = self.swa_final is None or (tail and self.cycle is not None)
        _check(both, "swa-final: goes with swa-start and cycle")
        used = self.cycle is None or cyclic or self.swa_final is not None
        _check(used, "cycle: goes with schedule = 'cyclic' or swa-final")


@dataclass(frozen=True, slots=True)
class AverageSettings:
    """An average of the weights that is made during training."""

    name: str = "swa"
    rule: Literal["mean", "lczero", "ema", "lawa"] = "mean"
    start: int = 0  # step after which it begins
    every: int = 100  # steps from one of its snapshots to the next
    refresh_positions: int = 0  # 0: statistics of batch norm are averaged, as lczero's are
    max_n: int | None = None
    decay: float | None = None
    scale: float | None = None
    ema_start: Literal["first", "unbiased", "warm-up"] | None = None
    last: int | None = None

    def __post_init__(self) -> None:
        plain = self.name.isascii() and self.name.replace("_", "").isalnum()
        _check(plain, f"name: {self.name!r} is not of letters, digits and _")
        _check(self.name != "raw", "name: 'raw' is the net that is trained", "Choose another.")
        _at_least(1, self, "every")
        _at_least(0, self, "start", "refresh_positions")
        _ = self.made_rule

    @property
    def made_rule(self) -> Rule:
        """The rule itself."""
        given = {name: getattr(self, name, None) for name in RULE_OF_SETTING}
        try:
            return make_rule(self.rule, given)
        except NetError as error:
            raise SettingsError(f"rule: {error}") from None

    def is_due(self, step: int) -> bool:
        """Whether a snapshot is taken after ``step`` steps (lczero's ``swa_steps``)."""
        return step > self.start and (step - self.start) % self.every == 0


@dataclass(frozen=True, slots=True)
class SnapshotSettings:
    """Nets that are written while training goes on."""

    every: int | None = None  # steps; default: only at the end
    keep: int = 10  # the newest ones; older ones are deleted
    encoding: EncodingName | None = None  # default: linear16, or that of the net it started from

    def __post_init__(self) -> None:
        _at_least(1, self, "every", "keep")


@dataclass(frozen=True, slots=True)
class ValidationSettings:
    """Losses on games that are not trained on."""

    every: int | None = None  # steps; default: with each snapshot

    def __post_init__(self) -> None:
        _at_least(1, self, "every")


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """All settings of a run. Raises SettingsError where they cannot be."""

    output: Path
    data: DataSettings
    training: TrainingSettings
    learning_rate: RateSettings
    net: NetSettings = field(default_factory=NetSettings)
    averages: tuple[AverageSettings, ...] = ()
    snapshots: SnapshotSettings = field(default_factory=SnapshotSettings)
    validation: ValidationSettings = field(default_factory=ValidationSettings)
    name: str = "net"  # files are NAME-STEPS.pb.gz
    seed: int = 0
    device: str = "auto"
    dtype: DtypeName = "float32"  # of the net's arithmetic; the others are for accelerators
    threads: int | None = None  # default: all cores
    log_every: int = 100  # steps
    checkpoint_minutes: float = 5.0  # the most that a crash loses

    def __post_init__(self) -> None:
        plain = self.name not in ("", ".", "..") and "/" not in self.name and "\0" not in self.name
        _check(plain, f"name: {self.name!r} cannot begin a file's name")
        names = [average.name for average in self.averages]
        _check(len({*names}) == len(names), f"averages: two of them have one name: {names}")
        _check(0 <= self.seed < 2**63, f"seed: is from 0 to below 2^63, not {self.seed}")
        _at_least(1, self, "threads", "log_every")
        many = self.threads is not None and self.threads > MAX_THREADS
        _check(not many, f"threads: is at most {MAX_THREADS}, not {self.threads}")
        minutes = f"checkpoint-minutes: is at least 0, not {self.checkpoint_minutes}"
        _check(self.checkpoint_minutes >= 0, minutes)
        rate, steps = self.learning_rate, self.training.total_steps
        late = rate.swa_start is not None and rate.swa_start >= steps
        _check(not late, f"learning-rate.swa-start: {rate.swa_start} is not before step {steps}")


def read_config(path: Path, given: Mapping[str, Any] = {}) -> TrainConfig:
    """The configuration of a file; ``given`` replaces settings of its uppermost level by name.

    Raises SettingsError, naming file and key, where it cannot be.
    """
    values = read_settings(path, TrainConfig) | dict(given)
    for name in ("output", "data", "training", "learning_rate"):
        _check(name in values, f"{path}: {key_of(name)} is missing", "")
    net = values.get("net")
    if net is not None and net.start is not None:
        values["net"] = replace(net, start=_start_from(net.start, path.parent))
    try:
        return TrainConfig(**values)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from None


def _start_from(word: str, folder: Path) -> str:
    """A net, or ``latest:`` of something, relative to a folder."""
    head = LATEST if word.startswith(LATEST) else ""
    return f"{head}{folder / Path(word.removeprefix(LATEST)).expanduser()}"


def _at_least(least: int, settings: Any, *names: str) -> None:
    for name in names:
        value = getattr(settings, name)
        _check(value is None or value >= least, f"{key_of(name)}: is at least {least}, not {value}")


def _check(holds: bool, reason: str, remedy: str = "") -> None:
    if not holds:
        raise SettingsError(f"{reason}\n{remedy}" if remedy else reason)
