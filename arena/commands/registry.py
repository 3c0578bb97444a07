"""``arena registry``: what a nightly job remembers, and the champion that it keeps."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arena.commands.output import add_output_flags, write_json, write_text
from arena.commands.waiting import add_wait_flag

if TYPE_CHECKING:
    from arena.registry.home import Home
    from arena.registry.store import Registry

DISAGREES = 1
"""Exit code of ``verify`` where something does not agree."""

LISTED = ("nights", "nets", "matches", "decisions")

EXAMPLES = """\
Every action takes the home of a nightly job: --home DIR, or --config FILE.toml
of arena nightly, whose "home" it is.

exit codes:
  0    done; verify: everything agrees
  1    verify: something does not agree
  2    could not: no registry, a damaged one, bad usage; nothing was changed

examples:
  arena registry list --home nightly
  arena registry list matches --home nightly --json
  arena registry show 12 --config nightly.toml
  arena registry champion --home nightly --set nets/gen-7.pb.gz
  arena registry rollback --home nightly
  arena registry verify --home nightly
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "registry",
        help="what was judged, and who is champion",
        description="Show, check and export what arena nightly remembers: nets, nights, matches, "
        "decisions, and who was champion when; change the champion by hand, or undo a promotion.",
        epilog=EXAMPLES,
    )
    parser.set_defaults(verbose=False)
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)

    listing = _action(actions, "list", _list, "nights, nets, matches or decisions, a line each")
    listing.add_argument(
        "what",
        nargs="?",
        choices=LISTED,
        default=LISTED[0],
        help=f"what to list: {', '.join(LISTED)} (default: {LISTED[0]})",
    )
    showing = _action(actions, "show", _show, "all that is known of a night or a net")
    showing.add_argument(
        "which",
        metavar="NIGHT|NET",
        help="a night's number, a net's name, or its sha256's first digits, at least four",
    )
    champion = _action(actions, "champion", _champion, "who is champion; or change that by hand")
    change = champion.add_mutually_exclusive_group()
    change.add_argument(
        "--set",
        type=Path,
        metavar="NET",
        dest="net",
        help="make this file's net champion; a home without a registry gets one",
    )
    change.add_argument(
        "--restore",
        action="store_true",
        help="put the champion's file back; one that was changed by hand is put aside",
    )
    add_wait_flag(champion)
    _action(actions, "history", _history, "who was champion from when to when, and why")
    verifying = _action(
        actions, "verify", _verify, "whether registry, champion, nets and run folders agree"
    )
    verifying.add_argument(
        "--quick",
        action="store_true",
        help="believe kept nets by their size, and leave the matches' games unread",
    )
    exporting = _action(actions, "export", _export, "everything, as one JSON document")
    exporting.add_argument(
        "--out", type=Path, metavar="FILE", help="write it there (default: stdout)"
    )
    back = _action(actions, "rollback", _rollback, "make the champion before this one champion")
    add_wait_flag(back)


def _action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    execute: Callable[[argparse.Namespace], int],
    text: str,
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--home", type=Path, metavar="DIR", help="the home of the nightly job")
    where.add_argument(
        "--config", type=Path, metavar="FILE.toml", help="of arena nightly; its home is meant"
    )
    add_output_flags(parser, json_help="one JSON document on stdout")
    parser.set_defaults(execute=execute, parser=parser)
    return parser


def _home(arguments: argparse.Namespace) -> Home:
    from arena.registry.home import Home, HomeError

    if arguments.home is not None:
        return Home(arguments.home)
    import tomllib

    path: Path = arguments.config
    try:
        named = tomllib.loads(path.read_text(encoding="utf-8")).get("home")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise HomeError(f"{path}: cannot be read: {reason}") from error
    except ValueError as error:
        raise HomeError(f"{path}: is no TOML: {error}") from error
    if not isinstance(named, str):
        raise HomeError(f'{path}: names no home\nGive --home DIR, or add home = "DIR" there.')
    try:
        return Home(path.parent / Path(named).expanduser())
    except RuntimeError as error:  # ~somebody, and there is nobody of that name
        raise HomeError(f"{path}: home: {str(error).lower()}") from None


def _answer(
    arguments: argparse.Namespace, document: Callable[[], Any], lines: Callable[[], Iterable[str]]
) -> int:
    if arguments.json:
        write_json(document())
    elif not arguments.quiet:
        write_text(list(lines()))
    return 0


# --- what is there ---


