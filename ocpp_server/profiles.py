"""Charging profiles (OCPP 1.6 §3.13, §7.8): a setpoint becomes a schedule that ends by itself. Pure.

Every (role, connector) has one stable ``chargingProfileId``, so that a newer profile replaces the older one and
never stacks up. The live profile stands above the installed default by its ``stackLevel``.

W are whole watts, rounded down. A are amperes per phase, rounded DOWN to 0.1: ``W / (phases × voltage_v)`` for AC
(unknown phases: all three). A DC station that is limited in A is taken at its output voltage: the largest that the
connector can have is the safe one, so ``voltage_v`` must state it; where it states a mains voltage, 1000 V is assumed.

A setpoint below 0 is a discharge: OCPP 2.1 alone has words for it (ChargingSchedulePeriodType with operationMode
CentralSetpoint, setpoint and dischargeLimit below 0), and it stands in a TxProfile only.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from depot.registry import ConnectorSpec, Current
from depot.values import Outlook, Setpoint
from ocpp_server.price_schedules import absolute_prices, sales_tariff
from ocpp_server.skew import wire_time
from ocpp_server.version import Version

START_MARGIN = timedelta(seconds=10)
"""A schedule starts this much before now, so that a clock that lags leaves no moment without a limit."""
LIVE_STACK_LEVEL = 2
DEFAULT_STACK_LEVEL = 0
TRIAL = timedelta(seconds=60)
"""How long the profile lives that shows whether a default comes back."""
_TRIAL_ROLE = 5
_MAINS_VOLTAGE = 300
_LARGEST_DC_VOLTAGE = 1000


class Purpose(StrEnum):
    """OCPP 1.6 §7.9 ChargingProfilePurposeType."""

    TX = "TxProfile"
    TX_DEFAULT = "TxDefaultProfile"
    MAX = "ChargePointMaxProfile"


@dataclass(frozen=True, slots=True)
class Rung:
    """One way of saying a limit to a station. ``kind`` Absolute or Relative."""

    purpose: Purpose
    unit: str
    kind: str = "Absolute"


def live_ladder(units: tuple[str, ...], purposes: frozenset[str], *, max_stack_level: int | None, connectors: int) -> list[Rung]:
    """Ways to say a live setpoint, best first (reference no. 11): TxProfile; TxDefaultProfile where it can lie above
    the installed default; ChargePointMaxProfile only where the station has one connector (no. 15)."""
    ladder = [Rung(Purpose.TX, unit) for unit in units]
    if max_stack_level is None or max_stack_level > DEFAULT_STACK_LEVEL:
        ladder += [Rung(Purpose.TX_DEFAULT, unit) for unit in units]
    if connectors == 1:
        ladder += [Rung(Purpose.MAX, unit) for unit in units]
    return [rung for rung in ladder if rung.purpose in purposes]


def default_ladder(units: tuple[str, ...], purposes: frozenset[str]) -> list[Rung]:
    """Ways to install a default. Relative first: it needs no clock, so a station that boots in 1970 holds it too."""
    if Purpose.TX_DEFAULT not in purposes:
        return []
    return [Rung(Purpose.TX_DEFAULT, unit, kind) for unit in units for kind in ("Relative", "Absolute")]


def live_profile(
    setpoint: Setpoint, spec: ConnectorSpec, rung: Rung, *, now: datetime, skew: timedelta, max_stack_level: int | None
) -> dict[str, Any]:
    """``csChargingProfiles`` for a setpoint, in the charger's time; it expires at ``setpoint.until``."""
    start = now + skew - START_MARGIN
    until = setpoint.until + skew
    profile: dict[str, Any] = {
        "chargingProfileId": profile_id(rung.purpose, setpoint.connector.connector, live=True),
        "stackLevel": _stack_level(max_stack_level),
        "chargingProfilePurpose": rung.purpose.value,
        "chargingProfileKind": "Absolute",
        "validTo": wire_time(until),
        "chargingSchedule": {
            "duration": int((until - start).total_seconds()),
            "startSchedule": wire_time(start),
            "chargingRateUnit": rung.unit,
            "chargingSchedulePeriod": [_period(setpoint.level_w, spec, rung.unit)],
        },
    }
    if rung.purpose is Purpose.TX and setpoint.transaction_id is not None:
        profile["transactionId"] = setpoint.transaction_id
    return profile


