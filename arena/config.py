"""What decides a match, as frozen values, and what else can be set.

A setting is declared once, as a field that says what its flag's help says; ``arena.options`` makes
the flags and the keys of configuration files from these fields.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, NamedTuple

from arena.adjudication_rules import MOST_MOVES, AdjudicationRules, DrawRule, ResignRule
from arena.players import Entrant, NetPlayer

MOST_VISITS = 1_000_000
"""A tree of so many takes some 500 MB, and there are two for each game in flight."""

DEFAULT_SPRT = (0.0, 10.0)
"""Elo: is the candidate worth the trouble of a promotion? A setting that *is* this object was not
given by anybody; one that equals it was asked for."""

DEFAULT_DELTA = 10.0
"""Elo."""


_LIMITS = {
    "draw_score": (-1.0, 1.0),
    "smart_pruning_factor": (0.0, 10.0),
    "noise_epsilon": (0.0, 1.0),
    "noise_alpha": (0.001, 1e7),
    "temperature": (0.0, 100.0),
    "temp_endgame": (0.0, 100.0),
    "temp_value_cutoff": (0.0, 100.0),
    "temp_visit_offset": (-1000.0, 1000.0),
    "tempdecay_moves": (0, 640),
    "tempdecay_delay_moves": (0, 100),
    "temp_cutoff_move": (0, 1000),
}
"""lc0's limits (src/search/classic/params.cc, stoppers/common.cc)."""

_CPUCT_AT_ROOT = ("cpuct_at_root", "cpuct_base_at_root", "cpuct_factor_at_root")


class ConfigError(ValueError):
    """A setting that makes no sense: where it stands, what is wrong, what would be right."""


