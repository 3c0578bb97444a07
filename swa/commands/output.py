"""What the commands have in common: their flags, the JSON document, what is said of a new file."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from swa.net import SavedNet

ENCODINGS = ("linear16", "float16", "bfloat16", "float32")
"""As in swa.layer_codec, which is not imported for ``--help``."""


def add_output_flags(parser: argparse.ArgumentParser) -> None:
    """Add ``--json`` and ``-v``."""
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="show the traceback of an error"
    )


def add_file_flags(parser: argparse._ActionsContainer) -> None:
    """Add ``--encoding``, ``--licence`` and ``--overwrite``."""
    parser.add_argument(
        "--encoding",
        choices=ENCODINGS,
        help="how numbers are stored; all but linear16 need lc0 0.33 or newer "
        "(default: each layer as it was)",
    )
    parser.add_argument(
        "--licence",
        metavar="TEXT",
        help="what the file says of its licence (default: what is said in the nets that are read, "
        "where they agree)",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace a file that is there already, but never one that is read",
    )


def add_rules(
    parser: argparse.ArgumentParser,
    more: Mapping[str, str] = MappingProxyType({}),
    default: str | None = "mean",
) -> None:
    """Add ``--rule`` and the settings of rules; ``more`` rules have a word of help each."""
    words = "".join(f"; {name}: {text}" for name, text in more.items())
    group = parser.add_argument_group("rule")
    group.add_argument(
        "--rule",
        choices=("mean", "ema", "lczero", "lawa", *more),
        default=default,
        help="mean: all alike (the default); ema: exponential moving average; lczero: running "
        f"mean with a cap; lawa: mean of the last few{words}",
    )
    group.add_argument(
        "--weights",
        metavar="W",
        nargs="+",
        type=float,
        help="for mean: one for each net, in proportion",
    )
    group.add_argument(
        "--max-n", metavar="N", type=int, help="for lczero: the cap, swa_max_n (default: 10)"
    )
    ema = group.add_mutually_exclusive_group()
    ema.add_argument(
        "--decay", metavar="D", type=float, help="for ema: what each step keeps of the average"
    )
    ema.add_argument(
        "--scale",
        metavar="S",
        type=float,
        help="for ema: KataGo's swa_scale, decay = 1 - 1 / scale (default: 8)",
    )
    group.add_argument(
        "--ema-start",
        choices=("first", "unbiased", "warm-up"),
        help="for ema: the oldest net stands for all before it (first, the default), counts as "
        "old as it is (unbiased), or the decay grows (warm-up)",
    )
    group.add_argument(
        "--last", metavar="K", type=int, help="for lawa: how many of the newest (default: 5)"
    )


def take_nets(words: Iterable[str | Path]) -> tuple[Path, ...]:
    """The paths of NETs; which ones ``latest:`` stands for is said on stderr.

    Raises NetError where there is none (``swa.latest``).
    """
    from swa.latest import resolve_nets

    return resolve_nets(words, note)


def take_net(word: str | Path) -> Path:
    """The path of a NET where one is wanted."""
    from swa.latest import resolve_net

    return resolve_net(word, note)


def note(line: str) -> None:
    """Say on stderr what is no error."""
    sys.stderr.write(f"{line}\n")


def write_json(document: Any) -> None:
    """Write one document to stdout, in ASCII, which no terminal and no odd path can spoil.

    A NaN in it is a fault of the program, not a JSON number.
    """
    sys.stdout.write(json.dumps(document, indent=2, allow_nan=False) + "\n")


def write_text(lines: Sequence[str]) -> None:
    """Write lines to stdout; what its encoding lacks, as in paths that are not UTF-8, escaped."""
    text = "".join(f"{line}\n" for line in lines)
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))


def saved_as_json(saved: SavedNet) -> dict[str, Any]:
    """What ``--json`` says of a file that was written.

    ``net`` its path, ``sha256`` and ``bytes`` of the file, ``encoding``, ``min_version`` of lc0,
    ``licence`` as the file tells it, null where it tells none;
    ``layers``: for each ``name``, ``encoding``, ``values``, ``max_error`` (largest distance of a
    stored value to what it should be), ``relative`` (the same over the layer's range), and for
    variances ``scale_error`` (largest relative error of 1 / sqrt(variance + 1e-5)), else null.
    """
    from dataclasses import asdict

    return {
        "net": str(saved.path),
        "sha256": saved.sha256,
        "bytes": saved.size,
        "encoding": saved.encoding,
        "min_version": ".".join(map(str, saved.min_version)),
        "licence": saved.licence,
        "layers": [asdict(loss) for loss in saved.losses],
    }


def licence_line(text: str | None) -> str:
    """What is said of a licence, None being none."""
    from swa.licence import shorten_licence

    told = shorten_licence(text) if text else "none told; --licence TEXT (swa convert) sets one"
    return f"licence: {told}"


def saved_lines(saved: SavedNet) -> list[str]:
    """The same in words: the file, and the layers that lost most."""
    version = ".".join(map(str, saved.min_version))
    lines = [
        f"wrote {saved.path}: {saved.size:,} bytes, {saved.encoding}, lc0 {version} or newer",
        f"sha256 {saved.sha256}",
        licence_line(saved.licence),
    ]
    worst, scale = saved.worst, saved.worst_scale
    if not worst.max_error:
        return [*lines, "rounding: none, every number is stored as it is"]
    lines.append(
        f"rounding: at most {worst.relative:.1e} of a layer's range ({worst.max_error:.1e} in "
        f"{worst.name})"
    )
    if scale and scale.scale_error:
        lines.append(
            f"batch norm scales: off by at most {100 * scale.scale_error:.2g} % ({scale.name})"
        )
    return lines
