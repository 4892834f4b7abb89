"""The rules by which a pack is derated or tripped, each a small pure module; :mod:`bms_bridge.rules.frame` says what a rule is.

    Checked sample --> every SampleRule of RULES --+
    a second passed -> every TimeRule of TIMED ----+--> findings --> bms_bridge.thermal --> verdict
    a second passed -> FleetRules of the guard ----+

A sample that trips for several reasons is told of by the first one in the order of :data:`RULES`.
"""

from __future__ import annotations

from typing import Final

from bms_bridge.rules import alarms, heat, rise, sensors, spread
from bms_bridge.rules.frame import SampleRule, TimeRule

RULES: Final[tuple[SampleRule, ...]] = (alarms.RULE, heat.RULE, rise.RUNAWAY, spread.RULE, sensors.RULE, rise.RISE)
TIMED: Final[tuple[TimeRule, ...]] = ()