class Part(NamedTuple):
    """One of several parts of a match, each played on a machine of its own: ``2/3``.

    Part K of N has every N-th pair, so that all of them get on with the match from its beginning.
    """

    number: int  # from 1
    of: int

    @classmethod
    def parse(cls, text: str) -> Part:
        """Read ``K/N``. Raises ConfigError where it is not a part."""
        found = re.fullmatch(r"([1-9][0-9]{0,5})/([1-9][0-9]{0,5})", text)
        if found and (part := cls(int(found[1]), int(found[2]))).number <= part.of:
            return part
        raise ConfigError(f"{text!r} is not a part such as 2/3, the second of three")

    def numbers(self, limit: int) -> range:
        """Return its pairs' numbers, from 0, of a match of at most ``limit`` pairs."""
        return range(self.number - 1, limit, self.of)

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


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
    mode: Literal["search", "value"] = option(
        "search",
        "search, or value: the move whose position the net likes best, each evaluated once and "
        "nothing searched (lc0's valuehead); its policyhead is --visits 1",
    )
    cpuct: float = option(1.745, "exploration rate", "C")
    cpuct_base: float = option(38739.0, "visits at which the exploration rate grows", "VISITS")
    cpuct_factor: float = option(3.894, "how fast the exploration rate grows", "C")
    root_has_own_cpuct_params: bool = option(
        False, "at the root take the three below instead of the three above"
    )
    cpuct_at_root: float = option(1.745, "exploration rate at the root", "C")
    cpuct_base_at_root: float = option(38739.0, "visits at which it grows there", "VISITS")
    cpuct_factor_at_root: float = option(3.894, "how fast it grows there", "C")
    fpu_value: float = option(0.33, "first-play urgency reduction", "Q")
    fpu_strategy: Literal["reduction", "absolute"] = option(
        "reduction",
        "value of a move without visits: its position's, reduced by --fpu-value times the root of "
        "the visited moves' policy, or --fpu-value itself",
    )
    fpu_strategy_at_root: Literal["same", "reduction", "absolute"] = option(
        "same", "likewise at the root, there with --fpu-value-at-root unless it is the same"
    )
    fpu_value_at_root: float = option(1.0, "first-play urgency at the root", "Q")
    draw_score: float = option(
        0.0, "what a draw is worth to white while it is searched, and less to black: -1 to 1", "Q"
    )
    smart_pruning_factor: float = option(
        0.0,
        "stop, or leave out moves of the root, where no other can become the best one with the "
        "visits left, over this factor; 0: never (lc0's UCI default is 1.33, its self-play's 0)",
        "X",
    )
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
    temp_visit_offset: float = option(
        0.0, "added to a move's visits before it is drawn by chance", "VISITS"
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
                raise ConfigError(f"--{_key(setting.name)} {value}: is not a number")
        for name in ("cpuct", "cpuct_at_root"):
            if getattr(self, name) < 0:
                raise ConfigError(f"--{_key(name)} {getattr(self, name):g}: must not be negative")
        if self.policy_temperature <= 0:
            raise ConfigError(f"--policy-temperature {self.policy_temperature}: must be above 0")
        for name in ("cpuct_base", "cpuct_base_at_root"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"--{_key(name)} {getattr(self, name)}: must be above 0")
        for name, (least, most) in _LIMITS.items():
            value = getattr(self, name)
            if not least <= value <= most:
                raise ConfigError(f"--{_key(name)} {value:g}: must be from {least:g} to {most:g}")
        self._refuse_what_has_no_effect()

    def _refuse_what_has_no_effect(self) -> None:
        """Refuse settings that another one makes void: nobody means them."""
        for name, needed, wanted in (
            *((name, "root_has_own_cpuct_params", True) for name in _CPUCT_AT_ROOT),
            ("fpu_value_at_root", "fpu_strategy_at_root", "reduction or absolute"),
        ):
            value = getattr(self, name)
            if getattr(self, needed) in (False, "same") and value != _default(name):
                flag = _key(needed) + ("" if wanted is True else f" {wanted}")
                raise ConfigError(f"--{_key(name)} {value:g}: has no effect without --{flag}")
        if self.mode == "value":
            for name in ("temperature", "temp_endgame", "noise_epsilon", "smart_pruning_factor"):
                value = getattr(self, name)
                if value != 0.0:
                    raise ConfigError(
                        f"--{_key(name)} {value:g}: has no effect with --mode value, which visits "
                        "each move once and plays the best"
                    )


def _key(name: str) -> str:
    return name.replace("_", "-")


def _default(name: str) -> Any:
    return next(setting.default for setting in fields(SearchParams) if setting.name == name)


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchConfig:
    """A match of two players. Behind ``search`` stands what does not decide its result."""

    nets: tuple[Path, ...] = option(
        (),
        "the nets: the baseline, then the candidate; more than two play a tournament; latest:DIR "
        "is the newest of a training run (swa latest --help)",
        "NET",
        group="nets",
    )
    players: tuple[Entrant, ...] = option(
        (),
        "a net with settings of its own, in quotation marks: path=NET [name=TEXT "
        "policy-head=NAME value-head=NAME lc0-transpose=true] and settings of the search, such as "
        "visits=200 cpuct=2; tc= and st= as for an engine",
        "KEY=VALUE",
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
    draw: DrawRule | None = option(  # noqa: RUF009
        None,
        "end a game as a draw from move movenumber= (34) on, when movecount= (8) scores in a row "
        "of each player are within score= (20) centipawns, or say that a draw is as likely as "
        "drawn= (0 to 1); without words the values in brackets",
        "KEY=VALUE",
        group="adjudication",
    )
    resign: ResignRule | None = option(  # noqa: RUF009
        None,
        "end a game as lost when movecount= (3) scores in a row of a player are score= (600) "
        "centipawns behind, or say that a loss is as likely as lost= (0.5 to 1); with "
        "twosided=true the opponent must agree",
        "KEY=VALUE",
        group="adjudication",
    )
    tb_adjudicate: bool = option(
        True,
        "end a game as the tables of --tb say, the 50-move rule included",
        group="adjudication",
    )
    maxmoves: int = option(
        0,
        "end a game as a draw after so many moves of each side; 0: never",
        "MOVES",
        group="adjudication",
    )
    audit: float = option(
        0.05,
        "share of the adjudicated games that are played on, without changing their results, to "
        "tell how often the rules are wrong (--maxmoves foretells nothing and is not audited)",
        "SHARE",
        group="adjudication",
    )
    dtype: Literal["float32", "float16", "bfloat16"] = option(
        "float32", "numbers that the nets compute with; decides by its rounding", group="device"
    )
    tb: tuple[Path, ...] = option(
        (),
        "folders of Syzygy tables (.rtbw, .rtbz): of the moves at hand, and of positions in the "
        "search, the nets know what the tables know",
        "DIR",
    )
    tb_pieces: int = option(
        0, "most pieces on the board at which tables are asked; 0: all that there are", "PIECES"
    )
    tb_search: bool = option(True, "let the nets search by the tables of --tb")
    tb_fast_play: bool = option(
        False, "of moves that win by the tables, play only those of the least DTZ"
    )
    search: SearchParams = field(default_factory=SearchParams)

    parallel: int = option(64, "games in flight", "GAMES", group="device")
    part: Part | None = option(  # noqa: RUF009 - as immutable as the others
        None,
        "play only every N-th pair, beginning with pair K: one of N machines that share a match; "
        "arena merge puts the run folders together",
        "K/N",
        group="match length",
    )
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
        if self.nets and self.players:
            raise ConfigError("nets and players contradict each other: name all in players")
        if len(self.lineup) < 2:
            flags, who = ("--net, --engine", "players") if self.players else ("--nets", "nets")
            raise ConfigError(
                f"{flags}: a match is between two {who}, not {len(self.lineup)}\n"
                "Name the baseline, then the candidate."
            )
        self._refuse_contradictions()
        self._refuse_tables()
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
        if self.part is not None and not self.part.numbers(self.pairs):
            raise ConfigError(f"--part {self.part}: of {self.pairs} pairs none is in it")
        if not 0 <= self.seed < 2**63:
            raise ConfigError(f"--seed {self.seed}: must be from 0 to 2^63 - 1")
        if not 0 <= self.maxmoves <= MOST_MOVES:
            raise ConfigError(f"--maxmoves {self.maxmoves}: must be from 0 to {MOST_MOVES:,}")
        if not 0.0 <= self.audit <= 1.0:
            raise ConfigError(f"--audit {self.audit:g}: must be from 0 to 1")
        self._refuse_openings()
        if self.parallel < 1:
            raise ConfigError(f"--parallel {self.parallel}: at least 1 game must be in flight")
        if self.nncache < 0:
            raise ConfigError(f"--nncache {self.nncache}: must be 0 or more")

    @property
    def lineup(self) -> tuple[Entrant, ...]:
        """Who plays: the baseline, then the candidate, then what others there are."""
        return self.players or tuple(NetPlayer(path=path) for path in self.nets)

    @property
    def adjudication(self) -> AdjudicationRules:
        """The rules by which games end early."""
        return AdjudicationRules(
            draw=self.draw,
            resign=self.resign,
            tablebase=self.tb_adjudicate and bool(self.tb),
            maxmoves=self.maxmoves,
            audit=self.audit,
        )

    def _refuse_tables(self) -> None:
        """Refuse settings of tablebases that do not go together."""
        if self.tb_pieces and not 3 <= self.tb_pieces <= 7:
            raise ConfigError(f"--tb-pieces {self.tb_pieces}: must be from 3 to 7, or 0 for all")
        if self.tb:
            return
        for name in ("tb_pieces", "tb_fast_play"):
            if getattr(self, name):
                flag = name.replace("_", "-")
                raise ConfigError(f"--{flag}: is a setting of --tb: name a folder of tables")

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
        if len(self.lineup) > 2 and self.part is not None:
            raise ConfigError(
                f"--part {self.part}: a match of two nets has parts, a tournament has matches\n"
                "Play the tournament's matches one by one, each with two nets."
            )
        bounds = self.preset is not None or (asked and self.sprt is not None)
        if len(self.lineup) > 2 and (bounds or self.certified or self.overshoot):
            flags, who = ("--net, --engine", "players") if self.players else ("--nets", "nets")
            raise ConfigError(
                f"{flags}: {len(self.lineup)} {who} play a tournament, in which all pairs are "
                f"played\nA test is between two {who}: leave out --sprt, --preset, --certified, "
                "--overshoot."
            )
