"""``swa convert``: a net file in another packing or encoding."""

from __future__ import annotations

import argparse
from pathlib import Path

from swa.commands.output import (
    add_file_flags,
    add_output_flags,
    saved_as_json,
    saved_lines,
    take_net,
    write_json,
    write_text,
)

EXAMPLES = """\
examples:
  swa convert net.pb.gz net.pb
  swa convert net.pb.gz net-float32.pb.gz --encoding float32
  swa convert net.pb.gz net-free.pb.gz --licence CC0-1.0
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "convert",
        help="a net file in another packing or encoding",
        description="Write a net again, gzipped or not as the new name says, and in another "
        "encoding or with another licence if one is given. All else that the file says is kept, "
        "fields of newer versions too; its minimum version of lc0 is raised where the encoding "
        "asks for it and never lowered. Shows what the encoding costs.",
        epilog=EXAMPLES,
    )
    parser.add_argument("net", metavar="IN", type=Path, help="a .pb.gz or .pb file, or latest:DIR")
    parser.add_argument("output", metavar="OUT", type=Path, help="a new .pb.gz or .pb file")
    add_file_flags(parser)
    add_output_flags(parser)
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    """Read, write, show."""
    from swa.net import check_output, load_net, save_net

    arguments.net = take_net(arguments.net)
    check_output(arguments.output, inputs=[arguments.net], overwrite=arguments.overwrite)
    net = load_net(arguments.net)
    saved = save_net(
        net,
        arguments.output,
        encoding=arguments.encoding,
        licence=arguments.licence,
        overwrite=arguments.overwrite,
    )
    if arguments.json:
        write_json(saved_as_json(saved))
    else:
        write_text(saved_lines(saved))
    return 0
