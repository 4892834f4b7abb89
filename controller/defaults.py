"""Which default each connector holds for the time when the controller is dead (invariant 3). Pure.

Σ defaults ≤ fail-safe limit − worst background, and per feeder and shared cabinet, with all that hangs on it, ≤ its rating. Where
the minimum powers do not all fit, some defaults are 0, in rotation from day to day, so that it is not always the same vehicles that
wait.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy

from controller.feeder_tree import above
from depot.registry import DepotSpec
from depot.values import ConnectorId


class _Left:
    """What feeders and shared cabinets leave, W."""

    def __init__(self, spec: DepotSpec) -> None:
        self._spec = spec
        self._paths = {node: above(node, spec.node_parents) for node in spec.nodes}
        self._watts = dict(spec.nodes)

    def of(self, key: ConnectorId) -> int:
        """On what a connector hangs, and on all above it."""
        return min(self._watts[feeder] for feeder in self._paths[self._spec.node_of[key]])

    def take(self, key: ConnectorId, watts: int) -> None:
        for feeder in self._paths[self._spec.node_of[key]]:
            self._watts[feeder] -= watts

    def copy(self) -> _Left:
        other = copy(self)
        other._watts = dict(self._watts)
        return other


def assign(spec: DepotSpec, *, rotation: int = 0, held: Mapping[ConnectorId, int] | None = None) -> Mapping[ConnectorId, int]:
    """Default level per connector, W: its minimum power where it fits, else 0. ``rotation``: for example the day.

    ``held``: what connectors hold already and keep (they may be offline, and were given it on another day): it comes first.
    """
    left_w = max(0, spec.failsafe_w - spec.worst_background_w)
    feeder_left = _Left(spec)
    keys = list(spec.connectors)
    turn = rotation % len(keys) if keys else 0
    out: dict[ConnectorId, int] = {}
    for key, watts in (held or {}).items():
        if key in spec.connectors:
            out[key] = watts
            left_w -= watts
            feeder_left.take(key, watts)
    for key in keys[turn:] + keys[:turn]:
        if key in out:
            continue
        minimum_w = spec.connectors[key].min_w
        fits = minimum_w > 0 and minimum_w <= left_w and minimum_w <= feeder_left.of(key)
        out[key] = minimum_w if fits else 0
        left_w -= out[key]
        feeder_left.take(key, out[key])
    return out


class Ledger:
    """What connectors hold, summed up, as long as it stays so: a thousand stations that boot at once ask one after the other."""

    def __init__(self, spec: DepotSpec, held: Mapping[ConnectorId, int]) -> None:
        self._spec = spec
        self._held = held
        self._left_w = max(0, spec.failsafe_w - spec.worst_background_w) - sum(
            watts for key, watts in held.items() if key in spec.connectors
        )
        self._feeder_left = _Left(spec)
        for key, watts in held.items():
            if key in spec.connectors:
                self._feeder_left.take(key, watts)
        self._place = {key: n for n, key in enumerate(spec.connectors)}
        self._without = {key for key in spec.connectors if key not in held}

    def anew(self, keys: Sequence[ConnectorId], *, rotation: int) -> Mapping[ConnectorId, int]:
        """As :func:`assign` gives to ``keys`` when they hold nothing, and all others what they hold."""
        if not self._without <= set(keys):
            others = {key: watts for key, watts in self._held.items() if key not in keys}
            everybody = assign(self._spec, rotation=rotation, held=others)
            return {key: everybody[key] for key in keys}
        spec, count = self._spec, max(1, len(self._place))
        left_w, feeder_left = self._left_w, self._feeder_left.copy()
        for key in keys:
            left_w += self._held.get(key, 0)
            feeder_left.take(key, -self._held.get(key, 0))
        out: dict[ConnectorId, int] = {}
        for key in sorted(keys, key=lambda key: (self._place[key] - rotation) % count):
            minimum_w = spec.connectors[key].min_w
            fits = minimum_w > 0 and minimum_w <= left_w and minimum_w <= feeder_left.of(key)
            out[key] = minimum_w if fits else 0
            left_w -= out[key]
            feeder_left.take(key, out[key])
        return out


def commissioning_notes(spec: DepotSpec) -> list[str]:
    """What the commissioning check has to say about defaults, with numbers; empty when every minimum fits."""
    defaults = assign(spec)
    needed_w = sum(c.min_w for c in spec.connectors.values())
    zero = [key for key, watts in defaults.items() if watts == 0]
    if not zero:
        return []
    left_kw = max(0, spec.failsafe_w - spec.worst_background_w) / 1000
    return [
        f"The minimum powers of all connectors need {needed_w / 1000:.1f} kW, the fail-safe limit leaves {left_kw:.1f} kW: "
        f"{len(zero)} of {len(defaults)} connectors hold a default of 0 kW when the controller is down (in rotation by day)."
    ]
