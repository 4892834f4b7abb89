"""DBC files: which signal of a maker lies where in which frame. Read by cantools.

    text --names of values without their signal--> left out, a warning --read by cantools, fails--> InvalidDbc: where, and what to do
         --each message held to its strict checks, fails--> a warning, used all the same

Real DBCs overlap their signals, let them stick out of the message, carry umlauts of any encoding. Most can be used all
the same, because each signal is cut out by itself (:mod:`bms_bridge.can.cut`). What was wrong is said in ``warnings``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bms_bridge.can import InvalidDbc

if TYPE_CHECKING:
    from cantools.database.can import Database, Message, Signal

MOST_BYTES: Final = 32 * 1024 * 1024
MOST_WARNINGS: Final = 20
EXAMPLE: Final = "example-pack"
_EXAMPLES: Final = Path(str(files("bms_bridge"))) / "can" / "maps"
_EXTENDED: Final = 1 << 31
_MOST_SELECTORS: Final = 4
_BO_OR_SG = re.compile(r"^[ \t]*(?:BO_[ \t]+(?P<id>\d+)[ \t]|SG_[ \t]+(?P<signal>\w+))", re.MULTILINE)
_VAL = re.compile(r"^[ \t]*VAL_[ \t]+(?P<id>\d+)[ \t]+(?P<signal>\w+)(?:[^\";]|\"[^\"]*\")*;", re.MULTILINE)
_POSITION = re.compile(r"line (\d+), column (\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class DbcSignal:
    """One signal. ``start``: as the DBC counts it. Its value is raw × ``scale`` + ``offset``, in ``unit`` as the DBC writes
    it. ``selector``: name of the signal that says whether it is there, at one of ``selected_by``."""

    name: str
    message: str
    start: int
    length: int
    little_endian: bool
    signed: bool
    is_float: bool
    scale: float
    offset: float
    unit: str
    selector: str | None = None
    selected_by: tuple[int, ...] = ()

    @property
    def key(self) -> str:
        """Its full name, ``Message.Signal``."""
        return f"{self.message}.{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DbcMessage:
    """One message. ``cycle_s``: how often it is sent, as the DBC says; None: it does not. ``length``: bytes."""

    name: str
    frame_id: int
    extended: bool
    length: int
    cycle_s: float | None
    signals: Mapping[str, DbcSignal]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dbc:
    """A DBC file. ``by_signal``: the signals of each name, in whatever message. ``warnings``: what is wrong with it."""

    name: str
    messages: Mapping[str, DbcMessage]
    warnings: tuple[str, ...] = ()
    by_signal: Mapping[str, tuple[DbcSignal, ...]] = field(default_factory=dict)

    @classmethod
    def named(cls, name: str) -> Dbc:
        """The packaged example, by its name, or the one in a file. Raises :class:`~bms_bridge.can.InvalidDbc`."""
        return cls.load(_EXAMPLES / f"{name}.dbc" if name == EXAMPLE else Path(name))

    @classmethod
    def load(cls, path: Path) -> Dbc:
        """The DBC in a file. Raises :class:`~bms_bridge.can.InvalidDbc`."""
        try:
            size = path.stat().st_size
            if size > MOST_BYTES:
                raise InvalidDbc(f"{path.name}: {size} bytes; a DBC has at most {MOST_BYTES}")
            content = path.read_bytes()
        except OSError as error:
            raise InvalidDbc(f"{path}: {error.strerror}") from None
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = content.decode("cp1252", "replace")  # what DBC editors write; a lost sign in a comment costs nothing
        return cls.parse(text, path.name)

    @classmethod
    def parse(cls, text: str, where: str = "DBC") -> Dbc:
        """The DBC that ``text`` is. Raises :class:`~bms_bridge.can.InvalidDbc`."""
        written = _written(text)
        text, warnings = _without_orphans(text, where, written)
        database = _parsed(text, where)
        warnings += _unsound(database, where)
        messages: dict[str, DbcMessage] = {}
        by_id: dict[tuple[int, bool], str] = {}
        for message in database.messages:
            number = message.frame_id | _EXTENDED if message.is_extended_frame else message.frame_id
            if len(message.signals) < len(written.get(str(number), ())):
                warnings.append(f"{where}: not every signal of {message.name} could be read; is the file cut short?")
            if message.is_container:
                warnings.append(f"{where}: {message.name} is a container of other messages; it is left out")
                continue
            other = by_id.setdefault((message.frame_id, message.is_extended_frame), message.name)
            if other != message.name:
                warnings.append(f"{where}: {message.name} and {other} have the same identifier {message.frame_id:#x}")
            messages[message.name] = _message_of(message)
        by_signal: dict[str, tuple[DbcSignal, ...]] = {}
        for mine in messages.values():
            for name, signal in mine.signals.items():
                by_signal[name] = (*by_signal.get(name, ()), signal)
        if len(warnings) > MOST_WARNINGS:
            warnings = [*warnings[:MOST_WARNINGS], f"{where}: {len(warnings) - MOST_WARNINGS} more warnings like these"]
        return cls(name=where, messages=messages, warnings=tuple(warnings), by_signal=by_signal)

    def selectors_of(self, signal: DbcSignal) -> tuple[DbcSignal, ...]:
        """The selectors that say whether ``signal`` is there, the outermost first. Empty: it always is."""
        chain: list[DbcSignal] = []
        signals, name = self.messages[signal.message].signals, signal.selector
        while name is not None and name in signals and len(chain) < _MOST_SELECTORS:
            chain.insert(0, signals[name])
            name = signals[name].selector
        return tuple(chain)


def _written(text: str) -> dict[str, list[str]]:
    """Names of the signals of each message (by the number that the text has), as they are written."""
    found: dict[str, list[str]] = {}
    signals: list[str] = []
    for match in _BO_OR_SG.finditer(text):
        if match["id"] is not None:
            signals = found.setdefault(match["id"], [])
        else:
            signals.append(match["signal"])
    return found


def _without_orphans(text: str, where: str, written: Mapping[str, Sequence[str]]) -> tuple[str, list[str]]:
    """The text without names of values (VAL_) of signals that it does not have: cantools refuses a whole file for one of them. A
    number's meaning does not change by it."""
    warnings: list[str] = []

    def kept(match: re.Match[str]) -> str:
        if match["signal"] in written.get(match["id"], ()):
            return match[0]
        line = text.count("\n", 0, match.start()) + 1
        warnings.append(
            f"{where} line {line}: it names the values of {match['signal']} in message {match['id']}, which has no such signal; left out"
        )
        return "\n" * match[0].count("\n")

    return _VAL.sub(kept, text), warnings


