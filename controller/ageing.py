"""What plans count with of the fleet's own ageing, from the depot's state and the settings. Pure.

A file that the settings name (``pack_life.calibration``) comes before what the depot found by itself; a chemistry that a person set back
counts as the table has it.
"""

from __future__ import annotations

from collections.abc import Mapping

from depot.ageing import LEAST, MOST, Ageing

NINETY = 1.645


def factors_in_force(ageing: Mapping[str, Ageing], configured: Mapping[str, tuple[float, float]]) -> Mapping[str, tuple[float, float]]:
    """Calendar and cycle factor by chemistry; one that is not in it ages as the table says."""
    own = {kind: (one.in_force.calendar, one.in_force.cycle) for kind, one in ageing.items() if one.in_force is not None}
    return {**own, **configured} if own else configured


def interval(factor: float, spread: float) -> tuple[float, float]:
    """The 90 % interval of a factor, held within what can be."""
    return max(factor - NINETY * spread, LEAST), min(factor + NINETY * spread, MOST)
