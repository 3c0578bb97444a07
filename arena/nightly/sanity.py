"""What a net must pass before it plays: it can be read, its numbers are sound, it knows something.

A broken net would lose its match, but takes hours to do so; here it takes a minute. A net that is
merely weaker passes: that is for the match to say.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arena.nightly.candidates import Entry
from arena.nightly.settings import NightlySettings
from swa.files import write_whole
from swa.provenance import file_sha256
from swa.spec import NetError, UnfitError

if TYPE_CHECKING:  # they take a second to import
    from swa.build_data import BuildData
    from swa.evaluation import Evaluation
    from swa.net import Net
    from swa.spec import InputFormat

POLICY = "policy_cross_entropy"
VALUES = ("value_cross_entropy", "value_mse")
"""Of which the first that both nets have is added to the policy's."""


@dataclass(frozen=True, slots=True)
class SanityRecord:
    """What was found of an entry. ``numbers`` has the figures; none is infinite or not a number."""

    name: str
    sha256: str
    passed: bool
    reasons: tuple[str, ...]  # why it may not play; none where it may
    numbers: Mapping[str, Any]


def check_sanity(
    entries: Sequence[Entry],
    champion: Path,
    settings: NightlySettings,
    *,
    record: Path | None = None,
    notify: Callable[[str], None] = lambda _: None,
) -> list[SanityRecord]:
    """Look at every entry before it plays the champion.

    Its numbers must be finite, its batch norms not dead beyond the champion's; on held-out
    positions of ``settings.build`` its policy must be better than twice the loss of one that takes
    all moves as equally likely (``swa.build_checks.EXPLOSION``), and its loss, policy's and value's
    in nats, at most ``excess_loss`` above the champion's on the same positions. Without data only
    the numbers are looked at.

    ``record`` is a file to keep the results in: where it has them of the same nets, they are read.

    Raises NetError for a champion that cannot be used, or a net that cannot be read; RecordError
    and BuildError for data that are not there.
    """
    sha256 = _sha256(champion)
    asked = [[entry.name, entry.sha256] for entry in entries]
    if record is not None:
        kept = _read(record, sha256, asked)
        if kept is not None:
            return kept
    from swa.net import load_net

    bench = _Bench(settings, load_net(champion))
    records = []
    for entry in entries:
        notify(f"{entry.name}: checking the net")
        records.append(bench.check(entry))
    if record is not None:
        _write(record, sha256, records)
    return records


class _Bench:
    """The champion, and the positions on which nets are compared with it."""

    def __init__(self, settings: NightlySettings, champion: Net) -> None:
        self._settings, self._champion = settings, champion
        self._data = _held_out(settings, self._champion.spec.input_format)

    def check(self, entry: Entry) -> SanityRecord:
        """Look at one entry."""
        from swa.net import load_net

        net = load_net(entry.path)
        if net.sha256 != entry.sha256:
            reason = "the file is another one than was entered"
            raise NetError(
                reason, "Put the file back, or remove the night's folder.", str(net.path)
            )
        reasons, numbers = self._statistics(entry, net)
        if not reasons and self._data is not None:
            more_reasons, more_numbers = self._losses(net, self._data)
            reasons += more_reasons
            numbers |= more_numbers
        return SanityRecord(entry.name, entry.sha256, not reasons, tuple(reasons), numbers)

    def _statistics(self, entry: Entry, net: Net) -> tuple[list[str], dict[str, Any]]:
        from swa.build_checks import broken_statistics
        from swa.net import batch_norm_health

        # An average's channels were compared with its snapshots' when it was built, and with a net
        # of another shape there is nothing to compare: that leaves what is wrong by itself.
        alike = entry.kind == "raw" and net.spec == self._champion.spec
        failures = broken_statistics(net, [self._champion if alike else net])
        layers = batch_norm_health(net)
        numbers = {
            "channels": sum(layer.channels for layer in layers),
            "dead_channels": sum(layer.dead for layer in layers),
        }
        return [failure.reason for failure in failures], numbers

    def _losses(self, net: Net, data: BuildData) -> tuple[list[str], dict[str, Any]]:
        from swa.build_checks import EXPLOSION
        from swa.evaluation import evaluate

        if net.spec.input_format != self._champion.spec.input_format:
            return [], {"not_measured": "its input format is another one than the champion's"}
        build = self._settings.build
        try:
            evaluation = evaluate(
                [self._champion, net],
                data.batches(),
                device=build.device,
                threads=build.threads,
            )
        except UnfitError as error:
            if error.path != str(net.path) or net.path == self._champion.path:
                raise
            return [error.reason], {}
        numbers = _numbers(evaluation)
        limit = self._settings.sanity.excess_loss
        policy, uniform = numbers["policy_loss"], evaluation.policy_uniform
        reasons = []
        if policy > EXPLOSION * uniform:
            reasons.append(
                f"the policy's loss is {policy:.4g} nats, more than {EXPLOSION:g} times the "
                f"{uniform:.4g} of taking all moves as equally likely"
            )
        if numbers["excess_loss"] > limit:
            reasons.append(
                f"the held-out loss is {numbers['excess_loss']:.3g} nats above the champion's "
                f"{numbers['champion_loss']:.4g}, more than the {limit:g} of sanity.excess-loss"
            )
        return reasons, numbers


