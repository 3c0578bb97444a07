"""Self-play: games of a net against itself, written as training records as they end.

``OUT/00000/training.0.gz`` and so on, one a game; ``settings.json`` says what decides them and is
written first, ``selfplay.json`` what became of them, and is written last: without it the folder is
not complete. A game depends on the
settings and its own number alone. So a run that was killed plays the numbers that are not there
yet, and the folder becomes what it would have been: no game is lost, none is there twice.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from arena.books import Book, shuffled
from arena.compilation import kernels_compiled
from arena.evaluator import Evaluator, choose_evaluator, make_evaluator
from arena.game import GameTask, Opening, game_seed
from arena.lane import FinishedGame, SearchedGame, Throughput
from arena.openings import default_book, read_book
from arena.referee import check_game
from arena.search import BatchedSearch
from arena.search_settings import Player
from arena.selfplay_config import SelfplayConfig
from arena.selfplay_records import Tally, records_of, tally_of
from arena.start_positions import OpeningError
from arena.training_records import game_path, write_game
from swa.chunks import ReadCounts, pack_chunk, read_records
from swa.files import write_whole
from swa.net import Net, load_net
from swa.provenance import versions

SETTINGS_FILE = "settings.json"
SUMMARY_FILE = "selfplay.json"
SCHEMA = 1

LANES = 2
"""Groups of games: one is searched while the other's leaves are evaluated."""

START = Opening("rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1")


class SelfplayError(ValueError):
    """Self-play that cannot begin or go on: what, why, what to do."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far self-play is."""

    tally: Tally  # of all games in the folder
    resumed: int  # games that were there before
    games: int  # asked for
    seconds: float
    search: Throughput  # since this start


def play_games(
    config: SelfplayConfig,
    notify: Callable[[Progress], None] = lambda _: None,
    note: Callable[[str], None] = lambda _: None,
) -> Progress:
    """Play the games that the folder lacks, and count all of them.

    ``note`` takes lines about the beginning. Raises NetError, DeviceError, OpeningError or
    SelfplayError before anything is written; OpeningError also where an opening farther on cannot
    be played from, EvaluationError where the net says what is no number, RefereeError for a game
    that breaks the rules, OSError where the disk is full. Finished games are kept in any case.
    """
    assert config.net is not None  # the configuration has seen to it
    assert config.out is not None
    net = load_net(config.net.path, **config.net.reading.asked)
    book = None
    if config.book:
        book = default_book() if config.openings is None else _text_book(config.openings)
    dealer = _Dealer(config, book)
    dealer.task(0)
    choice = choose_evaluator(net.spec, config.evaluator, config.device, config.dtype)
    with _open_folder(config.out, settings_of(config, net, book)):
        began = time.monotonic()
        tally, missing = _count(config, note)
        resumed = tally.games
        if resumed:
            note(f"{config.out}: {resumed:,} of {config.games:,} games are there already.")
        search = Throughput()
        if missing:
            (config.out / SUMMARY_FILE).unlink(missing_ok=True)  # of fewer games
            if not kernels_compiled(forward=choice.kind == "winograd"):
                note("Compiling kernels once, up to a minute ...")
            evaluator = make_evaluator(net, choice, config.dtype)
            player = Player(net.name, evaluator, config.search)
            lanes = BatchedSearch([player], config.parallel, LANES, config.nncache, True)
            tasks = [map(dealer.task, missing[lane :: lanes.lanes]) for lane in range(lanes.lanes)]
            for number, game, opening in _played(lanes, tasks):
                tally += _keep(config, number, opening, game, evaluator)
                search = lanes.throughput
                seconds = time.monotonic() - began
                notify(Progress(tally, resumed, config.games, seconds, search))
        if missing:
            os.sync()  # once for all: a file's own fsync takes longer than writing it
        write_whole(config.out / SUMMARY_FILE, _summary(tally))
    return Progress(tally, resumed, config.games, time.monotonic() - began, search)


def _text_book(path: Path) -> Book:
    book = read_book(path)
    if isinstance(book, Book):
        return book
    raise OpeningError(
        str(path), "is a polyglot book", "Self-play begins from text: name an .epd, .fen or .pgn."
    )


def settings_of(config: SelfplayConfig, net: Net, book: Book | None) -> dict[str, Any]:
    """All that decides a game beside its number."""
    return {
        "schema": SCHEMA,
        "net": {
            "name": net.name,
            "sha256": net.sha256,
            **(config.net.reading.asked if config.net else {}),
        },
        "openings": None
        if book is None
        else {"file": book.path.name, "sha256": book.sha256, "entries": len(book)},
        "seed": config.seed,
        "dtype": config.dtype,
        "resign_percentage": config.resign_percentage,
        "resign_playthrough": config.resign_playthrough,
        "max_plies": config.max_plies,
        "search": asdict(config.search),
    }


