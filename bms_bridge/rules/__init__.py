"""The rules by which a pack is derated or tripped, each a small pure module; :mod:`bms_bridge.rules.frame` says what a rule is.

    Checked sample --> every SampleRule of RULES --+
    a second passed -> every TimeRule of TIMED ----+--> findings --> bms_bridge.thermal --> verdict
    a second passed -> FleetRules of the guard ----+

A sample that trips for several reasons is told of by the first one in the order of :data:`RULES`.
"""

from __future__ import annotations

from typing import Final

from bms_bridge.rules import alarms, cells, collapse, current, fullness, heat, imbalance, insulation, power, rise, sensors, spread, stops
from bms_bridge.rules.frame import SampleRule, TimeRule

RULES: Final[tuple[SampleRule, ...]] = (
    alarms.RULE,
    heat.RULE,
    rise.RUNAWAY,
    collapse.RULE,
    insulation.RULE,
    cells.HIGH,
    cells.LOW,
    imbalance.RULE,
    current.BATTERY,
    current.TABLE,
    current.CHARGER,
    spread.RULE,
    rise.RISE,
    sensors.RULE,
    fullness.RULE,
    power.RULE,
)
TIMED: Final[tuple[TimeRule, ...]] = (stops.STOP, stops.TIME)