def _parsed(text: str, where: str) -> Database:
    """What cantools makes of it, its checks switched off: what they find is said by :func:`_unsound`."""
    from cantools.database.can import Database

    if not any(match["id"] is not None for match in _BO_OR_SG.finditer(text)):
        raise InvalidDbc(f"{where}: it has no message (no line that begins with BO_); is it a DBC?")
    database = Database(strict=False, sort_signals=None)
    try:
        database.add_dbc_string(text)
    except RecursionError:
        raise InvalidDbc(f"{where}: it nests too deep; this is no DBC of a vehicle") from None
    except Exception as error:  # noqa: BLE001  # a hostile file makes a parser raise anything
        raise InvalidDbc(_complaint(text, where, error)) from None
    return database


def _complaint(text: str, where: str, error: Exception) -> str:
    """Where the parser stopped, with the line itself, and what to do."""
    told = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    match = _POSITION.search(str(error))
    if match is None:
        return f"{where}: {type(error).__name__}: {told}. Open it in a DBC editor, which shows the place; save it anew"
    number, column = int(match[1]), int(match[2])
    lines = text.splitlines()
    line = lines[number - 1].strip()[:120] if 0 < number <= len(lines) else ""
    message = next(
        (words[2].rstrip(":") for words in (row.split() for row in reversed(lines[:number])) if len(words) > 2 and words[0] == "BO_"), ""
    )
    inside = f" (after message {message})" if message else ""
    return (
        f"{where} line {number}, column {column}{inside}: this is not how a DBC is written: {line!r}. "
        "Correct that line, or delete it where nothing of it is needed, and try again"
    )


def _unsound(database: Database, where: str) -> list[str]:
    """Each message that cantools would refuse, and why."""
    from cantools.database.errors import Error

    found = []
    for message in database.messages:
        try:
            message.refresh(strict=True)
        except Error as error:
            found.append(f"{where}: {str(error).rstrip('.')}; its signals are read each by itself")
            message.refresh(strict=False)
    return found


def _message_of(message: Message) -> DbcMessage:
    cycle_ms = message.cycle_time
    return DbcMessage(
        name=message.name,
        frame_id=message.frame_id,
        extended=message.is_extended_frame,
        length=message.length,
        cycle_s=cycle_ms / 1000 if cycle_ms else None,
        signals={signal.name: _signal_of(signal, message.name) for signal in message.signals},
    )


def _signal_of(signal: Signal, message: str) -> DbcSignal:
    return DbcSignal(
        name=signal.name,
        message=message,
        start=signal.start,
        length=signal.length,
        little_endian=signal.byte_order == "little_endian",
        signed=signal.is_signed,
        is_float=signal.conversion.is_float,
        scale=float(signal.scale),
        offset=float(signal.offset),
        unit=(signal.unit or "").strip(),
        selector=signal.multiplexer_signal,
        selected_by=tuple(signal.multiplexer_ids or ()),
    )
