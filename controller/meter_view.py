"""What the connection-point meter tells, for the Grid page and the API: each value with its age, what it does not give, what
does not fit together. Shapes, and the pure piece that fills them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from grid.meter import MeterSettings, Sample
from grid.meter_map import Quantity

__all__ = ["MeterTold", "MeterValueView", "ToldBy", "meter_told"]


class MeterValueView(Struct, frozen=True, kw_only=True):
    """One value. ``quantity``: as meter maps name it (``voltage_l1``, ``import_energy`` ...), in ``unit`` (V, A, W, VA, var, Hz,
    Wh, VAh, min; "1" for a power factor). Import is positive."""

    quantity: str
    value: float
    unit: str
    age_s: float


class MeterTold(Struct, frozen=True, kw_only=True):
    """Everything that the meter tells. ``map``: the name of its map, "" where only its power is known by address.
    ``not_given``: quantities that its map does not have or that it refuses. ``doubts``: what does not fit together, as
    sentences. ``rejected`` counts impossible values, ``failures`` polls and connections that failed, since the start."""

    map: str
    title: str
    address: str
    connected: bool
    values: list[MeterValueView]
    not_given: list[str]
    doubts: list[str]
    rejected: int
    failures: int


class ToldBy(Protocol):
    """A meter that tells more than its power (:class:`grid.meter.ModbusSiteMeter`)."""

    settings: MeterSettings
    rejected: int
    refused: set[Quantity]

    @property
    def samples(self) -> Mapping[Quantity, Sample]: ...

    @property
    def connected(self) -> bool: ...

    @property
    def failures(self) -> int: ...

    @property
    def doubts(self) -> tuple[str, ...]: ...


def meter_told(meter: ToldBy, now: datetime) -> MeterTold:
    """The newest value of each quantity, in the order of :class:`grid.meter_map.Quantity`."""
    map_, samples = meter.settings.map, meter.samples
    return MeterTold(
        map=map_.name,
        title=map_.title,
        address=str(meter.settings.peer),
        connected=meter.connected,
        values=[
            MeterValueView(
                quantity=quantity.value,
                value=samples[quantity].value,
                unit=quantity.unit,
                age_s=max(0.0, (now - samples[quantity].at).total_seconds()),
            )
            for quantity in Quantity
            if quantity in samples
        ],
        not_given=[quantity.value for quantity in Quantity if quantity not in map_.values or quantity in meter.refused],
        doubts=list(meter.doubts),
        rejected=meter.rejected,
        failures=meter.failures,
    )
