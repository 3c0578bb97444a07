"""A line of games.jsonl: one finished pair, spelled as JSON and read back with suspicion."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Set
from dataclasses import asdict
from typing import Any, TypeGuard, cast, get_args

from arena.game import (
    NO_REMARK,
    GameRecord,
    Opening,
    PairRecord,
    PlayedOn,
    Remark,
    Result,
    Termination,
)

UCI_MOVES = re.compile(r"([a-h][1-8][a-h][1-8][qrbn]?( (?!$)|$))*")

GAME_KEYS = {"candidate", "result", "termination", "moves", "q", "d", "visits"}

LATER_GAME_KEYS = {"remarks", "played_on", "forfeit"}
"""Only there where a game has such: a match of two nets without clocks or rules has none."""

SCORE = re.compile(r"[-+.M#\d]*|\?", re.ASCII)

REMARKS: dict[str, Callable[[object], bool]] = {
    "score": lambda value: isinstance(value, str) and SCORE.fullmatch(value) is not None,
    "depth": lambda value: type(value) is int and value >= 0,
    "seconds": lambda value: _is_finite(value) and value >= 0,
    "clock": lambda value: value is None or _is_finite(value),
}
"""Columns of a game's remarks, with what may stand in them."""


def encode_pair(pair: PairRecord) -> bytes:
    """Spell a pair as one line of JSON. Raises ValueError for what could not be read back."""
    values = {
        "pair": pair.number,
        "opening": asdict(pair.opening) | {"moves": " ".join(pair.opening.moves)},
        "games": [_encode_game(game) for game in pair.games],
    }
    line = json.dumps(values, separators=(",", ":"), allow_nan=False)
    if decode_pair(json.loads(line)) != pair:
        raise ValueError(f"pair {pair.number} would not be read back as it is")
    return line.encode() + b"\n"


def _encode_game(game: GameRecord) -> dict[str, Any]:
    values: dict[str, Any] = {
        "candidate": "white" if game.candidate_white else "black",
        "result": game.result,
        "termination": game.termination,
        "moves": " ".join(game.moves),
        "q": game.q,
        "d": game.d,
        "visits": game.visits,
    }
    if game.remarks:
        values["remarks"] = {
            name: column
            for name, column in zip(REMARKS, zip(*game.remarks, strict=True), strict=True)
            if any(value != getattr(NO_REMARK, name) for value in column)
        }
    if game.forfeit:
        values["forfeit"] = game.forfeit
    if (after := game.played_on) is not None:
        values["played_on"] = {
            "moves": " ".join(after.moves),
            "result": after.result,
            "termination": after.termination,
            "evaluations": after.evaluations,
        }
    return values


def decode_pair(values: object) -> PairRecord:
    """Read what ``encode_pair`` spells. Raises ValueError for anything else, saying what."""
    pair = _object(values, {"pair", "opening", "games"}, "the pair")
    opening = _object(pair["opening"], {"fen", "moves", "name"}, "the opening")
    games = pair["games"]
    if type(pair["pair"]) is not int:
        raise ValueError("the pair's number is no whole number")
    if type(opening["fen"]) is not str or type(opening["name"]) is not str:
        raise ValueError("the opening's fen or name is no text")
    if type(games) is not list or len(games) != 2:
        raise ValueError("a pair has two games")
    first, second = (_decode_game(game) for game in games)
    if not first.candidate_white or second.candidate_white:
        raise ValueError("the candidate has white in the first game and black in the second")
    return PairRecord(
        pair["pair"],
        Opening(opening["fen"], _moves(opening["moves"]), opening["name"]),
        (first, second),
    )


def _decode_game(values: object) -> GameRecord:
    game = _object(values, GAME_KEYS, "a game", LATER_GAME_KEYS)
    if game["candidate"] not in ("white", "black"):
        raise ValueError("the candidate is neither white nor black")
    moves = _moves(game["moves"])
    return GameRecord(
        candidate_white=game["candidate"] == "white",
        moves=moves,
        result=_result(game["result"]),
        termination=Termination(game["termination"]),
        q=_numbers(game["q"], -1.0, len(moves), "q"),
        d=_numbers(game["d"], 0.0, len(moves), "d"),
        visits=_visits(game["visits"], len(moves)),
        remarks=_remarks(game["remarks"], len(moves)) if "remarks" in game else (),
        played_on=_played_on(game["played_on"]) if "played_on" in game else None,
        forfeit=_text(game.get("forfeit", ""), "forfeit"),
    )


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{what} is no text")
    return value


def _remarks(values: object, moves: int) -> tuple[Remark, ...]:
    """Read one remark a move; a column that is not there is empty."""
    columns = _object(values, set(), "remarks", set(REMARKS))
    for name, column in columns.items():
        if (
            not isinstance(column, list)
            or len(column) != moves
            or not all(map(REMARKS[name], column))
        ):
            raise ValueError(f"{name} must be one a move, each such as a player can say")
    empty = {name: [getattr(NO_REMARK, name)] * moves for name in REMARKS}
    return tuple(map(Remark, *(empty | columns).values()))


def _played_on(values: object) -> PlayedOn:
    keys = {"moves", "result", "termination", "evaluations"}
    after = _object(values, keys, "what was played on")
    if type(after["evaluations"]) is not int or after["evaluations"] < 0:
        raise ValueError("evaluations must be a whole number")
    return PlayedOn(
        _moves(after["moves"]),
        _result(after["result"]),
        Termination(after["termination"]),
        after["evaluations"],
    )


def _result(value: object) -> Result:
    if value not in get_args(Result):
        raise ValueError(f"{value!r} is no result")
    return cast(Result, value)


def _object(
    values: object, keys: set[str], what: str, optional: Set[str] = frozenset()
) -> dict[str, Any]:
    if not isinstance(values, dict) or not keys <= values.keys() <= keys | optional:
        may = f", may have {', '.join(sorted(optional))}," if optional else ""
        raise ValueError(f"{what} must have {', '.join(sorted(keys))}{may} and nothing else")
    return values


def _is_finite(value: object) -> TypeGuard[float]:
    return type(value) in (float, int) and math.isfinite(cast(float, value))


def _moves(text: object) -> tuple[str, ...]:
    if not isinstance(text, str) or not UCI_MOVES.fullmatch(text):
        raise ValueError("the moves are not UCI moves")
    return tuple(text.split())


def _numbers(values: object, least: float, moves: int, what: str) -> tuple[float, ...]:
    if (
        not isinstance(values, list)
        or len(values) != moves
        or not all(type(value) in (float, int) and least <= value <= 1.0 for value in values)
    ):
        raise ValueError(f"{what} must be one number a move, from {least:g} to 1")
    return tuple(map(float, values))


def _visits(values: object, moves: int) -> tuple[int, ...]:
    if (
        not isinstance(values, list)
        or len(values) != moves
        or not all(type(value) is int and value >= 0 for value in values)
    ):
        raise ValueError("visits must be one whole number a move")
    return tuple(values)
