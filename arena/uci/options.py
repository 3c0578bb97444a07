"""The options of the engine, by lc0's names where lc0 has them (src/search/classic/params.cc).

Those of the search are made from the fields of ``SearchParams``, so that none can be forgotten; a
real number is of type string, as lc0 has it, since UCI knows whole numbers only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args, get_origin

from arena.config import ConfigError, SearchParams
from arena.options import Option, options
from arena.uci.limits import whole_number

Kind = Literal["check", "spin", "string", "combo"]
ScoreType = Literal["centipawn", "Q", "W-L", "win_percentage"]

MOST_LINES = 500
"""lc0's limit of MultiPV."""


class OptionError(ValueError):
    """A ``setoption`` that means nothing: one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All that can be set; the defaults are lc0's."""

    search: SearchParams = SearchParams()  # noqa: RUF009 - frozen
    visits: int = 0  # a search that has an end ends there at the latest; 0: it does not
    multipv: int = 1
    score_type: ScoreType = "centipawn"
    show_wdl: bool = False
    show_moves_left: bool = False
    verbose_move_stats: bool = False
    move_overhead_ms: int = 200
    nncache: int = 200_000
    asked: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the search that were set, among them those which have no effect as yet."""


@dataclass(frozen=True, slots=True)
class UciOption:
    """An option as it is declared to the GUI, and the field that it sets."""

    name: str
    kind: Kind
    sets: str
    of_search: bool = False  # a field of Settings.search
    low: int = 0
    high: int = 0
    choices: tuple[str, ...] = ()

    def declared(self, settings: Settings) -> str:
        """The line that answers ``uci``; its default is what is set."""
        value = getattr(settings.search if self.of_search else settings, self.sets)
        shown = f"{value:f}" if isinstance(value, float) else str(value)
        line = f"option name {self.name} type {self.kind} default "
        if self.kind == "check":
            return line + shown.lower()
        if self.kind == "spin":
            return f"{line}{shown} min {self.low} max {self.high}"
        return " ".join((line + shown, *(f"var {choice}" for choice in self.choices)))

    def read(self, text: str) -> int | float | str | bool:
        """Read a value; raises OptionError, which says what it should be."""
        if self.kind == "check":
            if text.lower() in ("true", "false"):
                return text.lower() == "true"
            raise OptionError("must be true or false")
        if self.kind == "spin":
            number = whole_number(text)
            if number is None or not self.low <= number <= self.high:
                raise OptionError(f"must be a whole number from {self.low} to {self.high}")
            return number
        if self.kind == "combo":
            for choice in self.choices:
                if choice.lower() == text.lower():
                    return choice
            raise OptionError(f"must be one of {', '.join(self.choices)}")
        try:
            real = float(text)
        except ValueError:
            real = math.nan
        if not math.isfinite(real):
            raise OptionError("must be a number")
        return real


_OURS = (
    UciOption("MultiPV", "spin", "multipv", low=1, high=MOST_LINES),
    UciOption("ScoreType", "combo", "score_type", choices=get_args(ScoreType)),
    UciOption("UCI_ShowWDL", "check", "show_wdl"),
    UciOption("UCI_ShowMovesLeft", "check", "show_moves_left"),
    UciOption("VerboseMoveStats", "check", "verbose_move_stats"),
    UciOption("MoveOverheadMs", "spin", "move_overhead_ms", high=100_000_000),
    UciOption("NNCacheSize", "spin", "nncache", high=10_000_000),
    UciOption("Visits", "spin", "visits", high=1_000_000),
)

_NEEDS = {
    "cpuct_at_root": "root_has_own_cpuct_params",
    "cpuct_base_at_root": "root_has_own_cpuct_params",
    "cpuct_factor_at_root": "root_has_own_cpuct_params",
    "fpu_value_at_root": "fpu_strategy_at_root",
}
"""Settings that have an effect, and are allowed, only where another one is set: a GUI may set them
before it sets that one."""

_NOT_OFFERED = frozenset({"visits", "mode"})
"""``go`` says how many visits; the value-only mode has a flag, lc0 has it as another program."""

_SPELT = {"cpuct": "CPuct", "noise": "DirichletNoise", "tempdecay": "TempDecay"}
"""First words of lc0's names that are not the field's in title case."""


def uci_options() -> Iterator[UciOption]:
    """Yield all options, in the order in which they are declared."""
    yield from _OURS
    for setting in options(SearchParams):
        if setting.name not in _NOT_OFFERED:
            yield _of_search(setting)


def _of_search(setting: Option) -> UciOption:
    first, *others = setting.name.split("_")
    name = "".join((_SPELT.get(first, first.title()), *map(str.title, others)))
    if setting.value_type is bool:
        return UciOption(name, "check", setting.name, of_search=True)
    if setting.value_type is int:
        return UciOption(name, "spin", setting.name, of_search=True, high=1000)
    if get_origin(setting.value_type) is Literal:
        choices = get_args(setting.value_type)
        return UciOption(name, "combo", setting.name, of_search=True, choices=choices)
    return UciOption(name, "string", setting.name, of_search=True)


_BY_NAME = {option.name.lower(): option for option in uci_options()}

TOLERATED = {"ponder": ("true", "false"), "threads": ("1",), "uci_analysemode": ("true", "false")}
"""Options that GUIs set whatever an engine has, with the values that change nothing."""


def with_option(settings: Settings, name: str, value: str) -> Settings:
    """The settings with an option set; names are the same in any case.

    Raises OptionError for an option that there is not, or a value that it cannot have.
    """
    known = _BY_NAME.get(name.lower())
    if known is None:
        if value.lower() in TOLERATED.get(name.lower(), ()):
            return settings
        raise OptionError(f"no option {name!r} that could be {value!r}")
    try:
        read: Any = {known.sets: known.read(value)}
        if known.of_search:
            asked = {**settings.asked, **read}
            return replace(settings, search=_with_asked(settings.search, asked), asked=asked)
        return replace(settings, **read)
    except ConfigError as error:
        reason = str(error).splitlines()[0].partition(": ")[2]
        raise OptionError(f"{known.name} {value}: {reason}") from None
    except OptionError as error:
        raise OptionError(f"{known.name}: {error}, not {value!r}") from None


def _with_asked(search: SearchParams, asked: Mapping[str, Any]) -> SearchParams:
    values = {**asdict(search), **asked}
    void = [name for name, needed in _NEEDS.items() if values[needed] in (False, "same")]
    return SearchParams(**{name: value for name, value in values.items() if name not in void})


def read_setoption(words: str) -> tuple[str, str]:
    """Return name and value of ``name NAME [value VALUE]``; both may have spaces.

    Raises OptionError without a name.
    """
    first, _, rest = " ".join(words.split()).partition(" ")
    name, _, value = f" {rest} ".partition(" value ")
    if first != "name" or not name.strip():
        raise OptionError("setoption: write setoption name NAME value VALUE")
    return name.strip(), value.strip()
