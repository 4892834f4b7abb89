"""Detectors of the depot in the core: smoke, gas, pressure, thermal cameras, by bay, feeder or site.

    detector modules --on_read()--> look(): judge each (pure) --alarm--> trip every battery in its area, hold its connectors at 0 W
                                                               --warns--> batteries there get half of their level
                                                               --no battery is known there--> on_area: isolation, evacuation
                                                               --not monitored--> an alarm

Acts within the reading, before anything is written; waits for no disk, planner or web. A battery's trip latches as every trip does.
The connectors of the area stay held for as long as the detector tells of it, and 60 s more; what is isolated for it is reset by
a person.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from msgspec import Struct

from bms_bridge.rules.frame import Declared, Finding, Layer, Signal
from bms_bridge.rules.shares import CAUTIOUS_SHARE
from bms_bridge.verdicts import Cause, Why
from controller.alarms import Condition
from controller.hazard_rules import HazardMemory, HazardSpec, Standing, judge
from controller.hazard_view import DetectorRow, DetectorState, DetectorsView
from controller.output_areas import Areas
from controller.room import Carrier, Viewer
from controller.safety import Safety
from depot import commands as cmd
from depot.outputs import Area
from depot.registry import DepotSpec
from depot.values import ConnectorId, PackKey

log = logging.getLogger(__name__)

LOOK_S: Final = 1.0
OWNER: Final = "hazards"

CAMERA: Final = Declared(
    name="camera",
    cause=Cause.CAMERA,
    why=Why.CAMERA,
    layer=Layer.L2,
    signals=(Signal.SAMPLE,),
    every_s=1.0,
    within_s=5.0,
    threshold="the detector's `trip`",
    derates="0.5 from the detector's `warn`",
    hysteresis="5 %",
)


class Sighted(Protocol):
    """What a module knows of one detector; see :class:`grid.detector_module.Seen`."""

    @property
    def value(self) -> float | None: ...
    @property
    def at_s(self) -> float: ...
    @property
    def refused(self) -> str: ...


class Module(Protocol):
    """See :class:`grid.detector_module.DetectorModule`."""

    @property
    def seen(self) -> Mapping[str, Sighted]: ...


@dataclass(frozen=True, slots=True)
class Found:
    """An alarm that stands: since when, and the batteries that were tripped for it."""

    since: datetime
    packs: tuple[PackKey, ...] = ()


class Hazards:
    """The room. ``standing`` and ``found`` are for the screens. :meth:`attach` the modules before it runs. ``steady``: monotonic
    seconds."""

    def __init__(self, safety: Safety, specs: Sequence[HazardSpec], *, steady: Callable[[], float] = time.monotonic) -> None:
        self.commands: Mapping[type[cmd.Command], Carrier] = {}
        self.views: dict[type[Struct], Viewer] = {DetectorsView: self.view}
        self.specs = {spec.hazard_id: spec for spec in specs}
        self.standing: dict[str, Standing] = {}
        self.found: dict[str, Found] = {}
        self.on_area: list[Callable[[Area, Cause, str], None]] = []
        """Who isolates an area and sends people out when no battery is known in it; called once, as it is found."""
        self._safety = safety
        self._steady = steady
        self._modules: dict[str, Module] = {}
        self._memories: dict[str, HazardMemory] = {}
        self._areas: tuple[DepotSpec | None, Areas] = (None, Areas(safety.yard.spec, ()))
        self._since: dict[str, datetime] = {}
        self._held: dict[ConnectorId, str] = {}

    def attach(self, modules: Sequence[Module]) -> None:
        """The modules that the detectors hang on."""
        self._modules = {hazard_id: module for module in modules for hazard_id in module.seen}

    @property
    def areas(self) -> Areas:
        """The areas of the depot as it is built now."""
        spec = self._safety.yard.spec
        if self._areas[0] is not spec:
            self._areas = (spec, Areas(spec, ()))
        return self._areas[1]

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self.look()
            await self._safety.yard.clock.sleep(LOOK_S)

    def look(self) -> None:
        """Judge every detector, and act. Called with each reading and once a second."""
        now_s = self._steady()
        for hazard_id, spec in self.specs.items():
            module = self._modules.get(hazard_id)
            seen = module.seen[hazard_id] if module is not None else None
            value, read_s = (seen.value, seen.at_s) if seen is not None else (None, now_s)
            memory, standing = judge(self._memories.get(hazard_id), spec, value, read_s, now_s)
            self._memories[hazard_id], self.standing[hazard_id] = memory, standing
            if standing.alarm:
                self._alarm(spec, standing)
            elif hazard_id in self.found:
                self._over(spec)
            if standing.warns:
                for pack in self._packs(spec.area):
                    self._safety.guard.derate(pack, CAMERA, Finding(text=standing.text, share=CAUTIOUS_SHARE))
        self._hold()

    def _alarm(self, spec: HazardSpec, standing: Standing) -> None:
        """Trip whatever stands there, also what came since."""
        known, guard = self.found.get(spec.hazard_id), self._safety.guard
        packs = self._packs(spec.area)
        for pack in packs:
            if known is None or pack not in known.packs:
                guard.trip(pack, spec.kind.cause, {"detector": spec.title, "area": str(spec.area), "seen": standing.text})
            guard.press(pack, spec.hazard_id, standing.text)
        since = known.since if known is not None else self._safety.yard.clock.now()
        pressed = known.packs if known is not None else ()
        self.found[spec.hazard_id] = Found(since, (*pressed, *(pack for pack in packs if pack not in pressed)))
        if known is not None:
            return
        log.error("%s in %s", standing.text, spec.area)
        self._hold()
        if not packs:
            for told in self.on_area:
                told(spec.area, spec.kind.cause, standing.text)

    def _over(self, spec: HazardSpec) -> None:
        log.warning("%s is quiet again", spec.title)
        for pack in self.found.pop(spec.hazard_id).packs:
            self._safety.guard.press(pack, spec.hazard_id, "")

    def _hold(self) -> None:
        """The connectors of every area with an alarm are held, whoever stands there."""
        held = {key: self.standing[name].text for name in self.found for key in self.areas.connectors(self.specs[name].area)}
        if held or self._held:
            self._safety.cut.hold_for(OWNER, held)
        self._held = held

    def _packs(self, area: Area) -> list[PackKey]:
        """The batteries of the vehicles that stand in an area."""
        keys, present = set(self.areas.connectors(area)), self._safety.yard.present_visits()
        here = {visit.announced.vehicle_id for key, visit in present.items() if key in keys}
        return [pack for vehicle in sorted(here) for pack in self._safety.parts.packs.of(vehicle)]

    # -- for people ----------------------------------------------------------------------------------------------

    async def view(self, _args: Mapping[str, str]) -> DetectorsView:
        """All detectors, worst first."""
        rows = [self._row(spec) for spec in self.specs.values()]
        return DetectorsView(at=self._safety.yard.clock.now(), detectors=sorted(rows, key=lambda row: list(DetectorState).index(row.state)))

    def _row(self, spec: HazardSpec) -> DetectorRow:
        module, found = self._modules.get(spec.hazard_id), self.found.get(spec.hazard_id)
        standing = self.standing.get(spec.hazard_id, Standing(unknown="it was not read yet"))
        seen = module.seen[spec.hazard_id] if module is not None else None
        refused = f" ({seen.refused})" if seen is not None and seen.refused else ""
        return DetectorRow(
            detector_id=spec.hazard_id,
            title=spec.title,
            kind=spec.kind.value,
            area=str(spec.area),
            state=_state(standing),
            contact=spec.contact,
            value=seen.value if seen is not None else None,
            unit=spec.unit,
            warn=spec.warn,
            trip=spec.trip,
            read_age_s=max(0.0, self._steady() - seen.at_s) if seen is not None and math.isfinite(seen.at_s) else None,
            text=standing.text,
            unwatched=f"{standing.unknown}{refused}" if standing.unknown else "",
            since=found.since if found is not None else None,
            tripped=sorted({pack.vehicle_id for pack in found.packs}) if found is not None else [],
        )

    def conditions(self, now: datetime) -> Sequence[tuple[Condition, datetime, ConnectorId | None]]:
        """What of detectors needs a person."""
        out = list[tuple[Condition, datetime, ConnectorId | None]]()
        for hazard_id, standing in self.standing.items():
            spec = self.specs[hazard_id]
            if standing.alarm:
                action = f"{standing.text}. Charging stops there. Keep people away and follow the emergency plan."
                out.append(
                    (
                        Condition("hazard_found", hazard_id, f"{spec.kind.capitalize()} in {spec.area}", action),
                        self.found[hazard_id].since,
                        None,
                    )
                )
            if standing.unknown:
                module = self._modules.get(hazard_id)
                refused = module.seen[hazard_id].refused if module is not None else ""
                action = f"{standing.unknown}{f' ({refused})' if refused else ''}. Look at it, its module and its network."
                condition = Condition("hazard_unwatched", hazard_id, f"{spec.title} ({spec.kind}) is not monitored", action)
                out.append((condition, self._since.setdefault(hazard_id, now), None))
            else:
                self._since.pop(hazard_id, None)
        return out


def _state(standing: Standing) -> DetectorState:
    if standing.alarm:
        return DetectorState.ALARM
    if standing.warns:
        return DetectorState.WARNS
    return DetectorState.UNWATCHED if standing.unknown else DetectorState.QUIET
