"""The rules by which a match may end its games early, as values and as the words that spell them.

Keys and their meaning are those of fastchess and cutechess: ``movenumber=34 movecount=8 score=20``.
The rules themselves are applied by ``arena.adjudication``.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar, get_type_hints

MOST_MOVES = 10_000
"""Of a limit: no game is longer than 5,900 moves."""

MOST_SCORE = 12_780
"""lc0's centipawns of a win for certain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawRule:
    """A draw by adjudication, where both players have found the game level for long enough.

    From full move ``movenumber`` on, as soon as each player's last ``movecount`` scores are all
    level. The defaults are fishtest's.
    """

    movenumber: int = 34
    movecount: int = 8
    score: int | None = 20  # level is at most so many centipawns for either side
    drawn: float | None = None  # level is a draw's probability of at least this

    def __post_init__(self) -> None:
        """Refuse a rule that nobody means. Raises ValueError."""
        _within("movenumber", self.movenumber, 0, MOST_MOVES)
        _within("movecount", self.movecount, 1, MOST_MOVES)
        _within("score", self.score, 0, MOST_SCORE)
        _within("drawn", self.drawn, 0.0, 1.0)
        if self.score is None and self.drawn is None:
            raise ValueError("score= or drawn= must say what is level")

    def __str__(self) -> str:
        """Spell the rule as ``rule_of`` reads it."""
        return _spelled(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResignRule:
    """A loss by adjudication, for a player that has found its game lost for long enough.

    Its last ``movecount`` scores must all be lost ones; if ``twosided``, the other player's last
    ``movecount`` must be just as good for that one. The defaults are fishtest's.
    """

    movecount: int = 3
    score: int | None = 600  # lost is at least so many centipawns behind
    lost: float | None = None  # lost is a loss's probability of at least this
    twosided: bool = False

    def __post_init__(self) -> None:
        """Refuse a rule that nobody means. Raises ValueError."""
        _within("movecount", self.movecount, 1, MOST_MOVES)
        _within("score", self.score, 1, MOST_SCORE)
        _within("lost", self.lost, 0.5, 1.0)
        if self.score is None and self.lost is None:
            raise ValueError("score= or lost= must say what is lost")

    def __str__(self) -> str:
        """Spell the rule as ``rule_of`` reads it."""
        return _spelled(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdjudicationRules:
    """All rules by which a match ends games that chess has not ended.

    Of the games that one of the first three would end, the share ``audit`` is played on: their
    result counts as if they had not been, but how often the rule was wrong is then known.
    """

    draw: DrawRule | None = None
    resign: ResignRule | None = None
    tablebase: bool = False
    maxmoves: int = 0  # of each side, after which a game is a draw; 0: there is no limit
    audit: float = 0.05  # which costs a twentieth of what the rules save

    @property
    def foretell(self) -> bool:
        """Whether any rule ends a game by what its end would be, so that it can be wrong."""
        return self.draw is not None or self.resign is not None or self.tablebase

    @property
    def any(self) -> bool:
        """Whether there is any rule at all."""
        return self.foretell or self.maxmoves > 0


NO_RULES = AdjudicationRules()
"""Games end by the rules of chess."""

Rule = TypeVar("Rule", DrawRule, ResignRule)


def rule_of(kind: type[Rule], words: Sequence[str]) -> Rule:
    """Read a rule's words, each ``KEY=VALUE``; keys that are left out have their defaults.

    A threshold in terms of probabilities takes the place of ``score``, unless both are given: then
    both have to be met. Raises ValueError, saying what is wrong.
    """
    given: dict[str, Any] = {}
    kinds = get_type_hints(kind)
    for word in words:
        key, equals, text = word.partition("=")
        if not equals:
            raise ValueError(f"{word!r} should be KEY=VALUE, such as movecount=8")
        if key not in kinds:
            close = difflib.get_close_matches(key, kinds, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(kinds)}"
            raise ValueError(f"unknown key {key!r}; {hint}")
        if key in given:
            raise ValueError(f"{key!r} is given twice")
        given[key] = _value(key, kinds[key], text)
    if "score" not in given and given.keys() & {"drawn", "lost"}:
        given["score"] = None
    return kind(**given)


def rule_of_table(kind: type[Rule], table: Mapping[str, object]) -> Rule:
    """Read a rule from a table of TOML. Raises ValueError, saying what is wrong."""
    return rule_of(kind, [f"{key}={_text(value)}" for key, value in table.items()])


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _spelled(rule: DrawRule | ResignRule) -> str:
    values = {item.name: getattr(rule, item.name) for item in fields(rule)}
    said = {key: value for key, value in values.items() if value is not None and value is not False}
    return " ".join(f"{key}={_text(value)}" for key, value in said.items())


def _value(key: str, kind: Any, text: str) -> int | float | bool:
    if kind is bool:
        if text not in ("true", "false"):
            raise ValueError(f"{key}={text}: must be true or false")
        return text == "true"
    whole = kind in (int, int | None)
    try:
        number = int(text) if whole else float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{key}={text}: must be a {'whole number' if whole else 'number'}")
    return number


def _within(key: str, value: float | None, least: float, most: float) -> None:
    if value is not None and not least <= value <= most:
        raise ValueError(f"{key}={value:g}: must be from {least:g} to {most:g}")
