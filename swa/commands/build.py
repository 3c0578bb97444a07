"""``swa build``: snapshots of a run into one net, batch norm refreshed, checked, on record."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swa.command_line import whole_number
from swa.commands.build_output import (
    as_json,
    lines_of,
    page_lines,
    rebuilt_as_json,
    sameness,
)
from swa.commands.output import (
    add_file_flags,
    add_output_flags,
    add_rules,
    note,
    saved_lines,
    take_nets,
    write_json,
    write_text,
)

if TYPE_CHECKING:
    from swa.build import Built, Step

EXAMPLES = """\
examples:
  swa build --nets run-*.pb.gz --data games/ -o mean.pb.gz
  swa build --nets latest:runs/tiny:10 --data games/ -o swa.pb.gz
  swa build run.toml -o ema.pb.gz --rule ema --scale 4
  swa build --nets a.pb.gz b.pb.gz --data games/ --eval-data later/ -o ab.pb.gz
  swa build --from-manifest mean.pb.gz.json -o again.pb.gz --search games/

The file's keys are the flags: nets = ["a.pb.gz", "b.pb.gz"], held-out = 0.05
Ctrl-C is safe: the same command goes on with an exact refresh where it stopped.
"""

METHODS = ("exact", "pooled", "mean-of-batches", "running-average", "averaged", "none")

WITH_MANIFEST = ("output", "force", "overwrite", "work_dir", "device")
"""Settings that go with ``--from-manifest``; it brings all others itself."""

SECONDS_BETWEEN = 0.5  # updates of the line of progress on a terminal


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "build",
        help="several nets into one that plays: average, refresh batch norm, check",
        description="Average snapshots of one run, compute the means and variances of batch norms "
        "anew from training records, exactly, check that the net is none the worse for it, and "
        "write it with a manifest (OUT.json) of all that went in and a page of pictures "
        "(OUT.html). Snapshots of different runs, and a net that is worse than the worst of them, "
        "are refused.",
        epilog=EXAMPLES,
    )
    parser.add_argument(
        "config", metavar="CONFIG.toml", nargs="?", type=Path, help="settings; flags given here win"
    )
    parser.add_argument(
        "--nets",
        metavar="NET",
        nargs="+",
        type=Path,
        help=".pb.gz or .pb files; for ema, lczero and lawa from the oldest to the newest; "
        "latest:DIR:K are the last K of a run (swa latest --help)",
    )
    parser.add_argument("-o", "--output", metavar="OUT", type=Path, help="a new .pb.gz or .pb file")
    add_rules(parser, {"soup": "greedy soup, each net that does not raise the loss"}, default=None)
    _add_data(parser)
    _add_refresh(parser)
    _add_writing(parser)
    add_output_flags(parser)
    parser.set_defaults(execute=execute)


def _add_data(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("data")
    group.add_argument(
        "--data",
        metavar="DIR",
        nargs="+",
        type=Path,
        help="training records, V1 to V7: folders, .gz files of a game each, tars of these",
    )
    group.add_argument(
        "--positions",
        metavar="N",
        type=whole_number,
        help="refresh on the first N only, reading on until 30 games, or --eval-positions, are "
        "held out (default: all)",
    )
    group.add_argument(
        "--eval-data",
        metavar="DIR",
        nargs="+",
        type=Path,
        help="held-out records, for losses (default: a share of the games of --data)",
    )
    group.add_argument(
        "--held-out",
        metavar="SHARE",
        type=float,
        help="that share, chosen by a hash of a game's positions and never refreshed on; 0: "
        "losses are told by the refresh's own positions (default: 0.1)",
    )
    group.add_argument(
        "--eval-positions",
        metavar="N",
        type=whole_number,
        help="losses on the first N held-out ones only (default: all that are read)",
    )


def _add_refresh(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("batch norm")
    group.add_argument(
        "--refresh",
        choices=METHODS,
        metavar="METHOD",
        help="exact: layer by layer over all positions (the default); the others are for "
        "comparison: pooled (KataGo), mean-of-batches (PyTorch), running-average (leela-zero), "
        "averaged, the same as none (lczero)",
    )
    group.add_argument("--device", help="auto, cpu, cuda, mps or torch's name (default: auto)")
    group.add_argument(
        "--threads", metavar="N", type=whole_number, help="of the CPU (default: all cores)"
    )
    group.add_argument(
        "--work-dir",
        metavar="DIR",
        type=Path,
        help="for the refresh's progress and what does not fit into memory (default: beside OUT, "
        "and where temporary files go)",
    )


def _add_writing(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("writing")
    add_file_flags(group)
    group.add_argument(
        "--force", action="store_true", help="write the net whatever the checks say of it"
    )
    group.add_argument(
        "--from-manifest",
        metavar="FILE",
        type=Path,
        help="make the net of a manifest again, to the same bytes; with -o",
    )
    group.add_argument(
        "--search",
        metavar="DIR",
        nargs="+",
        type=Path,
        help="with --from-manifest: where to look for nets and data that were moved",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Build or build again; show."""
    given = _given(arguments)
    command = ["swa", *arguments.words]
    if arguments.from_manifest is not None:
        return _rebuild(arguments, given, command)
    if arguments.search is not None:
        arguments.parser.error("--search goes with --from-manifest")
    from swa.build import build
    from swa.build_config import make_config

    config = make_config(given, arguments.config)
    config = replace(config, nets=take_nets(config.nets))
    with _progress(config.progress) as notify:
        built = build(config, command=command, config_file=arguments.config, notify=notify)
    page = _save_page(built)
    if arguments.json:
        write_json(as_json(built, page))
    else:
        write_text([*lines_of(built), *page_lines(page)])
    return 0


