"""What registry and settings say of a pack, put together; or why nothing can be estimated of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bms_bridge.estimates import InvalidCurve
from bms_bridge.estimates.curves import RestCurve
from bms_bridge.estimates.judging import CURRENT_GAIN, PackFacts
from bms_bridge.estimates.layout import PackLayout
from bms_bridge.estimates.taught import Teaching
from bms_bridge.life.remaining import LifeModel
from bms_bridge.second_life.assumptions import Assumptions, shipped
from depot.values import PackKey


@dataclass(frozen=True, slots=True)
class Registered:
    """As the registry has it. ``capacity_wh``: when new; ``cells``: in series."""

    chemistry: str = "unknown"
    capacity_wh: int | None = None
    cells: int | None = None


@dataclass(frozen=True, slots=True)
class Described:
    """As the settings have it. ``nominal_ah`` None: from the registry's watt-hours and the curve. ``cycles_before``: full cycles before
    the depot heard of it; ``since_s``: in service, Unix seconds; ``needed_kwh``: what its vehicle must have usable; None: nobody knows.
    ``inspected``: a person has looked at what its record tells. ``resistance_new_ohm``: of the pack when new, at 25 °C and half charge."""

    layout: PackLayout | None = None
    nominal_ah: float | None = None
    cycles_before: float | None = None
    since_s: float | None = None
    needed_kwh: float | None = None
    inspected: bool = False
    resistance_new_ohm: float | None = None


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What the settings say of all packs: ``packs``, ``curves`` by chemistry, ``current_gain``: share that a current sensor may be
    wrong; ``lives``: models of whole lives, {} where none is set; ``teaching``: models of charges' ends, None where none is set;
    ``assumptions``: of residual values."""

    packs: Mapping[PackKey, Described] = field(default_factory=dict)
    curves: Mapping[str, RestCurve] = field(default_factory=dict)
    current_gain: float = CURRENT_GAIN
    lives: Mapping[str, LifeModel] = field(default_factory=dict)
    teaching: Teaching | None = None
    assumptions: Assumptions = field(default_factory=shipped)


@dataclass(frozen=True, slots=True)
class TestWindow:
    """A reference test of a pack's vehicle. Unix seconds; ``until_s`` None: it is still under way. ``done``: it ran to its end."""

    __test__ = False

    from_s: float
    until_s: float | None
    done: bool

    def holds(self, first_s: float, last_s: float) -> bool:
        """Whether a charge lies in it."""
        return self.from_s <= first_s and (self.until_s is None or last_s <= self.until_s)


def facts_of(pack: PackKey, registered: Registered, known: Knowledge, *, cells_told: int) -> tuple[PackFacts, str]:
    """The facts, and why nothing can be estimated ("" where it can). ``cells_told``: how many cells its unit tells."""
    said = known.packs.get(pack, Described())
    curve = known.curves.get(registered.chemistry)
    layout = said.layout
    if layout is None:
        series = registered.cells or cells_told
        try:
            layout = PackLayout.one_module(series) if series else None
        except InvalidCurve:
            layout = None
    nominal_ah = said.nominal_ah
    if nominal_ah is None and registered.capacity_wh is not None and layout is not None and curve is not None:
        nominal_ah = registered.capacity_wh / (layout.series * curve.mean_v)
    facts = PackFacts(layout, nominal_ah, curve, registered.chemistry, known.current_gain)
    return facts, _missing(pack, registered, facts)


def capacity_kwh(registered: Registered, facts: PackFacts) -> float | None:
    """When new: as registered, else of its ampere-hours, its cells and the mean of their curve; None: not known."""
    if registered.capacity_wh is not None:
        return registered.capacity_wh / 1000
    if facts.nominal_ah is None or facts.layout is None or facts.curve is None:
        return None
    return facts.nominal_ah * facts.layout.series * facts.curve.mean_v / 1000


def _missing(pack: PackKey, registered: Registered, facts: PackFacts) -> str:
    if facts.layout is None:
        return "nobody said how many cells are in series: enter them in the registry, or in [[health.pack]]"
    if registered.cells is not None and facts.layout.series != registered.cells:
        return f"the registry says {registered.cells} cells in series, [[health.pack]] {facts.layout.series}: one of them is wrong"
    if facts.nominal_ah is None:
        if registered.capacity_wh is None:
            return "its capacity when new is not known: enter it in the registry, or nominal_ah in [[health.pack]]"
        return (
            f"no curve of voltage at rest is set for {registered.chemistry} cells: add a [[health.curve]] from the maker's data sheet, "
            "or nominal_ah in [[health.pack]]"
        )
    return ""
