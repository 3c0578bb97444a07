"""UCI engines before a match: which programs, what they call themselves, which options they have.

An engine is started once for this and left again. All that is wrong with its settings is found
here, before a run folder is made.
"""

from __future__ import annotations

import asyncio
import difflib
import hashlib
import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import chess.engine

from arena.engines import EngineError
from arena.match_file import EngineIdentity, Role
from arena.players import EnginePlayer

START_SECONDS = 30.0
"""For starting and telling its options: nets and tables may have to be read."""

GAMES_FOLDERS = ("/usr/games", "/usr/local/games")
"""Where Debian puts engines, and where the PATH of a service or of root does not lead."""


@dataclass(frozen=True, slots=True)
class FoundEngine:
    """An engine that has answered; ``player`` has the path of its program."""

    player: EnginePlayer
    file: str
    sha256: str
    id: str  # what it calls itself
    chess960: bool = False  # whether it has UCI_Chess960
    shows_wdl: bool = False  # whether it has UCI_ShowWDL, and that is not switched off

    @property
    def name(self) -> str:
        """What it is called unless something else was asked for."""
        return self.file

    def identity(self, role: Role, name: str) -> EngineIdentity:
        """Return what match.toml says of it."""
        player = self.player
        return EngineIdentity(
            role=role,
            name=name,
            sha256=self.sha256,
            file=self.file,
            id=self.id,
            args=player.args,
            files=tuple(_named_files(player)),
            options=tuple(f"{option}={value}" for option, value in player.options),
            limits=player.limits,
        )


def find_engine(player: EnginePlayer) -> FoundEngine:
    """Find an engine's program, start it, and check that it has the options.

    Raises EngineError where it is not there, does not speak UCI within ``START_SECONDS``, or where
    an option does not exist or cannot have that value.
    """
    program = _program(player)
    player = replace(player, command=str(program))
    name, known = _ask(player)
    hidden = any(option == ("uci_showwdl", "false") for option in _lowered(player.options))
    return FoundEngine(
        player,
        program.name,
        _sha256(program),
        name or program.name,
        chess960="UCI_Chess960" in known,
        shows_wdl="UCI_ShowWDL" in known and not hidden,
    )


def _lowered(options: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    return ((name.lower(), value) for name, value in options)


def _program(player: EnginePlayer) -> Path:
    """Return the program's path: as the shell finds it, else in the folder that it is to run in."""
    if player.directory is not None and not player.directory.is_dir():
        raise EngineError(f"{player.directory}: there is no such folder for an engine to run in")
    places = os.pathsep.join([os.environ.get("PATH", os.defpath), *GAMES_FOLDERS])
    found = shutil.which(player.command, path=places)
    if found is None and player.directory is not None:
        found = shutil.which(player.directory / player.command)
    if found is None:
        why = "no such program"
        if Path(player.command).exists():
            why = "is no program that may be run"
        raise EngineError(f"{player.command}: {why}\nGive its path: --engine cmd=PATH.")
    return Path(found).absolute()


def _ask(player: EnginePlayer) -> tuple[str, Collection[str]]:
    """Start the engine, check its options; return its name, and the options that it has."""
    try:
        name, known = asyncio.run(_asked(player))
    except TimeoutError:
        raise EngineError(
            f"{player.command}: said nothing that UCI knows within {START_SECONDS:g} s\n"
            "Is it a UCI engine? Try it in a terminal: it answers uci with uciok."
        ) from None
    except (chess.engine.EngineError, OSError) as error:
        raise EngineError(
            f"{player.command}: cannot be used as a UCI engine: {_one_line(error)}\n"
            "Try it in a terminal, with the same args and dir: it answers uci with uciok."
        ) from None
    return "".join(c if c.isprintable() else " " for c in name).strip(), known


async def _asked(player: EnginePlayer) -> tuple[str, Collection[str]]:
    cwd = None if player.directory is None else str(player.directory)
    transport, engine = await chess.engine.UciProtocol.popen(list(player.argv), cwd=cwd)
    try:
        await asyncio.wait_for(engine.initialize(), START_SECONDS)
        _check_options(player, engine.options)
        return engine.id.get("name", ""), engine.options
    finally:
        # Nothing of it is needed any more. It has no say in when it ends, and must not stay behind.
        transport.close()
        await engine.returncode


def _check_options(player: EnginePlayer, options: Mapping[str, chess.engine.Option]) -> None:
    for name, value in player.options:
        option = options.get(name)
        if option is None:
            close = difflib.get_close_matches(name, list(options), n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"It has {', '.join(options)}."
            raise EngineError(f"{player.command}: has no option {name!r}\n{hint[:300]}")
        if option.is_managed():
            raise EngineError(f"{player.command}: option {name!r} is set by arena itself")
        try:
            option.parse(value)
        except chess.engine.EngineError as error:
            raise EngineError(f"{player.command}: {_one_line(error)}") from None
        if option.type == "check" and value not in ("true", "false"):
            raise EngineError(f"{player.command}: option {name!r} is true or false, not {value!r}")


def _one_line(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split())[:200]


def _named_files(player: EnginePlayer) -> Iterator[str]:
    """Yield "NAME SHA256" of each file that an argument or an option's value names.

    The net of ``--weights=x.pb.gz`` decides as much as the program does. What the engine finds by
    itself in its folder is not among them.
    """
    folder = player.directory or Path()
    values = [word.partition("=")[2] if word.startswith("-") else word for word in player.args]
    for value in (*values, *(value for _, value in player.options)):
        try:
            path = folder / value
            if value and path.is_file():
                yield f"{path.name} {_sha256(path)}"
        except (OSError, ValueError):  # no name that a file can have
            continue


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise EngineError(f"{path}: cannot be read: {_one_line(error).lower()}") from None
