"""What decides self-play, and what else can be set; declared as a match's settings are."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from arena.config import ConfigError, SearchParams, option
from arena.players import NetPlayer


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfplayParams(SearchParams):
    """How a net's tree is searched in games to be trained on.

    The defaults are those of ``lc0 selfplay`` (src/selfplay/tournament.cc, ``PopulateOptions``;
    src/selfplay/game.cc for ``reuse_tree``), but for ``visits``, which it wants to be given.
    """

    cpuct: float = option(1.2, "exploration rate", "C")
    cpuct_factor: float = option(0.0, "how fast the exploration rate grows", "C")
    fpu_value: float = option(0.0, "first-play urgency reduction", "Q")
    policy_temperature: float = option(1.0, "softmax temperature of the policy", "T")
    two_fold_draws: bool = option(False, "count a repetition inside the searched line as a draw")
    sticky_endgames: bool = option(False, "let proven results propagate up the tree")
    reuse_tree: bool = option(
        False, "keep what the tree knows of the moves played; such visits saw no noise"
    )
    noise_epsilon: float = option(0.25, "share of Dirichlet noise in the root's policy", "SHARE")
    temperature: float = option(
        1.0, "a move is played by chance, its share visits^(1/T); 0: the best is", "T"
    )

    def __post_init__(self) -> None:
        """Refuse also what leaves nothing to train on."""
        if self.mode == "value":
            raise ConfigError(
                "--mode value: visits each move once, which is no target for a policy\n"
                "Leave it out: self-play searches."
            )
        SearchParams.__post_init__(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfplayConfig:
    """Games of a net against itself. From ``parallel`` on stands what does not decide them."""

    net: NetPlayer | None = option(  # noqa: RUF009
        None,
        "the net that plays; of one with several heads others than vanilla and winner by "
        '"path=NET policy-head=NAME value-head=NAME"',
        "NET",
        group="nets",
    )
    games: int = option(1000, "how many games the folder is to hold", "N", group="games")
    resign_percentage: float = option(
        0.0, "resign when the expected score falls below; 0: never", "PERCENT", group="games"
    )
    resign_playthrough: float = option(
        0.0,
        "share of games in which nobody resigns; they tell how often it would be wrong",
        "PERCENT",
        group="games",
    )
    max_plies: int = option(
        450, "a game of so many is a draw, its opening included; 0: no limit", "N", group="games"
    )
    openings: Path | None = option(  # noqa: RUF009
        None,
        "book of openings: .epd, .fen or .pgn, plain or in .zip or .gz (default: the book that "
        "arena ships)",
        "FILE",
        group="openings",
    )
    book: bool = option(
        True, "begin from the openings of a book, in random order", group="openings"
    )
    seed: int = option(0, "of all that is random", "NUMBER", group="openings")
    dtype: Literal["float32", "float16", "bfloat16"] = option(
        "float32", "numbers that the net computes with", group="device"
    )
    search: SelfplayParams = field(default_factory=SelfplayParams)

    parallel: int = option(64, "games in flight", "GAMES", group="device")
    device: Literal["auto", "cpu", "cuda", "mps"] = option(
        "auto", "where the net runs; auto: the first there is of cuda, mps, cpu", group="device"
    )
    evaluator: Literal["auto", "torch", "winograd"] = option(
        "auto",
        "what computes the net; auto: winograd for float32 on a CPU, torch for everything else",
        group="device",
    )
    nncache: int = option(
        200_000, "evaluations to remember, 0 for none", "POSITIONS", group="device"
    )
    out: Path | None = option(  # noqa: RUF009
        None, "folder for the records; one that exists is filled up", "DIR", group="output"
    )

    def __post_init__(self) -> None:
        """Refuse settings that no games can be played with."""
        for name in ("net", "out"):
            if getattr(self, name) is None:
                raise ConfigError(f"--{name} is missing: self-play needs a net and a folder")
        if self.games < 1:
            raise ConfigError(f"--games {self.games}: must be 1 or more")
        if self.search.visits < 2:
            raise ConfigError(
                f"--visits {self.search.visits}: a target needs at least 2 visits, since the "
                "first is the position's own"
            )
        for name, percent in (
            ("resign-percentage", self.resign_percentage),
            ("resign-playthrough", self.resign_playthrough),
        ):
            if not 0.0 <= percent <= 100.0:
                raise ConfigError(f"--{name} {percent:g}: must be from 0 to 100")
        if not self.book and self.openings is not None:
            raise ConfigError("--openings and --no-book contradict each other: use one of them")
        if self.max_plies < 0:
            raise ConfigError(f"--max-plies {self.max_plies}: must be 0 or more")
        if not 0 <= self.seed < 2**63:
            raise ConfigError(f"--seed {self.seed}: must be from 0 to 2^63 - 1")
        if self.parallel < 1:
            raise ConfigError(f"--parallel {self.parallel}: at least 1 game must be in flight")
        if self.nncache < 0:
            raise ConfigError(f"--nncache {self.nncache}: must be 0 or more")
