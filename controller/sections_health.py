"""The section ``[health]`` of the settings file: estimates of packs' health in the running depot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import model_validator

from bms_bridge.estimates import InvalidCurve
from controller.sections import Section, setting
from controller.sections_telemetry import ChemistryName, TopicId

if TYPE_CHECKING:
    from bms_bridge.estimates.curves import RestCurve
    from bms_bridge.estimates.layout import PackLayout


class HealthCurveSection(Section):
    """Voltage of a rested cell by its state of charge, as the maker's data sheet (or a slow charge of a sample) has it."""

    chemistry: ChemistryName = setting(..., "Of which cells; one curve for each chemistry.")
    soc: tuple[float, ...] = setting(..., "States of charge, from 0 to 1, rising.", unit="fraction")
    cell_v: tuple[float, ...] = setting(..., "Voltage at rest at each of them, rising.", unit="V")
    error_v: float = setting(
        0.005, "How far a voltage after half an hour of rest may be from the curve; flat curves get wide intervals.", unit="V", gt=0, le=0.1
    )

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        try:
            self.to_curve()
        except InvalidCurve as error:
            raise ValueError(f"{self.chemistry}: {error}") from None
        return self

    def to_curve(self) -> RestCurve:
        """Raises :class:`bms_bridge.estimates.InvalidCurve`."""
        from bms_bridge.estimates.curves import RestCurve  # NumPy only where it is set

        return RestCurve.of(self.soc, self.cell_v, self.error_v)


class HealthPackSection(Section):
    """What the registry does not say of a pack: its modules and its capacity in ampere-hours."""

    vehicle: TopicId = setting(..., "Vehicle id, as in the registry.")
    pack: TopicId = setting("P1", "Pack id, as in the registry.")
    nominal_ah: float | None = setting(
        None, "Capacity when new. Unset: the registered watt-hours over cells and the mean of the curve.", unit="Ah", gt=0, le=10_000
    )
    cycles_before: float | None = setting(
        None, "Full cycles before the depot heard of it: 0 where it came new. Unset: no remaining life is told.", ge=0, le=100_000
    )
    module_cells: tuple[int, ...] = setting(
        (), "Cells in series of each module, in the order in which its unit tells them. Unset: one module."
    )
    module_sensors: tuple[int, ...] = setting((), "Sensors of temperature of each module, in their order. Unset: nobody knows.")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.module_sensors and not self.module_cells:
            raise ValueError(f"{self.vehicle}/{self.pack}: module_sensors needs module_cells")
        try:
            self.to_layout()
        except InvalidCurve as error:
            raise ValueError(f"{self.vehicle}/{self.pack}: {error}") from None
        return self

    def to_layout(self) -> PackLayout | None:
        """None: nobody said. Raises :class:`bms_bridge.estimates.InvalidCurve`."""
        from bms_bridge.estimates.layout import PackLayout

        return PackLayout(self.module_cells, self.module_sensors) if self.module_cells else None


class HealthSection(Section):
    """A process of its own estimates packs' health from the lake (docs/battery-health.md). It needs a section [lake]."""

    every_s: float = setting(300.0, "How often it looks for charges that are over.", unit="s", ge=1, le=86_400)
    current_error: float = setting(
        0.01,
        "How wrong packs' current sensors may be, as a share of what they say; it widens every interval.",
        unit="fraction",
        ge=0,
        le=0.2,
    )
    life_model: Path | None = setting(None, "Model of whole lives (battery life-train) for remaining life. Unset: none is told.")
    curve: tuple[HealthCurveSection, ...] = setting(
        (), "Voltages at rest by chemistry. Without one, charge between two rests tells nothing."
    )
    pack: tuple[HealthPackSection, ...] = setting((), "What the registry does not say of packs.")

    @model_validator(mode="after")
    def _once_each(self) -> Self:
        kinds: list[str] = [row.chemistry for row in self.curve]
        if twice := sorted({kind for kind in kinds if kinds.count(kind) > 1}):
            raise ValueError(f"two curves for {', '.join(twice)}")
        names = [f"{row.vehicle}/{row.pack}" for row in self.pack]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two [[health.pack]] for {', '.join(twice)}")
        return self