def _list(arguments: argparse.Namespace) -> int:
    from arena.registry import tables
    from arena.registry.export import document_of
    from arena.registry.store import Registry

    records: Callable[[Registry], Iterable[Any]] = getattr(Registry, arguments.what)
    lines: Callable[[Registry], list[str]] = getattr(tables, f"{arguments.what}_table")
    with Registry.open(_home(arguments).registry) as registry:
        return _answer(
            arguments,
            lambda: {arguments.what: list(map(document_of, records(registry)))},
            lambda: lines(registry),
        )


def _show(arguments: argparse.Namespace) -> int:
    from arena.registry import tables
    from arena.registry.export import net_document, night_document
    from arena.registry.store import Registry

    with Registry.open(_home(arguments).registry) as registry:
        number = arguments.which
        nights = {str(night.number): night for night in registry.nights()}
        if number in nights:
            night = nights[number]
            return _answer(
                arguments,
                lambda: night_document(registry, night),
                lambda: tables.night_lines(registry, night),
            )
        net = registry.find_net(arguments.which)
        return _answer(
            arguments,
            lambda: net_document(registry, net),
            lambda: tables.net_lines(registry, net),
        )


def _history(arguments: argparse.Namespace) -> int:
    from arena.registry import tables
    from arena.registry.export import document_of
    from arena.registry.store import Registry

    with Registry.open(_home(arguments).registry) as registry:
        return _answer(
            arguments,
            lambda: {"reigns": list(map(document_of, registry.reigns()))},
            lambda: tables.reigns_table(registry),
        )


def _export(arguments: argparse.Namespace) -> int:
    import json

    from arena.registry.export import export
    from arena.registry.store import Registry
    from swa.files import write_whole

    with Registry.open(_home(arguments).registry) as registry:
        document = export(registry)
    if arguments.out is None:
        write_json(document)
        return 0
    text = json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    write_whole(arguments.out, text.encode())
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    from dataclasses import asdict

    from arena.registry.store import Registry
    from arena.registry.verify import verify

    home = _home(arguments)
    with Registry.open(home.registry) as registry:
        findings = verify(home, registry, quick=arguments.quick)
        problems = sum(finding.kind == "problem" for finding in findings)
        told = (
            f"{len(registry.nets())} nets, {len(registry.nights())} nights, "
            f"{len(registry.matches())} matches, {len(registry.reigns())} reigns"
        )
    result = "everything agrees" if not problems else f"{problems} problems"
    _answer(
        arguments,
        lambda: {"agrees": not problems, "findings": list(map(asdict, findings))},
        lambda: [
            *(f"{finding.kind}: {finding.where}: {finding.what}" for finding in findings),
            f"{told}: {result}",
        ],
    )
    return DISAGREES if problems else 0


# --- the champion ---


def _champion(arguments: argparse.Namespace) -> int:
    from arena.registry.champion import change_champion, restore_champion
    from arena.registry.home import lock
    from arena.registry.keeping import keep
    from arena.registry.store import Registry

    home = _home(arguments)
    if arguments.net is None:
        with Registry.open(home.registry) as registry:
            if not arguments.restore:
                return _tell_champion(arguments, home, registry)
    with lock(home, arguments.wait), Registry.open(home.registry, create=True) as registry:
        note = None
        if arguments.restore:
            aside = restore_champion(home, registry)
            note = f"The file that was there is {aside.name} now." if aside else None
        else:
            net = keep(home, arguments.net, "given")
            registry.add_net(net)
            change_champion(home, registry, net.sha256, "by hand")
        registry.backup(home.backup)
        return _tell_champion(arguments, home, registry, note)


def _rollback(arguments: argparse.Namespace) -> int:
    from arena.registry.champion import roll_back
    from arena.registry.home import lock
    from arena.registry.store import Registry

    home = _home(arguments)
    Registry.open(home.registry).close()  # or there is nothing to be locked
    with lock(home, arguments.wait), Registry.open(home.registry) as registry:
        roll_back(home, registry)
        registry.backup(home.backup)
        return _tell_champion(arguments, home, registry)


def _tell_champion(
    arguments: argparse.Namespace, home: Home, registry: Registry, note: str | None = None
) -> int:
    """Say who is champion; the file is looked at, and ChampionError raised if it is another."""
    from arena.registry import tables
    from arena.registry.champion import check_champion
    from arena.registry.export import document_of

    check_champion(home, registry)
    reign, pending = registry.champion(), registry.pending()
    net = None if reign is None else registry.net(reign.sha256)
    document = {
        "file": str(home.champion),
        "net": net and document_of(net),
        "reign": reign and document_of(reign),
        "pending": pending and document_of(pending),
    }
    return _answer(
        arguments,
        lambda: document,
        lambda: [*tables.champion_lines(home, registry), *([note] if note else [])],
    )
