"""Which packs the depot knows: of which vehicle, with which chemistry, and whether they must be heard of.

    registry (facts), settings --> KnownPacks --> Guard (chemistry), Safety (which pack a charger speaks of)

The registry's chemistry counts; what only the settings declare is known too.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bms_bridge import InvalidThreshold
from bms_bridge.charging import PackFacts
from bms_bridge.chemistry import TABLE, Chemistry, Thresholds
from controller.yard import Yard
from depot.fleet import Pack
from depot.values import PackKey

log = logging.getLogger(__name__)

FIRST_PACK = "P1"
"""The one pack of a vehicle of which nothing was declared."""

_CHEMISTRIES = {str(chemistry).lower(): chemistry for chemistry in Chemistry}


class Packs(Protocol):
    """What safety must know of packs. Asked for every sample: answers come from memory."""

    def chemistry_of(self, pack: PackKey) -> Chemistry | None:
        """None: not known here, what it says is refused."""

    def of(self, vehicle_id: str) -> Sequence[PackKey]:
        """A vehicle's packs; what a charger says of a battery is taken for the first one."""

    def must_speak(self, pack: PackKey) -> bool:
        """Whether its silence, while its vehicle is on a charger, is a reason for caution."""

    def facts_of(self, pack: PackKey) -> PackFacts:
        """Its size and its chemistry, as far as they are known."""

    def tighter_of(self, pack: PackKey) -> Thresholds | None:
        """Thresholds of its own, where the settings tighten some; None: those of its chemistry."""


@dataclass(frozen=True, slots=True)
class DeclaredPack:
    """A pack as the settings declare it. ``telematics``: its vehicle has a unit that sends. ``tighter``: thresholds by name that are more
    cautious than those of its chemistry."""

    pack: PackKey
    chemistry: Chemistry
    telematics: bool = True
    capacity_wh: float | None = None
    cells: int | None = None
    tighter: Mapping[str, float] = field(default_factory=dict)


class KnownPacks:
    """The packs of registry and settings. ``otherwise``: the chemistry of vehicles that were announced but stand in
    neither, each with one pack :data:`FIRST_PACK` (None: nothing is taken of them)."""

    def __init__(self, declared: Iterable[DeclaredPack], *, otherwise: Chemistry | None, yard: Yard) -> None:
        self._declared: Mapping[PackKey, DeclaredPack] = {row.pack: row for row in declared}
        self._otherwise = otherwise
        self._yard = yard
        self._registered: Mapping[PackKey, Pack] = {}
        self._of: dict[str, list[PackKey]] = {}
        self._facts: dict[PackKey, PackFacts] = {}
        self._tighter: dict[PackKey, Thresholds] = {}
        self._announced: tuple[int, frozenset[str]] = (-1, frozenset())
        self._index()

    def chemistry_of(self, pack: PackKey) -> Chemistry | None:
        self._refresh()
        registered = self._registered.get(pack)
        if registered is not None:
            return _CHEMISTRIES.get(registered.chemistry.lower(), Chemistry.UNKNOWN)
        declared = self._declared.get(pack)
        if declared is not None:
            return declared.chemistry
        return self._otherwise if pack.pack_id == FIRST_PACK and self._stranger(pack.vehicle_id) else None

    def of(self, vehicle_id: str) -> Sequence[PackKey]:
        self._refresh()
        known = self._of.get(vehicle_id)
        if known is not None:
            return known
        return (PackKey(vehicle_id, FIRST_PACK),) if self._stranger(vehicle_id) else ()

    def must_speak(self, pack: PackKey) -> bool:
        declared = self._declared.get(pack)
        return declared is not None and declared.telematics

    def facts_of(self, pack: PackKey) -> PackFacts:
        known = self._facts.get(pack)
        if known is None:
            registered, declared = self._registered.get(pack), self._declared.get(pack)
            capacity_wh = (registered.capacity_wh if registered is not None else None) or (declared.capacity_wh if declared else None)
            cells = (registered.cells if registered is not None else None) or (declared.cells if declared else None)
            chemistry = self.chemistry_of(pack) or Chemistry.UNKNOWN
            known = self._facts[pack] = PackFacts(chemistry=chemistry, capacity_wh=capacity_wh, cells=cells)
        return known

    def tighter_of(self, pack: PackKey) -> Thresholds | None:
        declared = self._declared.get(pack)
        if declared is None or not declared.tighter:
            return None
        if pack not in self._tighter:
            row = TABLE[self.chemistry_of(pack) or Chemistry.UNKNOWN]
            try:
                self._tighter[pack] = row.tightened(**declared.tighter)
            except InvalidThreshold as error:
                # written for another chemistry than the registry's: the envelope of that one holds as it is
                log.error("the settings' thresholds of %s do not count: %s", pack, error)
                self._tighter[pack] = row
        return self._tighter[pack]

    def _refresh(self) -> None:
        if self._yard.state.packs is not self._registered:
            self._index()

    def _index(self) -> None:
        self._registered = self._yard.state.packs
        self._of = {}
        self._facts.clear()
        self._tighter.clear()
        for pack in sorted({*self._registered, *self._declared}):
            self._of.setdefault(pack.vehicle_id, []).append(pack)

    def _stranger(self, vehicle_id: str) -> bool:
        """Whether it is announced, known in no other way, and taken all the same."""
        if self._otherwise is None or vehicle_id in self._of:
            return False
        state = self._yard.state
        if self._announced[0] != state.seq:
            self._announced = (state.seq, frozenset(visit.announced.vehicle_id for visit in state.visits.values()))
        return vehicle_id in self._announced[1]
