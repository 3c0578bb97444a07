"""Players as the search knows them: what evaluates their leaves, settings in the kernel's form.

Leaves and answers travel between the kernel's arrays and an evaluator here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from arena.clocks import Clock
from arena.config import SearchParams
from arena.encoding import CLASSICAL
from arena.evaluator import Evaluation, Evaluator, Leaves, encoding_of
from arena.external import ExternalPlayer
from arena.kernel import flight as in_flight
from arena.kernel.puct import PARAMS, SEARCH, VALUE_ONLY, exploration_table
from arena.players import Limits
from arena.probing import Prober
from arena.tablebase import Tablebase

_SETTINGS = (
    "visits",
    "fpu_value",
    "draw_score",
    "two_fold_draws",
    "sticky_endgames",
    "reuse_tree",
    "noise_epsilon",
    "noise_alpha",
    "temperature",
    "temp_endgame",
    "temp_value_cutoff",
    "temp_visit_offset",
    "temp_cutoff_move",
    "tempdecay_moves",
    "tempdecay_delay_moves",
)
"""Settings that the kernel calls as we do."""


class Player(NamedTuple):
    """A net as it plays: its name, what evaluates its leaves, how its tree is searched.

    Where ``limits`` are of time, it moves when its time is up, or has its visits.
    Where it has ``tables`` it plays by them as lc0 does, see ``probing``; with ``tb_fast_play`` it
    wins by the least DTZ.
    """

    name: str
    evaluator: Evaluator
    params: SearchParams
    limits: Limits | None = None
    tables: Tablebase | None = None
    tb_fast_play: bool = False


class Visitor(NamedTuple):
    """A player whose moves come from elsewhere."""

    name: str
    moves: ExternalPlayer
    limits: Limits | None = None  # by which its clock runs


class SearchSettings(NamedTuple):
    """The search parameters of all players, as the kernel reads them."""

    params: npt.NDArray[np.void]  # PARAMS [players]
    exploration: npt.NDArray[np.float32]  # [players, 2, most visits + 2]: below roots, at roots
    most_visits: int
    evaluators: list[Evaluator]  # each once: players that share one share its batches

    @classmethod
    def of(cls, players: Sequence[Player | Visitor]) -> SearchSettings:
        """Pack the players' settings; whether there are moves left is for the evaluator to say."""
        nets = [player for player in players if isinstance(player, Player)]
        visits = [player.params.visits for player in nets if player.params.mode == "search"]
        most_visits = max(visits, default=1)
        params = np.zeros(len(players), PARAMS)
        exploration = np.zeros((len(players), 2, most_visits + 2), np.float32)
        evaluators: list[Evaluator] = []
        for index, player in enumerate(players):
            record = params[index]
            if isinstance(player, Visitor):
                record.external = 1
                continue
            evaluator, chosen = player.evaluator, player.params
            if evaluator not in evaluators:
                evaluators.append(evaluator)
            record.evaluator = evaluators.index(evaluator)
            record.mode = VALUE_ONLY if chosen.mode == "value" else SEARCH
            record.policy_sharpness = np.float32(1.0) / np.float32(chosen.policy_temperature)
            record.moves_left = evaluator.has_moves_left
            record.m_slope = chosen.moves_left_slope
            record.m_cap = chosen.moves_left_max_effect
            record.m_threshold = chosen.moves_left_threshold
            record.m_constant = chosen.moves_left_constant_factor
            record.m_scaled = chosen.moves_left_scaled_factor
            record.m_quadratic = chosen.moves_left_quadratic_factor
            for name in _SETTINGS:
                record[name] = getattr(chosen, name)
            record.tb_pieces = player.tables.pieces if player.tables else 0
            record.tb_fast_play = player.tb_fast_play
            exploration[index] = exploration_table(
                chosen.cpuct, chosen.cpuct_base, chosen.cpuct_factor, most_visits + 1
            )
            _set_root(record, exploration[index, 1], chosen)
        return cls(params, exploration, most_visits, evaluators)


def prober_of(players: Sequence[Player | Visitor]) -> Prober:
    """What answers for the players' tablebases."""
    return Prober([player.tables if isinstance(player, Player) else None for player in players])


def _set_root(record: np.void, exploration: npt.NDArray[np.float32], chosen: SearchParams) -> None:
    """Set by which rules a child of the root is selected."""
    fpu, same = chosen.fpu_strategy_at_root, chosen.fpu_strategy_at_root == "same"
    record["smart_pruning"] = chosen.smart_pruning_factor
    record["fpu_absolute"] = chosen.fpu_strategy == "absolute"
    record["root_fpu_absolute"] = record["fpu_absolute"] if same else fpu == "absolute"
    record["root_fpu_value"] = chosen.fpu_value if same else chosen.fpu_value_at_root
    if chosen.root_has_own_cpuct_params:
        exploration[:] = exploration_table(
            chosen.cpuct_at_root,
            chosen.cpuct_base_at_root,
            chosen.cpuct_factor_at_root,
            exploration.size - 1,
        )
    record["own_root"] = (
        chosen.root_has_own_cpuct_params or not same or chosen.smart_pruning_factor > 0.0
    )


def questions_for(
    evaluators: Sequence[Evaluator], games: int, rows: int | None = None
) -> in_flight.Questions:
    """Room for ``rows`` leaves, if not said one a game, packed as each evaluator wants it.

    For one evaluator at least.
    """
    formats = [int(encoding_of(evaluator).input_format) for evaluator in evaluators]
    return in_flight.Questions.allocate(
        formats or [int(CLASSICAL.input_format)], games, games if rows is None else rows
    )


def open_questions(questions: in_flight.Questions, evaluator: int) -> Leaves | None:
    """The leaves that wait for an evaluator, or None if there are none."""
    count = int(questions.rows[evaluator])
    if count == 0:
        return None
    offsets = questions.offsets[evaluator, : count + 1]
    return Leaves(
        questions.masks[evaluator, :count],
        questions.values[evaluator, :count],
        questions.moves[evaluator, : offsets[-1]],
        offsets,
        questions.keys[evaluator, :count],
        questions.transforms[evaluator, :count],
    )


def put_answers(questions: in_flight.Questions, evaluator: int, answers: Evaluation) -> None:
    """Lay an evaluator's answers beside its questions, where ``games.receive`` looks for them."""
    logits, wdl, moves_left = answers
    questions.logits[evaluator, : logits.size] = logits
    questions.wdl[evaluator, : moves_left.size] = wdl
    questions.moves_left[evaluator, : moves_left.size] = moves_left


def has_clock(player: Player | Visitor) -> bool:
    """Whether its time is measured."""
    return Clock.start(player.limits) is not None
