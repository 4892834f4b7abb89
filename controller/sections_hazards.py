"""The settings of the depot's detectors: smoke, gas, pressure, thermal cameras on I/O modules; see docs/hazards.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import model_validator

from controller.hazard_rules import CAMERA_TRIPS_C, CAMERA_WARNS_C, HazardKind, HazardSpec
from controller.output_areas import Areas
from controller.sections import Section, setting
from controller.sections_outputs import OutputId
from depot.outputs import Area
from depot.registry import DepotSpec
from depot.values import InvalidValue


class HazardSection(Section):
    """One detector: a contact, or a number."""

    id: OutputId = setting(..., "Name by which it is called in facts and the log.")
    name: str = setting("", "Name on the screens; the id where it is empty.", max_length=60)
    kind: Literal["smoke", "gas", "pressure", "camera"] = setting(..., "What it looks for. camera: the hottest °C that it sees.")
    scope: Literal["bay", "feeder", "site"] = setting(..., "How wide the area is that it watches.")
    area: str = setting("", "Which bay or feeder, as for outputs. Empty for the site.")
    host: str = setting(..., "Address of its I/O module.", min_length=1)
    port: int = setting(502, "Modbus TCP port of the module.", ge=1, le=65_535)
    unit: int = setting(1, "Modbus unit id.", ge=0, le=255)
    table: Literal["discrete", "coil", "input", "holding"] = setting("discrete", "Where it is: a contact, or a register with a number.")
    address: int = setting(..., "Its number, counted from 0 as on the wire.", ge=0, le=65_535)
    alarm_when: Literal["closed", "open"] = setting("closed", "Contact: which state tells of danger. open: a broken wire does, too.")
    scale: float = setting(1.0, "Register: what its number is multiplied by.")
    offset: float = setting(0.0, "Register: what is added to it then.")
    signed: bool = setting(False, "Register: its number may be negative (two's complement).")
    measures: str = setting("", "Register: the unit of the number, for the screens; °C for a camera.", max_length=12)
    warn: float | None = setting(
        None, f"Register: from here batteries in the area get half of their level. Camera: {CAMERA_WARNS_C:g} where unset."
    )
    trip: float | None = setting(
        None, f"Register: from here they are tripped. Camera: at most {CAMERA_TRIPS_C:g}, which holds where unset."
    )
    confirm_s: float = setting(1.0, "How long it must tell of danger, in two readings at least.", unit="s", ge=0, le=5)
    silent_s: float = setting(10.0, "After so long without a reading it is not monitored.", unit="s", ge=1, le=60)
    stuck_s: float = setting(
        0.0, "Register: a number that has not moved for so long is not believed. 0: that is usual for it.", unit="s", ge=0
    )
    poll_s: float = setting(1.0, "How often its module is read.", unit="s", ge=0.1, le=5)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.scope == "site") == bool(self.area):
            raise ValueError("the site has no area to name" if self.area else f"area: which {self.scope}?")
        if self.contact:
            if self.kind == "camera":
                raise ValueError("a camera has a number: table is input or holding")
            if self.warn is not None or self.trip is not None:
                raise ValueError("warn and trip are for numbers; a contact has alarm_when")
            return self
        if self.kind != "camera" and self.trip is None:
            raise ValueError("trip: from which number on is it dangerous?")
        if self.kind == "camera" and (self.trip_at > CAMERA_TRIPS_C or self.warn_at > CAMERA_WARNS_C):
            raise ValueError(f"a camera warns at {CAMERA_WARNS_C:g} °C and trips at {CAMERA_TRIPS_C:g} °C at the latest")
        if self.trip_at <= 0 or not self.warn_at <= self.trip_at:
            raise ValueError("trip lies above 0, and warn not above trip")
        return self

    @property
    def contact(self) -> bool:
        return self.table in ("discrete", "coil")

    @property
    def trip_at(self) -> float:
        """The number that trips."""
        return self.trip if self.trip is not None else CAMERA_TRIPS_C

    @property
    def warn_at(self) -> float:
        """The number that warns."""
        if self.warn is not None:
            return self.warn
        return min(CAMERA_WARNS_C, self.trip_at) if self.kind == "camera" else self.trip_at

    @property
    def place(self) -> tuple[str, int, int]:
        """Which module it is on."""
        return self.host, self.port, self.unit

    def to_spec(self) -> HazardSpec:
        """The detector. Raises :class:`~depot.values.InvalidValue`."""
        return HazardSpec(
            hazard_id=self.id,
            kind=HazardKind(self.kind),
            area=Area.of(self.scope, self.area),
            name=self.name,
            contact=self.contact,
            closed_alarms=self.alarm_when == "closed",
            unit=self.measures or ("°C" if self.kind == "camera" else ""),
            warn=None if self.contact else self.warn_at,
            trip=None if self.contact else self.trip_at,
            confirm_s=self.confirm_s,
            silent_s=self.silent_s,
            stuck_s=self.stuck_s,
        )


def check_hazards(hazards: Sequence[HazardSection], spec: DepotSpec) -> None:
    """What must hold between detectors, and with the depot as built. Raises :class:`~depot.values.InvalidValue`."""
    areas, seen = Areas(spec, ()), set[str]()
    for hazard in hazards:
        if hazard.id in seen:
            raise InvalidValue(f"two detectors have the id {hazard.id}")
        seen.add(hazard.id)
        if not areas.exists(hazard.to_spec().area):
            raise InvalidValue(f"hazard {hazard.id}: there is no {hazard.to_spec().area} in this depot")