def _numbers(evaluation: Evaluation) -> dict[str, Any]:
    """The figures of the second net beside the first one's, in nats."""
    champion, net = evaluation.nets
    assert net.to_first is not None
    value = next(name for name in VALUES if name in net.to_first.metrics)
    parts = [net.to_first.metrics[name] for name in (POLICY, value)]
    ends = [end for part in parts for end in (part.low, part.high)]
    known = all(end is not None for end in ends)
    return {
        "positions": evaluation.positions,
        "games": evaluation.games,
        "value_metric": value,
        "loss": net.metrics[POLICY].value + net.metrics[value].value,
        "policy_loss": net.metrics[POLICY].value,
        "champion_loss": champion.metrics[POLICY].value + champion.metrics[value].value,
        "champion_policy_loss": champion.metrics[POLICY].value,
        "excess_loss": sum(part.value for part in parts),
        # The parts' 95 % intervals added: never too narrow. None of one game.
        "excess_loss_low": sum(part.low or 0.0 for part in parts) if known else None,
        "excess_loss_high": sum(part.high or 0.0 for part in parts) if known else None,
        "policy_uniform": evaluation.policy_uniform,
    }


def _held_out(settings: NightlySettings, input_format: InputFormat) -> BuildData | None:
    """The positions that no refresh sees; where none are held out, those that it sees.

    Where ``eval_positions`` does not say how many, data are read until there are enough games for
    an interval (``swa.bootstrap.FEW_GAMES``): a whole run's would take as long as the match.
    """
    from swa.build_config import HELD_OUT
    from swa.build_data import survey

    build = settings.build
    share = HELD_OUT if build.held_out is None else build.held_out
    if not build.data or not (build.eval_data or share):
        data = build.data or build.eval_data
        limit = build.eval_positions or build.positions
        if not data:
            return None
        return survey(data, share=0.0, positions=limit, input_format=input_format)
    return survey(
        build.data,
        share=0.0 if build.eval_data else share,
        eval_data=build.eval_data,
        positions=1,  # the refresh's are not wanted here
        eval_positions=build.eval_positions,
        input_format=input_format,
    )


def _sha256(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise NetError(f"cannot read the net: {reason}", "", str(path)) from error


def _read(path: Path, champion: str, asked: list[list[str]]) -> list[SanityRecord] | None:
    """The results that are kept of these nets; None where there are none."""
    try:
        document = json.loads(path.read_bytes())
        kept = [
            SanityRecord(**{**record, "reasons": tuple(record["reasons"])})
            for record in document["records"]
        ]
        of = [[record.name, record.sha256] for record in kept]
        return kept if document["champion"] == champion and of == asked else None
    except (OSError, ValueError, KeyError, TypeError):  # not there, or half of it: look again
        return None


def _write(path: Path, champion: str, records: Sequence[SanityRecord]) -> None:
    document = {"champion": champion, "records": [asdict(record) for record in records]}
    try:
        write_whole(path, (json.dumps(document, indent=1, allow_nan=False) + "\n").encode())
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise NetError(f"cannot be written: {reason}", "", str(path)) from error
