"""A pack map and a DBC become one: where each value that the map wants lies in which frame, and what one count of it is here.

PackMap + Dbc --bind()--> Binding(layouts by frame, slots) | InvalidPackMap (names and units that do not fit, each with its line)
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import pairwise
from typing import Final

from bms_bridge.can import InvalidPackMap
from bms_bridge.can.cut import Field, Layout, Wanted
from bms_bridge.can.dbc import Dbc, DbcSignal
from bms_bridge.can.frame import CanFrame, pgn_of
from bms_bridge.can.pack_map import PackMap, Sign, Told, placed
from bms_bridge.can.units import KINDS, Unit, unit_of

_EXTENDED: Final = 1 << 31
"""Tells the two kinds of identifiers apart in one number, as SocketCAN does."""

_ALIKE = 3


class Part(IntEnum):
    """What of a sample a slot is."""

    FLAG = 0
    VALUE = 1
    TEMPERATURE = 2
    CELL = 3
    ALARM = 4
    STOP = 5
    FIRMWARE = 6
    BALANCING = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One signal that is wanted. ``name``: the quantity or the alarm; ``index``: of a sensor or a cell, from 0. Value = raw ×
    ``factor`` + ``shift``. ``flag``: number of the slot that is not 0 while this one has no value. ``counts``: raw counts that
    raise it; None: any but 0."""

    part: Part
    signal: str
    name: str = ""
    index: int = 0
    factor: float = 1.0
    shift: float = 0.0
    invalid: frozenset[int] = frozenset()
    flag: int | None = None
    counts: frozenset[int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """What to do with which frame. ``layouts``: by :meth:`key_of`. ``temperatures``, ``cells``, ``balancing``: how many the map names."""

    map: PackMap
    dbc: str
    slots: tuple[Slot, ...]
    layouts: Mapping[int, Layout]
    frame_ids: tuple[tuple[int, bool], ...]
    temperatures: int
    cells: int
    balancing: int = 0
    warnings: tuple[str, ...] = ()

    def key_of(self, frame: CanFrame) -> int | None:
        """Under which layout a frame falls, if any of this map; None: another sender's, or the wrong kind of identifier."""
        if not self.map.j1939:
            return frame.can_id | _EXTENDED if frame.extended else frame.can_id
        if not frame.extended or self.map.source_address not in (None, frame.can_id & 0xFF):
            return None
        return pgn_of(frame.can_id)


def bind(pack_map: PackMap, dbc: Dbc, *, where: str = "") -> Binding:
    """Raises :class:`~bms_bridge.can.InvalidPackMap` with everything of the map that the DBC does not have, or says otherwise."""
    binder = _Binder(pack_map, dbc, where or pack_map.name)
    return binder.bound()


@dataclass(slots=True)
class _Binder:
    map: PackMap
    dbc: Dbc
    where: str
    problems: list[str] = field(default_factory=list)
    slots: list[Slot] = field(default_factory=list)
    wanted: dict[str, list[Wanted]] = field(default_factory=dict)

    def bound(self) -> Binding:
        told: list[tuple[Part, str, Told]] = [(Part.VALUE, str(quantity), one) for quantity, one in self.map.values.items()]
        told += [
            (part, "", one)
            for part, one in (
                (Part.TEMPERATURE, self.map.temperatures),
                (Part.CELL, self.map.cells),
                (Part.BALANCING, self.map.balancing),
            )
            if one is not None
        ]
        flags = {name: self._plain(Part.FLAG, name, one.line) for _, _, one in told for name in one.flags}
        for part, name, one in told:
            for index, signal in enumerate(one.signals):
                self._value(part, name, index, signal, one, flags.get(one.flags[index]) if one.flags else None)
        for alarm, signs in self.map.alarms.items():
            self._signs(Part.ALARM, alarm, signs)
        self._signs(Part.STOP, "", self.map.stop)
        self._signs(Part.FIRMWARE, "", self.map.firmware)
        if self.problems:
            raise InvalidPackMap(tuple(self.problems))
        ids = tuple((self.dbc.messages[name].frame_id, self.dbc.messages[name].extended) for name in self.wanted)
        layouts = {self._key(name): Layout.of(wanted) for name, wanted in self.wanted.items()}
        return Binding(
            map=self.map,
            dbc=self.dbc.name,
            slots=tuple(self.slots),
            layouts=layouts,
            frame_ids=ids,
            temperatures=len(self.map.temperatures.signals) if self.map.temperatures is not None else 0,
            cells=len(self.map.cells.signals) if self.map.cells is not None else 0,
            balancing=len(self.map.balancing.signals) if self.map.balancing is not None else 0,
            warnings=self._warnings(),
        )

    def _warnings(self) -> tuple[str, ...]:
        """Complaints about the DBC that concern messages of this map, and messages that cannot be told apart."""
        used = [text for text in self.dbc.warnings if any(f" {name}" in text for name in self.wanted)]
        keys: dict[int, str] = {}
        for name in self.wanted:
            other = keys.setdefault(self._key(name), name)
            if other != name:
                used.append(f"{self.where}: {other} and {name} have one identifier; only {name} is read")
        return tuple(used)

    def _key(self, message: str) -> int:
        found = self.dbc.messages[message]
        if self.map.j1939:
            return pgn_of(found.frame_id)
        return found.frame_id | _EXTENDED if found.extended else found.frame_id

    def _value(self, part: Part, name: str, index: int, signal: str, told: Told, flag: int | None) -> None:
        found = self._found(signal, told.line)
        if found is None:
            return
        unit = self._unit(found, told)
        if unit is None:
            return
        sign = -1.0 if told.negative else 1.0
        self._add(
            found,
            Slot(
                part=part,
                signal=found.key,
                name=name,
                index=index,
                factor=sign * found.scale * told.scale * unit.factor,
                shift=sign * ((found.offset * told.scale + told.offset) * unit.factor + unit.offset),
                invalid=told.invalid,
                flag=flag,
            ),
        )

    def _unit(self, signal: DbcSignal, told: Told) -> Unit | None:
        """The unit that counts; None after a complaint."""
        dbc, mine = unit_of(signal.unit), unit_of(told.unit)
        could = f"write unit = one of {', '.join(KINDS[told.kind])}"
        if mine is None and dbc is None:
            says = f"a unit that is not known here, {signal.unit!r}," if signal.unit else "no unit"
            self._wrong(told.line, f"the DBC says {says} for {signal.key}; {could}")
            return None
        if mine is None or told.overrides:
            chosen = mine or dbc
            if chosen is not None and chosen.kind != told.kind:
                self._wrong(told.line, f"{signal.key} is in {signal.unit!r}, which is no {told.kind}; is it the right signal? Else {could}")
                return None
            return chosen
        if dbc is not None and dbc != mine:
            self._wrong(
                told.line,
                f"{signal.key} is in {signal.unit!r} after the DBC and in {told.unit!r} after the map; correct the one that is wrong "
                "(where it is the DBC: overrides_dbc = true)",
            )
            return None
        return mine

    def _signs(self, part: Part, name: str, signs: Sequence[Sign]) -> None:
        for sign in signs:
            self._plain(part, sign.signal, sign.line, name=name, counts=sign.counts)

    def _plain(self, part: Part, signal: str, line: int | None, *, name: str = "", counts: frozenset[int] | None = None) -> int | None:
        """A signal of which the raw count is wanted. Its slot's number; None after a complaint."""
        found = self._found(signal, line)
        if found is None:
            return None
        return self._add(found, Slot(part=part, signal=found.key, name=name, index=len(self.slots), counts=counts))

    def _add(self, signal: DbcSignal, slot: Slot) -> int:
        number = len(self.slots)
        self.slots.append(slot)
        chain = [*self.dbc.selectors_of(signal), signal]
        when = tuple((Field.of_signal(outer), frozenset(inner.selected_by)) for outer, inner in pairwise(chain))
        self.wanted.setdefault(signal.message, []).append(Wanted(number, Field.of_signal(signal), when))
        return number

    def _found(self, name: str, line: int | None) -> DbcSignal | None:
        """The signal of that name; None after a complaint."""
        message, dot, signal = name.partition(".")
        if not dot:
            everywhere = self.dbc.by_signal.get(name, ())
            if len(everywhere) == 1:
                return everywhere[0]
            if everywhere:
                self._wrong(line, f"{name} is in several messages; write one of {', '.join(one.key for one in everywhere[:5])}")
            else:
                self._wrong(line, f"{self.dbc.name} has no signal {name}{self._like(name, self.dbc.by_signal)}")
            return None
        known = self.dbc.messages.get(message)
        if known is None:
            self._wrong(line, f"{self.dbc.name} has no message {message}{self._like(message, self.dbc.messages)}")
            return None
        if signal not in known.signals:
            self._wrong(line, f"message {message} has no signal {signal}{self._like(signal, known.signals)}")
        return known.signals.get(signal)

    @staticmethod
    def _like(name: str, known: Mapping[str, object]) -> str:
        alike = difflib.get_close_matches(name, known, n=_ALIKE)
        return f"; it has {', '.join(alike)}" if alike else ""

    def _wrong(self, line: int | None, words: str) -> None:
        told = placed(self.where, line, words)
        if told not in self.problems:
            self.problems.append(told)
