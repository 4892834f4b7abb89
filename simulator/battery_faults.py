"""What can be wrong with a battery or with the unit that speaks of it, to be injected into a night.

    Fault, seconds on the charger --> simulator.cells.Cells (cells, sensors, insulation), simulator.telematics.Unit (clock, silence)

``after_s`` counts from the moment at which the vehicle was plugged in. Numbers of ordinary size, not of any make.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class HotPack:
    """A pack that overheats: its sensor 0 rises by ``rise_k_per_min`` above what charging explains, for as long as power flows;
    else the excess decays. From ``alarm_c`` on the battery management system raises ``alarm`` (None: it stays silent, and only
    the temperature tells)."""

    after_s: float = 60.0
    rise_k_per_min: float = 4.0
    most_k: float = 60.0
    alarm_c: float | None = None
    alarm: str = "over_temperature"


@dataclass(frozen=True, slots=True, kw_only=True)
class InternalShort:
    """One cell leaks ``leak_a`` through itself, charging or not; the current doubles every ``doubles_s`` (None: it stays)."""

    after_s: float = 60.0
    leak_a: float = 2.0
    doubles_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Runaway:
    """One cell heats itself: by ``rate_k_per_s`` at first, twice as fast every ``doubles_s``, whatever the charger does. Its
    voltage collapses when the separator gives way, and at last it goes off."""

    after_s: float = 60.0
    rate_k_per_s: float = 0.05
    doubles_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StuckSensor:
    """A sensor keeps on saying what it said."""

    after_s: float = 60.0
    sensor: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LostSensors:
    """The first ``count`` sensors have no value any more."""

    after_s: float = 60.0
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinSensor:
    """A sensor repeats what the one before it says: one wire, two names."""

    after_s: float = 0.0
    sensor: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class InsulationFault:
    """The resistance between pack and chassis falls to ``ohm`` within ``falls_s``."""

    after_s: float = 60.0
    ohm: float = 20_000.0
    falls_s: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OverCharge:
    """One cell runs ahead of the others while power flows, by ``v_per_min``, and its management does not see it."""

    after_s: float = 60.0
    v_per_min: float = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class StopDemanded:
    """The battery management system demands that charging ends; whether the charger obeys is the charger's."""

    after_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongClock:
    """The unit's clock is set by ``by_s``."""

    after_s: float = 60.0
    by_s: float = -86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """The unit stops sending."""

    after_s: float = 60.0


Fault = (
    HotPack
    | InternalShort
    | Runaway
    | StuckSensor
    | LostSensors
    | TwinSensor
    | InsulationFault
    | OverCharge
    | StopDemanded
    | WrongClock
    | Silence
)

KINDS: Final[Mapping[str, Fault]] = {
    "hot": HotPack(),
    "short_slow": InternalShort(),
    "short_fast": InternalShort(leak_a=20.0, doubles_s=60.0),
    "runaway": Runaway(),
    "sensor_stuck": StuckSensor(),
    "sensor_lost": LostSensors(),
    "sensors_all_lost": LostSensors(count=64),
    "sensor_twin": TwinSensor(),
    "insulation": InsulationFault(),
    "over_charge": OverCharge(),
    "stop_ignored": StopDemanded(),
    "clock_wrong": WrongClock(),
    "silent": Silence(),
}
"""By the name that a scenario gives them."""
