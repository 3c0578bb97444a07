"""What decides a match, as frozen values, and what else can be set.

A setting is declared once, as a field that says what its flag's help says; ``arena.options`` makes
the flags and the keys of configuration files from these fields.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

MOST_VISITS = 1_000_000
"""A tree of so many takes some 500 MB, and there are two for each game in flight."""

DEFAULT_SPRT = (0.0, 10.0)
"""Elo: is the candidate worth the trouble of a promotion? A setting that *is* this object was not
given by anybody; one that equals it was asked for."""

DEFAULT_DELTA = 10.0
"""Elo."""


_MOST = {
    "temperature": 100.0,
    "temp_endgame": 100.0,
    "temp_value_cutoff": 100.0,
    "tempdecay_moves": 640,
    "tempdecay_delay_moves": 100,
    "temp_cutoff_move": 1000,
}
"""lc0's limits (src/search/classic/params.cc)."""


class ConfigError(ValueError):
    """A setting that makes no sense: where it stands, what is wrong, what would be right."""


def option(
    default: Any, help_text: str, metavar: str | None = None, *, group: str = "search"
) -> Any:
    """Declare a setting with what its flag's help says.

    ``metavar`` names the value's unit; words of a value of several parts are separated by a space.
    """
    return field(default=default, metadata={"help": help_text, "metavar": metavar, "group": group})


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchParams:
    """How a net's tree is searched. The defaults are lc0's (golden reference: v0.33.0-dev)."""

    visits: int = option(100, "visits of the root for each move, the kept tree included", "VISITS")
    cpuct: float = option(1.745, "exploration rate", "C")
    cpuct_base: float = option(38739.0, "visits at which the exploration rate grows", "VISITS")
    cpuct_factor: float = option(3.894, "how fast the exploration rate grows", "C")
    fpu_value: float = option(0.33, "first-play urgency reduction", "Q")
    policy_temperature: float = option(1.359, "softmax temperature of the policy", "T")
    two_fold_draws: bool = option(True, "count a repetition inside the searched line as a draw")
    sticky_endgames: bool = option(True, "let proven results propagate up the tree")
    moves_left_slope: float = option(0.0027, "value of a ply of the game's length", "Q")
    moves_left_max_effect: float = option(0.0345, "most that the moves left can be worth", "Q")
    moves_left_threshold: float = option(0.8, "|Q| from which the moves left count", "Q")
    moves_left_constant_factor: float = option(0.0, "constant part of their weight", "X")
    moves_left_scaled_factor: float = option(1.6521, "part of their weight linear in |Q|", "X")
    moves_left_quadratic_factor: float = option(-0.6521, "part of their weight quadratic in Q", "X")
    reuse_tree: bool = option(True, "keep what the tree knows of the moves that were played")
    noise_epsilon: float = option(0.0, "share of Dirichlet noise in the root's policy", "SHARE")
    noise_alpha: float = option(0.3, "concentration of the noise; small: on few moves", "A")
    temperature: float = option(
        0.0, "a move is played by chance, its share visits^(1/T); 0: the best is", "T"
    )
    tempdecay_moves: int = option(
        0, "the temperature falls to 0 evenly over so many moves; 0: it does not", "MOVES"
    )
    tempdecay_delay_moves: int = option(0, "moves before it begins to fall", "MOVES")
    temp_cutoff_move: int = option(
        0, "the move from which on it is --temp-endgame; 0: there is none", "MOVE"
    )
    temp_endgame: float = option(0.0, "temperature from there on, and the least it falls to", "T")
    temp_value_cutoff: float = option(
        100.0,
        "moves whose winning chance is worse than the best one's by more are not played by chance",
        "PERCENT",
    )

    def __post_init__(self) -> None:
        """Refuse settings under which no search can run."""
        if self.visits < 1:
            raise ConfigError(f"--visits {self.visits}: a move needs at least 1 visit")
        if self.visits > MOST_VISITS:
            raise ConfigError(f"--visits {self.visits}: at most {MOST_VISITS:,} fit into memory")
        for setting in fields(self):
            value = getattr(self, setting.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise ConfigError(f"--{setting.name.replace('_', '-')} {value}: is not a number")
        if self.cpuct < 0:
            raise ConfigError(f"--cpuct {self.cpuct:g}: must not be negative")
        if self.policy_temperature <= 0:
            raise ConfigError(f"--policy-temperature {self.policy_temperature}: must be above 0")
        if self.cpuct_base <= 0:
            raise ConfigError(f"--cpuct-base {self.cpuct_base}: must be above 0")
        self._refuse_chances()

    def _refuse_chances(self) -> None:
        """Refuse settings of what is left to chance that make no sense; limits are lc0's."""
        if not 0.0 <= self.noise_epsilon <= 1.0:
            raise ConfigError(f"--noise-epsilon {self.noise_epsilon:g}: must be from 0 to 1")
        if not 0.001 <= self.noise_alpha <= 1e7:
            raise ConfigError(f"--noise-alpha {self.noise_alpha:g}: must be from 0.001 to 1e7")
        for name, most in _MOST.items():
            value = getattr(self, name)
            if not 0 <= value <= most:
                key = name.replace("_", "-")
                raise ConfigError(f"--{key} {value:g}: must be from 0 to {most:g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchConfig:
    """A match of two nets. Behind ``search`` stands what does not decide its result."""

    nets: tuple[Path, ...] = option(
        (),
        "the nets: the baseline, then the candidate; more than two play a tournament; latest:DIR "
        "is the newest of a training run (swa latest --help)",
        "NET",
        group="nets",
    )
    tournament: Literal["roundrobin", "gauntlet"] = option(
        "roundrobin",
        "of more than two nets, who plays whom for --pairs pairs: everybody, or the first one "
        "against all others",
        group="nets",
    )
    sprt: tuple[float, float] | None = option(
        DEFAULT_SPRT,
        "stop as soon as it is settled whether the candidate is weaker than ELO0 or stronger than "
        "ELO1; without a test all pairs are played",
        "ELO0 ELO1",
        group="match length",
    )
    sprt_model: Literal["normalized", "logistic"] = option(
        "normalized", "unit of ELO0 and ELO1", group="match length"
    )
    preset: Literal["superiority", "non-regression", "pick-best"] | None = option(
        None,
        "the test by what it is for, instead of --sprt: superiority [0, D], non-regression "
        "[-D, 0], pick-best [-D, D]",
        group="match length",
    )
    delta: float | None = option(
        None, f"D of --preset (default: {DEFAULT_DELTA:g})", "ELO", group="match length"
    )
    certified: bool = option(
        False,
        "decide by bets whose error is below alpha and beta by theorem, for 2 to 10 % more pairs "
        "(up to 17 % where the bounds are 80 Elo apart)",
        group="match length",
    )
    overshoot: bool = option(
        False,
        "move the LLR's bounds inwards by fishtest's correction for overshoot; fewer pairs, and "
        "with wide bounds a little more error than asked for",
        group="match length",
    )
    alpha: float = option(0.05, "share of wrong promotions at ELO0", "SHARE", group="match length")
    beta: float = option(0.05, "share of missed promotions at ELO1", "SHARE", group="match length")
    pairs: int = option(
        5000, "most pairs of games, colours swapped in each", "PAIRS", group="match length"
    )
    openings: Path | None = option(  # noqa: RUF009 - as immutable as the others
        None,
        "book of openings: .epd, .fen or .pgn, plain or in .zip or .gz, or polyglot .bin (default: "
        "the book that arena ships)",
        "FILE",
        group="openings",
    )
    order: Literal["random", "sequential"] = option(
        "random", "which openings are taken first", group="openings"
    )
    start: int = option(
        1, "number, in that order, of the first opening that is taken", "NUMBER", group="openings"
    )
    plies: int | None = option(
        None,
        "most moves of an opening that are played; from there on the nets choose (default: all, of "
        "a polyglot book until it has none)",
        "PLIES",
        group="openings",
    )
    opening_filter: tuple[float, float] | None = option(
        None,
        "take only openings that the baseline's net itself values so, in |Q|: 0 is level, 1 is "
        "decided; LOW above 0 for an unbalanced book",
        "LOW HIGH",
        group="openings",
    )
    seed: int = option(0, "of the random order of openings", "NUMBER", group="openings")
    dtype: Literal["float32", "float16", "bfloat16"] = option(
        "float32", "numbers that the nets compute with; decides by its rounding", group="device"
    )
    search: SearchParams = field(default_factory=SearchParams)

    parallel: int = option(64, "games in flight", "GAMES", group="device")
    device: Literal["auto", "cpu", "cuda", "mps"] = option(
        "auto", "where the nets run; auto: the first there is of cuda, mps, cpu", group="device"
    )
    evaluator: Literal["auto", "torch", "winograd"] = option(
        "auto",
        "what computes the nets; auto: winograd for float32 on a CPU, torch for everything else",
        group="device",
    )
    nncache: int = option(
        200_000, "evaluations to remember for each net, 0 for none", "POSITIONS", group="device"
    )
    out: Path | None = option(  # noqa: RUF009
        None,
        "run folder; one that exists is resumed "
        "(default: reports/CANDIDATE-vs-BASELINE-N, the next N that is free)",
        "DIR",
        group="output",
    )

    def __post_init__(self) -> None:
        """Refuse settings that no match can be played with."""
        if len(self.nets) < 2:
            raise ConfigError(
                f"--nets: a match is between two nets, not {len(self.nets)}\n"
                "Name the baseline, then the candidate."
            )
        self._refuse_contradictions()
        if self.sprt is not None and not self.sprt[0] < self.sprt[1]:
            elo0, elo1 = self.sprt
            raise ConfigError(f"--sprt {elo0:g} {elo1:g}: ELO0 must be below ELO1")
        for name, share in (("alpha", self.alpha), ("beta", self.beta)):
            if not 0.0 < share < 1.0:
                raise ConfigError(f"--{name} {share:g}: must be between 0 and 1")
        if self.alpha + self.beta >= 1.0:
            raise ConfigError(
                f"--alpha {self.alpha:g} --beta {self.beta:g}: must together be below 1"
            )
        if self.pairs < 1:
            raise ConfigError(f"--pairs {self.pairs}: a match needs at least 1 pair")
        if not 0 <= self.seed < 2**63:
            raise ConfigError(f"--seed {self.seed}: must be from 0 to 2^63 - 1")
        self._refuse_openings()
        if self.parallel < 1:
            raise ConfigError(f"--parallel {self.parallel}: at least 1 game must be in flight")
        if self.nncache < 0:
            raise ConfigError(f"--nncache {self.nncache}: must be 0 or more")

    def _refuse_openings(self) -> None:
        """Refuse settings by which no opening could be taken."""
        if self.start < 1:
            raise ConfigError(f"--start {self.start}: openings are numbered from 1")
        if self.plies is not None and self.plies < 1:
            raise ConfigError(f"--plies {self.plies}: an opening has at least 1 ply")
        if self.opening_filter is None:
            return
        low, high = self.opening_filter
        if not 0.0 <= low < high <= 1.0:
            raise ConfigError(
                f"--opening-filter {low:g} {high:g}: must be LOW below HIGH, both from 0 to 1, "
                "since |Q| knows no sides"
            )

    def _refuse_contradictions(self) -> None:
        """Refuse settings of the test that do not go together."""
        asked = self.sprt is not DEFAULT_SPRT
        kind = "--sprt" if self.sprt is not None else "--no-sprt"
        if self.preset is not None and asked:
            raise ConfigError(f"--preset and {kind} contradict each other: use one of them")
        if self.delta is not None and self.preset is None:
            raise ConfigError(f"--delta {self.delta:g}: is a setting of --preset: give one")
        if self.delta is not None and not self.delta > 0.0:
            raise ConfigError(f"--delta {self.delta:g}: must be above 0")
        if self.sprt is None and (self.certified or self.overshoot):
            method = "--certified" if self.certified else "--overshoot"
            raise ConfigError(f"{method} and --no-sprt contradict each other: use one of them")
        if self.certified and self.overshoot:
            raise ConfigError(
                "--certified and --overshoot: the correction belongs to the LLR, which does not "
                "decide a certified test: use one"
            )
        bounds = self.preset is not None or (asked and self.sprt is not None)
        if len(self.nets) > 2 and (bounds or self.certified or self.overshoot):
            raise ConfigError(
                f"--nets: {len(self.nets)} nets play a tournament, in which all pairs are played\n"
                "A test is between two nets: leave out --sprt, --preset, --certified, --overshoot."
            )
