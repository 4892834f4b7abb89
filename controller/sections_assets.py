"""The settings of solar plants and stationary batteries; see :mod:`controller.sections` for how sections are written."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import StringConstraints, model_validator

from controller.sections import Section, setting, watts
from depot.assets import PackLife, PvSpec, StorageSpec

AssetId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]


class AssetSection(Section):
    """What every asset over SunSpec Modbus has."""

    id: AssetId = setting(..., "Short name on the screens and in addresses.")
    host: str = setting(..., "Address of its Modbus TCP interface.", min_length=1)
    port: int = setting(502, "Its Modbus TCP port.", ge=1, le=65_535)
    unit: int = setting(1, "Modbus unit id.", ge=0, le=255)
    feeder: str = setting("", "Feeder that it hangs on. Empty: the site's main bus.")


class PvSection(AssetSection):
    """A solar plant. Without one nothing is known of the sun but what the meter at the connection shows."""

    rated_kw: float = setting(..., "What its inverter gives at most, grid side.", unit="kW", gt=0)
    control: Literal["704", "none"] = setting(
        "none", "How it is told to give less where depot.export_limit_kw would be exceeded: SunSpec model 704, or not at all."
    )

    def to_spec(self) -> PvSpec:
        return PvSpec(self.id, watts(self.rated_kw), self.feeder, curtails=self.control != "none")


class BatterySection(AssetSection):
    """A stationary battery, new or in its second life."""

    capacity_kwh: float = setting(..., "What it holds now, not what stood on its plate.", unit="kWh", gt=0)
    charge_kw: float = setting(..., "The most that it draws, grid side.", unit="kW", ge=0)
    discharge_kw: float = setting(..., "The most that it gives, grid side.", unit="kW", ge=0)
    lowest_soc: float = setting(0.1, "State of charge below which it gives nothing.", ge=0, le=1)
    highest_soc: float = setting(0.95, "State of charge up to which it is charged.", ge=0, le=1)
    efficiency: float = setting(0.95, "Of charging and of discharging, each.", ge=0.5, le=1)
    wear_per_kwh: float | None = setting(
        None, "What a kWh that leaves it wears it, in the currency. Unset: 22 % of the mean price of energy.", ge=0
    )
    chemistry: Literal["LFP", "NMC"] | None = setting(
        None, "Of its cells. Set together with pack_price_per_kwh, its life counts in plans: what holding and giving energy wears it."
    )
    pack_price_per_kwh: float | None = setting(
        None, "What a new pack costs, in the currency per kWh of nominal capacity. Unset: its life has no price.", gt=0
    )
    pack_worth_per_kwh: float = setting(0.0, "What a kWh of such a pack is worth at 80 % health, when its first life is over.", ge=0)
    health: float = setting(
        1.0,
        "What it holds now, as a fraction of what it held when new, where it tells no state of health: 0.75 for a second life.",
        gt=0,
        le=1,
    )
    ambient_c: float = setting(25.0, "How warm it is, where it tells no temperature.", unit="°C", ge=-40, le=60)
    control: Literal["704", "none"] = setting("704", "How it takes setpoints: SunSpec model 704, or not at all; then it is only looked at.")
    dc_positive: Literal["discharge", "charge"] = setting(
        "discharge", "What a positive power of models 802 and 103 means, where the inverter tells no AC power by model 701."
    )
    shave_above_kw: float | None = setting(
        None,
        "It gives what the site draws above this, whatever the plan says. Unset: plan and limits decide.",
        unit="kW",
        ge=0,
    )

    @model_validator(mode="after")
    def _a_range(self) -> Self:
        if self.lowest_soc >= self.highest_soc:
            raise ValueError(f"lowest_soc ({self.lowest_soc:g}) must be below highest_soc ({self.highest_soc:g})")
        if (self.chemistry is None) != (self.pack_price_per_kwh is None):
            raise ValueError("chemistry and pack_price_per_kwh belong together: set both, and its life counts, or none")
        if self.chemistry is not None and self.wear_per_kwh is not None:
            raise ValueError("wear_per_kwh and the price of its life (chemistry, pack_price_per_kwh) say the same twice: leave one out")
        return self

    def _life(self) -> PackLife | None:
        if self.chemistry is None or self.pack_price_per_kwh is None:
            return None
        return PackLife(
            chemistry=self.chemistry,
            price_per_kwh=self.pack_price_per_kwh,
            worth_per_kwh=self.pack_worth_per_kwh,
            health=self.health,
            ambient_c=self.ambient_c,
        )

    def to_spec(self) -> StorageSpec:
        return StorageSpec(
            asset_id=self.id,
            capacity_wh=watts(self.capacity_kwh),
            charge_w=watts(self.charge_kw),
            discharge_w=watts(self.discharge_kw),
            soc_min=self.lowest_soc,
            soc_max=self.highest_soc,
            efficiency=self.efficiency,
            wear_per_kwh=self.wear_per_kwh,
            feeder_id=self.feeder,
            controlled=self.control != "none",
            shave_above_w=None if self.shave_above_kw is None else watts(self.shave_above_kw),
            life=self._life(),
        )


def complaint(pv: tuple[PvSection, ...], battery: tuple[BatterySection, ...], feeders: set[str]) -> str | None:
    """What is wrong with the assets as a whole; None: nothing."""
    ids = [asset.id for asset in (*pv, *battery)]
    twice = sorted({i for i in ids if ids.count(i) > 1})
    if twice:
        return f"two assets have the id {', '.join(twice)}"
    for asset in (*pv, *battery):
        if asset.feeder and asset.feeder not in feeders:
            return f"asset {asset.id}: feeder {asset.feeder!r} is not declared (known: {', '.join(sorted(feeders))})"
    return None
