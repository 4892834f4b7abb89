"""A charging station's own reading of OCPP 1.6 smart charging: which profile is in force now, and until when.

Written apart from the central system's composite calculator, so that the two can contradict each other.
OCPP 1.6 §3.13: ChargePointMaxProfile caps everything; TxProfile stands over TxDefaultProfile; within a purpose the
highest stack level that is in force decides; a profile that has run out leaves the field to the one below.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from ocpp.v16.enums import ChargingProfileKindType as Kind
from ocpp.v16.enums import ChargingProfilePurposeType as Purpose
from ocpp.v16.enums import ChargingRateUnitType as Unit
from ocpp.v16.enums import RecurrencyKind


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a schedule allows: ``limit`` in ``unit`` over ``phases`` (W: their total; A: each). Below 0 it is what the vehicle
    shall give (OCPP 2.1, operation mode CentralSetpoint)."""

    limit: float
    unit: Unit
    phases: int = 3


@dataclass(frozen=True, slots=True)
class Profile:
    """One installed profile. ``periods``: (seconds from the schedule's start, what holds from then on), ascending."""

    profile_id: int
    stack_level: int
    purpose: Purpose
    kind: Kind
    periods: tuple[tuple[float, Allowed], ...]
    installed_at: datetime
    recurrency: RecurrencyKind | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    schedule_start: datetime | None = None
    duration_s: float | None = None
    transaction_id: int | str | None = None

    @property
    def unit(self) -> Unit:
        return self.periods[0][1].unit

    @classmethod
    def parse(cls, data: Mapping[str, Any], *, now: datetime) -> Profile:
        """Read ``csChargingProfiles`` with snake_case keys. Raises ValueError (a KeyError never: the schema is checked before)."""
        schedule = data["charging_schedule"]
        unit = Unit(schedule["charging_rate_unit"])
        periods = tuple(
            (float(row["start_period"]), Allowed(_level(row), unit, int(row.get("number_phases", 3))))
            for row in schedule["charging_schedule_period"]
        )
        if not periods or periods[0][0] != 0 or any(a[0] >= b[0] for a, b in pairwise(periods)):
            raise ValueError("periods must begin at 0 and ascend")
        recurrency = data.get("recurrency_kind")
        kind = Kind(data["charging_profile_kind"])
        if (kind is Kind.recurring) != (recurrency is not None):
            raise ValueError("a recurring profile, and no other, names its recurrency")
        duration = schedule.get("duration")
        return cls(
            profile_id=int(data["charging_profile_id"]),
            stack_level=int(data["stack_level"]),
            purpose=Purpose(data["charging_profile_purpose"]),
            kind=kind,
            periods=periods,
            installed_at=now,
            recurrency=RecurrencyKind(recurrency) if recurrency is not None else None,
            valid_from=_optional(data.get("valid_from")),
            valid_to=_optional(data.get("valid_to")),
            schedule_start=_optional(schedule.get("start_schedule")),
            duration_s=float(duration) if duration is not None else None,
            transaction_id=data.get("transaction_id"),
        )

    def at(self, now: datetime, transaction_start: datetime | None) -> tuple[Allowed | None, datetime | None]:
        """What the profile allows at ``now`` (None: not in force), and when that may next change (None: never)."""
        if self.valid_to is not None and now >= self.valid_to:
            return None, None
        if self.valid_from is not None and now < self.valid_from:
            return None, self.valid_from
        start = self._start(now, transaction_start)
        if start is None:
            return None, self.valid_to
        if now < start:
            return None, _first(start, self.valid_to)
        repeat = start + self._every() if self.kind is Kind.recurring else None
        end = start + timedelta(seconds=self.duration_s) if self.duration_s is not None else None
        if end is not None and now >= end:
            return None, _first(repeat, self.valid_to)
        elapsed = (now - start).total_seconds()
        allowed = self.periods[0][1]
        following: datetime | None = None
        for offset, candidate in self.periods:
            if offset > elapsed:
                following = start + timedelta(seconds=offset)
                break
            allowed = candidate
        return allowed, _first(following, end, repeat, self.valid_to)

    def _start(self, now: datetime, transaction_start: datetime | None) -> datetime | None:
        if self.kind is Kind.relative:
            return transaction_start
        start = self.schedule_start or transaction_start or self.installed_at
        if self.kind is Kind.recurring and now >= start:
            start += ((now - start) // self._every()) * self._every()
        return start

    def _every(self) -> timedelta:
        return timedelta(days=7 if self.recurrency is RecurrencyKind.weekly else 1)


def _level(row: Mapping[str, Any]) -> float:
    """A period's limit; of a central setpoint below 0 that, no further than its discharge limit. Raises ValueError for others."""
    if row.get("operation_mode") == "CentralSetpoint" and float(row.get("setpoint", 0.0)) < 0:
        return max(float(row["setpoint"]), float(row.get("discharge_limit", row["setpoint"])))
    if float(row["limit"]) < 0:
        raise ValueError("a limit below 0")
    return float(row["limit"])


class ProfileStack:
    """The profiles that a station holds, by connector (0: the whole station), purpose and stack level."""

    def __init__(self) -> None:
        self._slots: dict[tuple[int, Purpose, int], Profile] = {}

    def __len__(self) -> int:
        return len(self._slots)

    def held(self) -> list[tuple[int, Profile]]:
        """Every profile with its connector."""
        return [(slot[0], profile) for slot, profile in self._slots.items()]

    def install(self, connector: int, profile: Profile) -> None:
        """Add ``profile``; it replaces one with its id anywhere, and one of its purpose and level on the connector (§5.16)."""
        self._slots = {slot: p for slot, p in self._slots.items() if p.profile_id != profile.profile_id}
        self._slots[connector, profile.purpose, profile.stack_level] = profile

    def clear(
        self, *, profile_id: int | None = None, connector: int | None = None, purpose: Purpose | None = None, stack_level: int | None = None
    ) -> bool:
        """Remove what matches: the id alone, or else all of the criteria given (§5.3). Returns whether anything did."""
        if profile_id is not None:
            doomed = [slot for slot, p in self._slots.items() if p.profile_id == profile_id]
        else:
            doomed = [
                slot
                for slot in self._slots
                if connector in (None, slot[0]) and purpose in (None, slot[1]) and (stack_level is None or stack_level == slot[2])
            ]
        for slot in doomed:
            del self._slots[slot]
        return bool(doomed)

    def end_transaction(self, connector: int) -> None:
        """A transaction's own profiles end with it (§3.13.1)."""
        self._slots = {slot: p for slot, p in self._slots.items() if slot[:2] != (connector, Purpose.tx_profile)}

    def forget(self) -> None:
        self._slots.clear()

    def in_force(
        self, connector: int, now: datetime, transaction_start: datetime | None
    ) -> tuple[Allowed | None, Allowed | None, datetime | None]:
        """For a connector at ``now``: what its transaction may draw, the cap of the whole station (None: no limit), and
        the next moment at which either may change by itself."""
        changes: list[datetime] = []

        def best(on: int, purpose: Purpose) -> Allowed | None:
            found: Allowed | None = None
            level = -1
            for (where, what, stack_level), profile in self._slots.items():
                if where == on and what is purpose:
                    allowed, change = profile.at(now, transaction_start)
                    if change is not None:
                        changes.append(change)
                    if allowed is not None and stack_level > level:
                        found, level = allowed, stack_level
            return found

        own = best(connector, Purpose.tx_profile)
        default = best(connector, Purpose.tx_default_profile)
        common = best(0, Purpose.tx_default_profile)
        cap = best(0, Purpose.charge_point_max_profile)
        return own or default or common, cap, min(changes, default=None)

    def composite(
        self, connector: int, now: datetime, *, seconds: int, transaction_start: datetime | None, watts: Callable[[Allowed], float]
    ) -> list[tuple[int, float | None]]:
        """The coming ``seconds`` as (second from now, W; None: no limit), one entry for each change (§5.7)."""
        out: list[tuple[int, float | None]] = []
        at: datetime | None = now
        end = now + timedelta(seconds=seconds)
        while at is not None and at < end:
            own, cap, change = self.in_force(connector, at, transaction_start)
            level = min((watts(allowed) for allowed in (own, cap) if allowed is not None), default=None)
            if not out or out[-1][1] != level:
                out.append((round((at - now).total_seconds()), level))
            at = change if change is None or change > at else at + timedelta(seconds=1)
        return out


def _first(*moments: datetime | None) -> datetime | None:
    return min((m for m in moments if m is not None), default=None)


def _optional(text: str | None) -> datetime | None:
    return None if text is None else read_time(text)


def read_time(text: str) -> datetime:
    """An OCPP time as aware UTC; without a zone, UTC is meant. Raises ValueError."""
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