def _given(arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings that were given as flags, by name."""
    from dataclasses import fields

    from swa.build_config import BuildConfig

    found = {}
    for setting in fields(BuildConfig):
        value = getattr(arguments, setting.name)
        if value is not None and value is not False:
            found[setting.name] = tuple(value) if isinstance(value, list) else value
    return found


def _rebuild(arguments: argparse.Namespace, given: dict[str, Any], command: list[str]) -> int:
    error = arguments.parser.error
    if arguments.config is not None:
        error("--from-manifest brings its own settings: leave CONFIG.toml out")
    for name in given.keys() - {*WITH_MANIFEST}:
        error(f"--from-manifest brings its own --{name.replace('_', '-')}: leave that out")
    if "output" not in given:
        error("-o is missing")
    from swa.build_config import progress_of
    from swa.rebuild import rebuild

    with _progress(progress_of(given["output"], given.get("work_dir"))) as notify:
        rebuilt = rebuild(
            arguments.from_manifest,
            search=arguments.search or (),
            command=command,
            notify=notify,
            **given,
        )
    page = _save_page(rebuilt.built)
    if arguments.json:
        write_json(rebuilt_as_json(rebuilt, page))
    else:
        write_text([*saved_lines(rebuilt.built.saved), *page_lines(page), *sameness(rebuilt)])
    return 0


def _save_page(built: Built) -> Path | None:
    """Write the page beside the net, which is safe by now; where that fails, say so."""
    from swa.build_page import page_of, save_page

    path = page_of(built.manifest_path)
    try:
        save_page(built.manifest, path)
    except (OSError, ValueError, ArithmeticError) as error:  # figures that cannot be drawn, too
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        note(f"note: the net is written, its page is not: {path}: {reason}")
        return None
    return path


@contextmanager
def _progress(kept: Path) -> Iterator[Callable[[Step], None]]:
    """Say on stderr what is done: each step a line, on a terminal with how far it is.

    ``kept`` is where the refresh's progress is, once there is any: a build that is interrupted
    goes on from it.
    """
    terminal = sys.stderr.isatty()
    stage, shown = "", 0.0

    def show(step: Step) -> None:
        nonlocal stage, shown
        name = step.what.partition(",")[0]
        if name != stage:
            stage, shown = name, 0.0
            if not terminal:
                sys.stderr.write(f"{name}\n")
                sys.stderr.flush()
        if terminal and time.monotonic() - shown > SECONDS_BETWEEN:
            shown = time.monotonic()
            far = f": {step.done / step.of:.0%}" if step.of else ""
            sys.stderr.write(f"\r\033[K{step.what}{far}")
            sys.stderr.flush()

    try:
        yield show
    except KeyboardInterrupt:
        more = "goes on with the refresh where it stopped" if kept.exists() else "starts anew"
        sys.stderr.write(f"\nno net was written; the same command {more}\n")
        raise
    finally:
        if terminal:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()
