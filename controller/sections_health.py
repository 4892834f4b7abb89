"""The section ``[health]`` of the settings file: estimates of packs' health in the running depot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import AwareDatetime, model_validator

from bms_bridge.estimates import InvalidCurve
from controller.sections import Section, setting
from controller.sections_telemetry import ChemistryName, TopicId

if TYPE_CHECKING:
    from bms_bridge.estimates.curves import RestCurve
    from bms_bridge.estimates.layout import PackLayout
    from bms_bridge.estimates.taught import EndWindow


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
    in_service: AwareDatetime | None = setting(
        None, "Since when it is in service (its age, for grade and years ahead). Unset: its age is not known."
    )
    batch: str = setting(
        "",
        "Production batch: anomalies are looked for among packs of one batch. Unset: maker, plant and month of its data sheet or of a "
        "passport from elsewhere.",
        max_length=80,
    )
    needed_kwh: float | None = setting(
        None, "What its vehicle must have usable; advice on retiring it then says when its range ends.", unit="kWh", gt=0, le=10_000
    )
    inspected: bool = setting(False, "A person has looked at what its record tells (heat, trips): it no longer asks for a test.")
    resistance_new_ohm: float | None = setting(
        None,
        "Resistance of the pack when new, at 25 °C and half charge, by a pulse of about ten seconds. Unset: of its first charges, where it "
        "came new; else of its data sheet, or of a passport from elsewhere.",
        unit="ohm",
        gt=0,
        le=10,
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


class HealthWindowSection(Section):
    """Where the charges of a chemistry's packs end, as the taught model has it: the last stretch below the cut-off voltage, and the falling
    current after it. Voltages are per cell, currents in capacities an hour."""

    chemistry: ChemistryName = setting(..., "Of which packs; one window for each chemistry.")
    kind: str = setting(..., "The model's name of such charges (battery soh-train names them).", min_length=1, max_length=40)
    cut_off_v: float = setting(..., "Voltage of a cell where the current begins to fall.", unit="V", gt=0, le=10)
    below_v: float = setting(0.2, "Height of the window below it.", unit="V", gt=0, le=5)
    from_c: float = setting(0.25, "The falling current's window begins here, in capacities an hour.", unit="C", gt=0, le=5)
    to_c: float = setting(0.05, "… and ends here; a charge that ends earlier tells nothing.", unit="C", ge=0.03, le=5)
    step_s: float = setting(5.0, "Even steps of the taught table.", unit="s", ge=0.01, le=600)
    batch: str = setting("", "The taught batch that these packs are of. Unset: none of them; intervals are wider then.", max_length=80)

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if self.below_v >= self.cut_off_v or self.to_c >= self.from_c:
            raise ValueError(f"{self.chemistry}: below_v must be less than cut_off_v, and to_c less than from_c")
        return self

    def to_window(self) -> EndWindow:
        """As estimates take it."""
        from bms_bridge.estimates.taught import EndWindow

        return EndWindow(self.kind, self.cut_off_v, self.below_v, self.from_c, self.to_c, self.step_s, self.batch)


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
    soh_model: Path | None = setting(
        None, "Model of charges' ends (battery soh-train); it needs a [[health.window]]. Unset: counted charge alone tells health."
    )
    assumptions: Path | None = setting(
        None, "What residual values rest on, where it differs from what ships (battery value --write-assumptions). Unset: as it ships."
    )
    calibrate: bool = setting(
        True, "Find from the fleet's own estimates, once a week, how fast it ages beside the table that plans count with; plans follow it."
    )
    curve: tuple[HealthCurveSection, ...] = setting(
        (), "Voltages at rest by chemistry. Without one, charge between two rests tells nothing."
    )
    window: tuple[HealthWindowSection, ...] = setting((), "Where charges end, by chemistry, for soh_model.")
    pack: tuple[HealthPackSection, ...] = setting((), "What the registry does not say of packs.")

    @model_validator(mode="after")
    def _once_each(self) -> Self:
        kinds: list[str] = [row.chemistry for row in self.curve]
        if twice := sorted({kind for kind in kinds if kinds.count(kind) > 1}):
            raise ValueError(f"two curves for {', '.join(twice)}")
        ends: list[str] = [row.chemistry for row in self.window]
        if twice := sorted({kind for kind in ends if ends.count(kind) > 1}):
            raise ValueError(f"two windows for {', '.join(twice)}")
        if self.soh_model is not None and not self.window:
            raise ValueError("soh_model needs a [[health.window]] for each chemistry whose packs it shall judge")
        names = [f"{row.vehicle}/{row.pack}" for row in self.pack]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two [[health.pack]] for {', '.join(twice)}")
        return self
