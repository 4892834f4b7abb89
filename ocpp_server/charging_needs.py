"""NotifyEVChargingNeeds of 2.0.1 and 2.1 in the depot's words: AC, DC and V2X parameters. Pure.

What the vehicle's parameters say in amperes becomes watts: of AC by the connector's own voltage and by the phases of the mode
that it asks for, as far as the connector has them; of DC by the vehicle's highest voltage. A number that cannot be true is left
out by itself and named, the others stay.
"""

from __future__ import annotations

from math import isfinite
from typing import Final, TypeVar

from depot.registry import ConnectorSpec, Current
from depot.smart_charging import ChargingNeeds
from ocpp_server.profiles import watts_per_ampere
from ocpp_server.schemas import Payload
from ocpp_server.skew import parse_time

MOST_W, MOST_WH, MOST_A, MOST_V = 10_000_000, 10_000_000, 10_000, 2_000
_PHASES: Final = {"AC_single_phase": 1, "AC_two_phase": 2}
N = TypeVar("N", int, float)


class _Numbers:
    """Takes numbers out of an object; what cannot be true is None, and named in ``doubted``."""

    def __init__(self, raw: Payload) -> None:
        self._raw = raw
        self.doubted: list[str] = []

    def take(self, name: str, most: float, *, least: float = 0.0) -> float | None:
        value = self._raw.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or not least <= value <= most:
            self.doubted.append(f"doubtful_{name}")
            return None
        return value

    def whole(self, name: str, most: int, *, least: int = 0) -> int | None:
        value = self.take(name, most, least=least)
        return None if value is None else round(value)

    def share(self, name: str) -> float | None:
        value = self.take(name, 100)
        return None if value is None else value / 100


def read_needs(req: Payload, spec: ConnectorSpec) -> tuple[ChargingNeeds, list[str]]:
    """A checked NotifyEVChargingNeeds of either version, and the names of what in it cannot be true and is left out."""
    asked: Payload = req["chargingNeeds"]
    mode: str = asked["requestedEnergyTransfer"]
    ac, dc, v2x = (_Numbers(asked.get(f"{kind}ChargingParameters", {})) for kind in ("ac", "dc", "v2x"))
    per_a = watts_per_ampere(spec, _PHASES.get(mode)) if spec.current is Current.AC else None
    volts = dc.take("evMaxVoltage", MOST_V) or ac.take("evMaxVoltage", MOST_V) or v2x.take("maxVoltage", MOST_V)
    min_a = _first(ac.take("evMinCurrent", MOST_A), v2x.take("minChargeCurrent", MOST_A))
    max_a = _first(ac.take("evMaxCurrent", MOST_A), dc.take("evMaxCurrent", MOST_A), v2x.take("maxChargeCurrent", MOST_A))
    per = per_a if per_a is not None else volts
    max_w = _first(_summed(v2x, "maxChargePower"), dc.whole("evMaxPower", MOST_W), None if max_a is None or not per else round(max_a * per))
    min_w = _first(_summed(v2x, "minChargePower"), None if min_a is None or not per else round(min_a * per))
    needs = ChargingNeeds(
        mode,
        departure=parse_time(asked.get("departureTime")),
        energy_wh=_first(v2x.whole("evTargetEnergyRequest", MOST_WH), ac.whole("energyAmount", MOST_WH), dc.whole("energyAmount", MOST_WH)),
        min_energy_wh=v2x.whole("evMinEnergyRequest", MOST_WH, least=-MOST_WH),
        max_energy_wh=v2x.whole("evMaxEnergyRequest", MOST_WH, least=-MOST_WH),
        min_w=min_w,
        max_w=max_w,
        min_a=min_a,
        max_a=max_a,
        max_v=volts,
        discharge_min_w=_summed(v2x, "minDischargePower"),
        discharge_max_w=_summed(v2x, "maxDischargePower"),
        v2x_min_wh=v2x.whole("evMinV2XEnergyRequest", MOST_WH, least=-MOST_WH),
        v2x_max_wh=v2x.whole("evMaxV2XEnergyRequest", MOST_WH, least=-MOST_WH),
        capacity_wh=dc.whole("evEnergyCapacity", MOST_WH, least=1),
        soc=dc.share("stateOfCharge"),
        full_soc=dc.share("fullSoC"),
        bulk_soc=dc.share("bulkSoC"),
        target_soc=v2x.share("targetSoC"),
        control=asked.get("controlMode", ""),
        mobility=asked.get("mobilityNeedsMode", ""),
        offers=tuple(dict.fromkeys(asked.get("availableEnergyTransfer", ())))[:16],
        tuples=req.get("maxScheduleTuples") or None,
        reported_at=parse_time(req.get("timestamp")),
    )
    doubted = [*ac.doubted, *dc.doubted, *v2x.doubted]
    if asked.get("departureTime") is not None and needs.departure is None:
        doubted.append("distrusted_time")
    return needs, doubted


def _first(*values: N | None) -> N | None:
    return next((value for value in values if value is not None), None)


def _summed(numbers: _Numbers, name: str) -> int | None:
    """2.1: of all phases, or of L1 where L2 and L3 stand beside it."""
    parts = [numbers.whole(part, MOST_W) for part in (name, f"{name}_L2", f"{name}_L3")]
    return None if parts[0] is None else sum(part for part in parts if part is not None)
