"""The settings of what stays ask for beside their energy, and of phases; see :mod:`controller.sections` for how sections are written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import StringConstraints, field_validator

from bms_bridge.chemistry import Chemistry
from controller.sections import Section, setting, watts
from depot.fleet import MAX_PRECONDITION_MIN

if TYPE_CHECKING:
    from controller.wishes import WishSettings

Model = Annotated[str, StringConstraints(max_length=120)]


class PreconditioningSection(Section):
    """Warming or cooling of cabin and battery before a departure, while the vehicle is still plugged in."""

    model: Model = setting("", "Model of the vehicles, as the registry has it. Empty: all that no other entry names.")
    kw: float = setting(..., "What it draws at the charger.", unit="kW", gt=0, le=100)
    minutes: int = setting(..., "So long before the departure it begins.", unit="min", ge=1, le=MAX_PRECONDITION_MIN)


class FullChargeSection(Section):
    """Full charges at intervals, so that cells with a flat voltage are balanced and their state of charge is known again."""

    every_days: int = setting(7, "A vehicle is due when it was last full so long ago, or never.", unit="d", ge=1, le=365)
    dwell_min: int = setting(60, "How long it stays full and plugged in, so that it counts.", unit="min", ge=0, le=1440)
    chemistries: tuple[str, ...] = setting(
        ("LFP",), "Of vehicles all of whose registered packs are of these chemistries.", min_length=1, max_length=8
    )

    @field_validator("chemistries")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        known = {chemistry.value for chemistry in Chemistry if chemistry is not Chemistry.UNKNOWN}
        unknown = [name for name in names if name.upper() not in known]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no chemistry; write {', '.join(sorted(known))}")
        return tuple(name.upper() for name in names)


def wishes_of(preconditioning: tuple[PreconditioningSection, ...], full_charge: FullChargeSection | None) -> WishSettings:
    """For the plan and the limiter."""
    from controller.wishes import FullCharges, Preconditioning, WishSettings

    full = None if full_charge is None else FullCharges(full_charge.every_days, full_charge.dwell_min, frozenset(full_charge.chemistries))
    return WishSettings(tuple(Preconditioning(watts(p.kw), p.minutes, p.model) for p in preconditioning), full)
