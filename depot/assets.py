"""Assets beside the chargers: solar plants and stationary batteries. What they are, what they said last, what they shall do.

    PvSpec, StorageSpec          as built (settings)
    PvReading, StorageReading    last values with an age; never folded
    AssetMode                    what a person wants of a battery (a fact: ``asset.mode_set``)

Grid side, as everywhere: a battery that charges is positive, one that discharges negative. What a solar plant gives has a name of
its own (``gives_w`` ≥ 0). A pack in its second life is a battery like any other, with its own limits.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from depot.values import InvalidValue


class AssetMode(StrEnum):
    """``standby``: a person keeps the battery at 0 W. ``auto``: the depot decides."""

    AUTO = "auto"
    STANDBY = "standby"


@dataclass(frozen=True, slots=True)
class PvSpec:
    """A solar plant. ``feeder_id`` "": at the site's main bus. ``curtails``: it may be told to give less, where the export
    limit would be exceeded otherwise."""

    asset_id: str
    rated_w: int
    feeder_id: str = ""
    curtails: bool = False

    def __post_init__(self) -> None:
        if self.rated_w <= 0:
            raise InvalidValue(f"solar plant {self.asset_id}: rated_w is {self.rated_w}; it must be above 0 W")


@dataclass(frozen=True, slots=True, kw_only=True)
class PackLife:
    """What the life of a stationary battery is worth. ``chemistry``: of its cells; ``health``: a fraction of the nominal capacity, where
    the battery tells none itself; ``price_per_kwh``: of a new pack; ``worth_per_kwh``: of one at 80 % health (currency per kWh of nominal
    capacity); ``ambient_c``: how warm it is, where it tells no temperature (°C)."""

    chemistry: str
    price_per_kwh: float
    worth_per_kwh: float = 0.0
    health: float = 1.0
    ambient_c: float = 25.0

    def __post_init__(self) -> None:
        if not self.chemistry:
            raise InvalidValue("a battery's life needs its chemistry")
        if min(self.price_per_kwh, self.worth_per_kwh) < 0:
            raise InvalidValue("price_per_kwh and worth_per_kwh of a battery must be 0 or more")
        if not 0 < self.health <= 1:
            raise InvalidValue(f"health {self.health:g} of a battery is not in (0, 1]")


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageSpec:
    """A stationary battery. ``charge_w``, ``discharge_w``: the most, grid side. ``soc_min``, ``soc_max``: fractions between which
    it is used. ``efficiency``: each way. ``wear_per_kwh``: what a kWh that leaves it costs it (currency); None: a typical share of
    the price. ``controlled``: it takes setpoints; else it is only looked at. ``shave_above_w``: it gives what the site draws
    above this, whatever the plan says. ``life``: what wearing it costs, where that is to be counted; it takes the place of an unset
    ``wear_per_kwh``."""

    asset_id: str
    capacity_wh: int
    charge_w: int
    discharge_w: int
    soc_min: float = 0.1
    soc_max: float = 0.95
    efficiency: float = 0.95
    wear_per_kwh: float | None = None
    feeder_id: str = ""
    controlled: bool = False
    shave_above_w: int | None = None
    life: PackLife | None = None

    def __post_init__(self) -> None:
        who = f"battery {self.asset_id}"
        if self.capacity_wh <= 0:
            raise InvalidValue(f"{who}: capacity_wh is {self.capacity_wh}; it must be above 0 Wh")
        if self.charge_w < 0 or self.discharge_w < 0:
            raise InvalidValue(f"{who}: charge_w and discharge_w must be 0 W or more")
        if not 0 <= self.soc_min < self.soc_max <= 1:
            raise InvalidValue(f"{who}: soc_min {self.soc_min:g} and soc_max {self.soc_max:g}: 0 ≤ soc_min < soc_max ≤ 1 must hold")
        if not 0.5 <= self.efficiency <= 1:
            raise InvalidValue(f"{who}: efficiency {self.efficiency:g} is not in [0.5, 1]")


class AssetState(StrEnum):
    """What a plant or battery says that it is doing. ``local``: it takes no orders from afar."""

    RUNNING = "running"
    IDLE = "idle"
    LIMITED = "limited"
    LOCAL = "local"
    OFF = "off"
    FAULT = "fault"
    UNKNOWN = "unknown"

    @property
    def usable(self) -> bool:
        """Whether it may be relied on to follow an order."""
        return self in (AssetState.RUNNING, AssetState.IDLE, AssetState.LIMITED)


@dataclass(frozen=True, slots=True)
class PvReading:
    """What a solar plant said at ``at``. ``energy_wh``: lifetime. ``strings_w``: DC, by string of its MPP tracker. ``limit_share``:
    of its rating, where it is curtailed."""

    at: datetime
    gives_w: int
    state: AssetState = AssetState.UNKNOWN
    energy_wh: int | None = None
    strings_w: tuple[int, ...] = ()
    limit_share: float | None = None
    alarms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StorageReading:
    """What a battery said at ``at``. ``power_w``: grid side, charging positive. ``charge_w``, ``discharge_w``: the most that it allows
    itself now (None: it does not tell). ``setpoint_w``: the order that it holds, None: none; ``reverts_s``: for how long."""

    at: datetime
    power_w: int
    soc: float | None = None
    soh: float | None = None
    charge_w: int | None = None
    discharge_w: int | None = None
    state: AssetState = AssetState.UNKNOWN
    setpoint_w: int | None = None
    reverts_s: int | None = None
    temp_c: float | None = None
    alarms: tuple[str, ...] = ()