def with_outlook(
    profile: dict[str, Any], outlook: Outlook, spec: ConnectorSpec, *, skew: timedelta, most: int | None, priced_by: Version
) -> dict[str, Any]:
    """A live profile whose schedule goes on after it has expired, for a vehicle that plans by itself: ``outlook``, and the prices
    of the time. It ends when it did (``validTo``); what goes on is no more than the default that holds then, so that a station
    which keeps it all the same allows nothing else (ADR 0013). ``most``: periods that the station takes, None: not known.
    ``priced_by``: what the version has for prices."""
    schedule = profile["chargingSchedule"]
    start = datetime.fromisoformat(schedule["startSchedule"])
    unit, over_s = schedule["chargingRateUnit"], schedule["duration"]
    ends = outlook.ends + skew
    periods = list(schedule["chargingSchedulePeriod"])
    for at, level_w in outlook.steps[: max(0, min(outlook.most, most or outlook.most) - 1)]:
        begins_s = max(over_s, int((at + skew - start).total_seconds()))
        if begins_s > periods[-1]["startPeriod"]:
            periods.append({**_period(level_w, spec, unit), "startPeriod": begins_s})
    if len(periods) == 1:
        return profile
    made = {**schedule, "duration": int((ends - start).total_seconds()), "chargingSchedulePeriod": periods}
    prices = [(at + skew, price) for at, price in outlook.prices]
    number = profile["chargingProfileId"]
    if outlook.iso_20 and priced_by is Version.V21:
        made["absolutePriceSchedule"] = absolute_prices(prices, start=start, ends=ends, number=number, currency=outlook.currency)
    else:
        made["salesTariff"] = sales_tariff(prices, start=start, ends=ends, number=number)
    return {**profile, "chargingSchedule": {key: value for key, value in made.items() if value is not None}}


def default_profile(level_w: int, connector: int, spec: ConnectorSpec, rung: Rung, *, now: datetime, skew: timedelta) -> dict[str, Any]:
    """``csChargingProfiles`` of a default: no end, below every live profile."""
    schedule: dict[str, Any] = {"chargingRateUnit": rung.unit, "chargingSchedulePeriod": [_period(level_w, spec, rung.unit)]}
    if rung.kind == "Absolute":
        schedule["startSchedule"] = wire_time(now + skew - START_MARGIN)
    return {
        "chargingProfileId": profile_id(Purpose.TX_DEFAULT, connector, live=False),
        "stackLevel": DEFAULT_STACK_LEVEL,
        "chargingProfilePurpose": Purpose.TX_DEFAULT.value,
        "chargingProfileKind": rung.kind,
        "chargingSchedule": schedule,
    }


def trial_profile(level_w: int, connector: int, spec: ConnectorSpec, unit: str, *, now: datetime, skew: timedelta) -> dict[str, Any]:
    """``csChargingProfiles`` of a trial: it lies over the default for :data:`TRIAL` and must leave it as it was."""
    start, until = now + skew - START_MARGIN, now + skew + TRIAL
    return {
        "chargingProfileId": connector * 10 + _TRIAL_ROLE,
        "stackLevel": DEFAULT_STACK_LEVEL + 1,
        "chargingProfilePurpose": Purpose.TX_DEFAULT.value,
        "chargingProfileKind": "Absolute",
        "validTo": wire_time(until),
        "chargingSchedule": {
            "duration": int((until - start).total_seconds()),
            "startSchedule": wire_time(start),
            "chargingRateUnit": unit,
            "chargingSchedulePeriod": [_period(level_w, spec, unit)],
        },
    }


def profile_id(purpose: Purpose, connector: int, *, live: bool) -> int:
    """Stable and unique per connector, purpose and role."""
    role = {Purpose.TX: 1, Purpose.TX_DEFAULT: 2, Purpose.MAX: 3}[purpose] if live else 4
    return connector * 10 + role


def amperes(level_w: int, spec: ConnectorSpec) -> float:
    """Current per phase that draws at most ``level_w``, A, rounded down to 0.1 (integer arithmetic: no float noise)."""
    return level_w * 10 // watts_per_ampere(spec) / 10


def watts_per_ampere(spec: ConnectorSpec, phases: int | None = None) -> int:
    """What 1 A per phase is worth on the connector, W. ``phases``: those that a schedule names, None: all that there are."""
    if spec.current is Current.DC:
        return spec.voltage_v if spec.voltage_v > _MAINS_VOLTAGE else _LARGEST_DC_VOLTAGE
    return min(phases or 3, _phases(spec)) * spec.voltage_v


def _phases(spec: ConnectorSpec) -> int:
    return len(spec.phases) or 3


def _period(level_w: int, spec: ConnectorSpec, unit: str) -> dict[str, Any]:
    if level_w < 0:
        gives = -amperes(-level_w, spec) if unit == "A" else level_w  # towards 0: no more than it was told
        period: dict[str, Any] = {
            "startPeriod": 0, "operationMode": "CentralSetpoint", "setpoint": gives, "limit": 0, "dischargeLimit": gives
        }  # fmt: skip
    else:
        period = {"startPeriod": 0, "limit": amperes(level_w, spec) if unit == "A" else level_w}
    if spec.current is Current.AC:
        period["numberPhases"] = _phases(spec)
    return period


def _stack_level(max_stack_level: int | None) -> int:
    return LIVE_STACK_LEVEL if max_stack_level is None else max(0, min(max_stack_level, LIVE_STACK_LEVEL))
