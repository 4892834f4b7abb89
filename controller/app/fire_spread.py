"""``chargeyard fire-spread``: for planning: what would follow if the vehicle in a bay burned, by the layout in the settings."""

from __future__ import annotations

import difflib
from pathlib import Path

from rich.console import Console

from bms_bridge.bay_propagation import HORIZON_MIN, neighbours, to_clear
from bms_bridge.pack_propagation import spread
from controller.settings import Settings
from depot.values import InvalidValue, UnknownThing


def show_spread(bay: str, config: Path, console: Console, *, stored_kwh: float, soc: float) -> int:
    """Print which bays follow and when, which are to be cleared, and what the pack itself does. A bay without a place is refused."""
    layout = Settings.load(config).to_layout()
    if layout is None:
        raise InvalidValue(f"{config} says nothing of where vehicles stand: write a [[bay]] section for each bay (docs/state-of-safety.md)")
    if bay not in layout:
        near = difflib.get_close_matches(bay, list(layout), n=1)
        raise UnknownThing(f"{config} gives bay {bay} no place" + (f"; did you mean {near[0]}?" if near else ""))
    pack = spread(None, soc)
    second = pack.modules_s[1][0]
    lines = [
        f"{bay}: {stored_kwh:g} kWh, {soc:.0%} full, a pack of which nothing is known: {pack.advice}"
        + (f", a second module after {second:.0f} s at the earliest" if second is not None else ""),
        f"Bays that may follow within {HORIZON_MIN:.0f} min, if in every bay stands such a vehicle, full:",
    ]
    following = neighbours(layout, bay, stored_kwh * 1000.0, soc)
    for row in following:
        latest = f"{row.minutes_high:.1f}" if row.minutes_high is not None else "perhaps never"
        lines.append(f"    {row.bay_id}: after {row.minutes_low:.1f} min at the earliest, {latest} at the latest")
    if not following:
        lines.append("    none")
    lines.append(f"People leave: {', '.join(to_clear(layout, bay))}")
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    return 0