class _Dealer:
    """What is decided about each game before it begins."""

    def __init__(self, config: SelfplayConfig, book: Book | None):
        self._config = config
        self._book = book
        self._order: Sequence[int] = () if book is None else shuffled(len(book), config.seed)

    def task(self, number: int) -> GameTask:
        config = self._config
        opening = START
        if self._book is not None:
            opening = self._book.opening(self._order[number % len(self._order)])
            if opening.chess960:
                raise OpeningError(
                    str(self._book.path),
                    f"castling as in Chess960: {opening.fen}",
                    "Records of input format 1 do not tell which rook may castle: choose a book of "
                    "standard chess.",
                )
        return GameTask(
            number,
            True,
            opening,
            white=0,
            black=0,
            seed=game_seed(config.seed, number),
            resign=0.0 if plays_through(config, number) else config.resign_percentage / 100,
            most_plies=config.max_plies,
        )


def plays_through(config: SelfplayConfig, number: int) -> bool:
    """Whether nobody may resign in a game."""
    drawn = game_seed(config.seed, number, "playthrough") / 2**64
    return drawn < config.resign_playthrough / 100


def _played(
    lanes: BatchedSearch, tasks: Sequence[Iterator[GameTask]]
) -> Iterator[tuple[int, SearchedGame, Opening]]:
    finished: Iterator[FinishedGame] = lanes.play(tasks)
    try:
        for task, game in finished:
            assert isinstance(game, SearchedGame)  # as was asked for
            yield task.pair, game, task.opening
    finally:
        if isinstance(finished, Generator):
            finished.close()


def _keep(
    config: SelfplayConfig,
    number: int,
    opening: Opening,
    game: SearchedGame,
    evaluator: Evaluator,
) -> Tally:
    """Check a game, write it and count it."""
    assert config.out is not None
    check_game(opening, game, where=f"game {number}")
    records = records_of(opening, game, evaluator)
    write_game(config.out, number, pack_chunk(records))
    return _tally(config, number, records)


def _tally(config: SelfplayConfig, number: int, records: Any) -> Tally:
    return tally_of(records, config.resign_percentage / 100, plays_through(config, number))


def _count(config: SelfplayConfig, note: Callable[[str], None]) -> tuple[Tally, list[int]]:
    """What became of the games that are there, and the numbers of those that are not.

    A file that is torn, as a crash of the machine leaves it, counts as not there.
    """
    assert config.out is not None
    tally, missing = Tally(), []
    for number in range(config.games):
        path = game_path(config.out, number)
        counts = ReadCounts()
        chunks = list(read_records(path, counts)) if path.is_file() else []
        if len(chunks) == 1 and not counts.truncated:  # of a torn one the beginning is read
            tally += _tally(config, number, chunks[0].records)
            continue
        if path.is_file():
            note(f"{path} is damaged; its game is played again.")
        missing.append(number)
    return tally, missing


def _is_empty(folder: Path) -> bool:
    """Whether there is nothing in a folder but what a kill left of its first file."""
    return folder.is_dir() and all(SETTINGS_FILE in path.name for path in folder.iterdir())


@contextmanager
def _open_folder(folder: Path, settings: dict[str, Any]) -> Iterator[None]:
    """Hold the folder of a run, a new one or one that was begun with the same settings."""
    path = folder / SETTINGS_FILE
    if folder.exists() and not path.is_file() and not _is_empty(folder):
        what = "is not empty, and no folder of self-play" if folder.is_dir() else "is a file"
        raise SelfplayError(f"{folder} {what}\nName a new folder for the records (--out).")
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SelfplayError(
                f"{folder} is in use by another process\nWait for it, or name another folder."
            ) from None
        if path.is_file():
            _agree(path, settings)
        else:
            write_whole(path, _json(settings))
        yield
    finally:
        os.close(descriptor)


def _agree(path: Path, settings: dict[str, Any]) -> None:
    """Refuse to go on by other settings than those that the folder was begun with."""
    try:
        before = json.loads(path.read_bytes())
        differing = [
            f"{name}: {old} -> {new}"
            for name, old, new in _differences(before, json.loads(_json(settings)))
        ]
    except (ValueError, AttributeError):
        raise SelfplayError(
            f"{path} cannot be read\nName a new folder for the records (--out)."
        ) from None
    if differing:
        raise SelfplayError(
            f"{path.parent} was begun with other settings: {', '.join(differing)}\n"
            "Use the same ones to go on, or name a new folder (--out)."
        )


def _differences(before: Any, now: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in {**now, **before}:
            if (name, key) not in {("net", "name"), ("openings", "file")}:  # sha256 decides
                yield from _differences(before.get(key), now.get(key), key)
    elif before != now:
        yield name.replace("_", "-"), before, now


def _summary(tally: Tally) -> bytes:
    return _json({"schema": SCHEMA, **tally.as_json(), "versions": versions()})


def _json(document: dict[str, Any]) -> bytes:
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()
