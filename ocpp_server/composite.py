"""The composite schedule of a connector: what its charging profiles allow together, instant by instant. Pure.

    profiles --that hold at this instant--> the highest stack level of each purpose --> TxProfile instead of TxDefaultProfile,
    the least of it and ChargePointMaxProfile

After OCPP 1.6 §3.13 and §7.8 to §7.14. Where the norm leaves room, this is how it is read here:

- A profile whose schedule is over, or has not begun, leaves the field to the next lower stack level (§3.13.2).
- TxDefaultProfiles of connector 0 hold for every connector; they compete with its own ones by stack level, and the own
  one stands above at the same level.
- A schedule without ``startSchedule``, and a Relative one, begins with the transaction; before one begins, now.
- A Recurring schedule repeats from its ``startSchedule`` in both directions; ``validFrom`` and ``validTo`` bound it.
- ``minChargingRate`` is no limit but advice for local algorithms (§7.13): it changes nothing here.

Times are the station's. 2.0.1 says the same with other names (:func:`ocpp_server.profiles201.as_16`), and more:

- ChargingStationExternalConstraints, which others set, is one more purpose whose least counts; on an EVSE or the whole station.
- 2.1: a period may have a setpoint instead of a limit, and in W a part for each phase, which add up; below zero (discharging)
  nothing is charged; ``evseSleep`` is 0. A Dynamic profile holds from when the transaction began, with what it was last updated to.
- What cannot be calculated here makes a profile *vague* (:attr:`Profile.vague` says by what): a limit beyond a state of charge,
  a random delay, the station's local time, priority charging that may be on, power generated there. A vague profile counts with its
  plain limits, and no comparison is made with it. How long a profile lives without a connection matters to no connected station.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from math import isfinite
from typing import Any

from depot.registry import ConnectorSpec
from ocpp_server.profiles import Purpose, watts_per_ampere


class Foreign(StrEnum):
    """Purposes of 2.x that the depot's own profiles never have."""

    EXTERNAL = "ChargingStationExternalConstraints"
    PRIORITY = "PriorityCharging"
    GENERATION = "LocalGeneration"


PHASES = 3
"""§7.14 ``numberPhases``: assumed unless another number is given."""
_EVERY = {"Daily": timedelta(days=1), "Weekly": timedelta(days=7)}
MOST_PERIODS = 5000
"""Periods of one profile that are read; a schedule for a year in hours is longer than any charger holds."""


class UnreadableProfile(ValueError):
    """A profile that cannot be understood; the message says why."""


@dataclass(frozen=True, slots=True)
class Period:
    """From ``start_s`` after the schedule's start: ``limit`` in the schedule's unit, over ``phases`` (None: not said)."""

    start_s: float
    limit: float
    phases: int | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile on a connector (0: the whole station). ``every`` None: not recurring. ``start`` None: it begins with the
    transaction. ``transaction``: the one that it is for, as text. ``vague``: why it can't be calculated exactly."""

    connector: int
    profile_id: int
    stack_level: int
    purpose: Purpose | Foreign
    unit: str
    periods: tuple[Period, ...]
    every: timedelta | None = None
    start: datetime | None = None
    duration_s: float | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    transaction: str | None = None
    vague: str = ""

    def replaces(self, other: Profile) -> bool:
        """Whether a station that takes this one drops ``other`` (§3.13.2, §5.16): the same id, or the same purpose and stack
        level on the same connector."""
        same = (self.connector, self.purpose, self.stack_level) == (other.connector, other.purpose, other.stack_level)
        return same or self.profile_id == other.profile_id

    def ends_at(self) -> datetime | None:
        """When it is over by itself; None: never, or with the transaction."""
        ends = [self.valid_to] if self.valid_to is not None else []
        if self.every is None and self.start is not None and self.duration_s is not None:
            ends.append(after(self.start, self.duration_s))
        return min(ends, default=None)


@dataclass(frozen=True, slots=True)
class Transaction:
    """What runs on the connector: its id as text, and when it began, in the station's time."""

    transaction_id: str
    began: datetime


@dataclass(frozen=True, slots=True)
class Segment:
    """From ``start_s`` on: at most ``limit`` over ``phases``; None: nothing limits."""

    start_s: float
    limit: float | None
    phases: int | None = None


def read_profile(connector: int, payload: Mapping[str, Any]) -> Profile:
    """``csChargingProfiles`` as it goes over the wire. Raises :class:`UnreadableProfile`."""
    try:
        schedule = payload["chargingSchedule"]
        kind, recurrency = payload["chargingProfileKind"], payload.get("recurrencyKind")
        if kind not in ("Absolute", "Relative", "Recurring", "Dynamic") or (kind == "Recurring" and str(recurrency) not in _EVERY):
            raise UnreadableProfile(f"its kind {kind!r} with recurrency {recurrency!r} is none of the norm")
        periods = tuple(
            Period(float(row["startPeriod"]), _limit_of(row), row.get("numberPhases")) for row in schedule["chargingSchedulePeriod"]
        )
        _check(periods)
        duration = schedule.get("duration")
        transaction = payload.get("transactionId")
        if schedule["chargingRateUnit"] not in ("W", "A"):
            raise UnreadableProfile(f"its unit {schedule['chargingRateUnit']!r} is neither W nor A")
        return Profile(
            connector=connector,
            profile_id=int(payload["chargingProfileId"]),
            stack_level=int(payload["stackLevel"]),
            purpose=_PURPOSES[payload["chargingProfilePurpose"]],
            unit=schedule["chargingRateUnit"],
            periods=periods,
            every=_EVERY[str(recurrency)] if kind == "Recurring" else None,
            start=None if kind in ("Relative", "Dynamic") else read_time(schedule.get("startSchedule")),
            duration_s=None if duration is None else float(duration),
            valid_from=read_time(payload.get("validFrom")),
            valid_to=read_time(payload.get("validTo")),
            transaction=None if transaction is None else str(transaction),
            vague=_vague(payload, schedule),
        )
    except UnreadableProfile:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UnreadableProfile(f"it cannot be read: {error!r}") from error


_PURPOSES: Mapping[str, Purpose | Foreign] = {purpose.value: purpose for purpose in (*Purpose, *Foreign)}


def _limit_of(row: Mapping[str, Any]) -> float:
    """Of a period of any version. Raises ``KeyError`` for one that says neither limit nor setpoint."""
    if row.get("evseSleep"):
        return 0.0
    if "limit" in row and not (row.keys() & {"limit_L2", "dischargeLimit", "setpoint"}):
        return float(row["limit"])
    name = "limit" if "limit" in row else "setpoint"
    return max(0.0, float(row[name]) + sum(float(row.get(f"{name}_{phase}") or 0.0) for phase in ("L2", "L3")))


def _vague(payload: Mapping[str, Any], schedule: Mapping[str, Any]) -> str:
    """What of a profile of 2.1 depends on more than time."""
    if payload["chargingProfilePurpose"] == Foreign.PRIORITY:
        return "priority charging may be on or off"
    if payload["chargingProfilePurpose"] == Foreign.GENERATION:
        return "power generated at the station adds to what it may draw"
    if schedule.get("limitAtSoC"):
        return "a limit that depends on the state of charge"
    if schedule.get("randomizedDelay"):
        return "a start that is delayed at random"
    if schedule.get("useLocalTime"):
        return "times that are the station's local ones"
    return ""


def _check(periods: tuple[Period, ...]) -> None:
    if not periods or len(periods) > MOST_PERIODS:
        raise UnreadableProfile(f"it has {len(periods)} periods; 1 to {MOST_PERIODS} can be read")
    if not all(isfinite(p.start_s) and isfinite(p.limit) and p.start_s >= 0 and p.limit >= 0 for p in periods):
        raise UnreadableProfile("a period begins, or limits, below 0 or nowhere")
    if any(a.start_s >= b.start_s for a, b in pairwise(periods)):
        raise UnreadableProfile("its periods do not ascend")
    if any(p.phases is not None and p.phases not in (1, 2, 3) for p in periods):
        raise UnreadableProfile("a number of phases that is none")


def read_time(text: str | None) -> datetime | None:
    """A profile's time as aware UTC, believed whatever it says (9999 means never); without a zone UTC is meant. Raises
    ``ValueError``."""
    if text is None:
        return None
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def composite(
    profiles: Iterable[Profile],
    *,
    connector: int,
    spec: ConnectorSpec,
    now: datetime,
    duration_s: float,
    unit: str,
    transaction: Transaction | None = None,
) -> list[Segment]:
    """What ``connector`` may draw in [now, now + duration_s), in ``unit``: one segment for each change, the first at 0.

    ``spec``: its phases and voltage, where units have to be converted. ``transaction`` None: none runs, and no TxProfile holds.
    """
    began = now if transaction is None else transaction.began
    concerned = [p for p in profiles if _concerns(p, connector, transaction)]
    end = after(now, duration_s)
    moments = {now}
    for profile in concerned:
        moments.update(at for at in _changes(profile, began, now, end) if now < at < end)
    segments: list[Segment] = []
    for at in sorted(moments) if duration_s > 0 else ():
        limit, phases = _allowed(concerned, connector, at, began, unit, spec)
        if not segments or (segments[-1].limit, segments[-1].phases) != (limit, phases):
            segments.append(Segment((at - now).total_seconds(), limit, phases))
    return segments


def _concerns(profile: Profile, connector: int, transaction: Transaction | None) -> bool:
    match profile.purpose:
        case Purpose.TX:
            runs = transaction is not None and profile.transaction in (None, transaction.transaction_id)
            return profile.connector == connector and runs
        case Purpose.TX_DEFAULT:
            return connector > 0 and profile.connector in (0, connector)
        case Purpose.MAX:
            return True
        case Foreign.EXTERNAL:
            return profile.connector in (0, connector)
    return False


def _allowed(
    profiles: list[Profile], connector: int, at: datetime, began: datetime, unit: str, spec: ConnectorSpec
) -> tuple[float | None, int | None]:
    """The limit at one instant, in ``unit``, and its phases."""
    best: dict[tuple[Purpose | Foreign, int], tuple[tuple[int, bool], Profile, Period]] = {}
    for profile in profiles:
        period = _period_at(profile, at, began)
        if period is None:
            continue
        rank = (profile.stack_level, profile.connector == connector)
        slot = (profile.purpose, profile.profile_id if profile.purpose is Foreign.EXTERNAL else 0)  # each of them limits
        if slot not in best or rank > best[slot][0]:
            best[slot] = (rank, profile, period)
    if (Purpose.TX, 0) in best:
        best.pop((Purpose.TX_DEFAULT, 0), None)
    found = [(converted(period, profile.unit, unit, spec), period.phases or PHASES) for _, profile, period in best.values()]
    if not found:
        return None, None
    return min(limit for limit, _ in found), min(phases for _, phases in found)


def converted(period: Period, unit: str, wanted: str, spec: ConnectorSpec) -> float:
    """The limit of ``period`` in the unit ``wanted``, by the phases that it uses and the connector has."""
    if unit == wanted:
        return period.limit
    factor = watts_per_ampere(spec, period.phases)
    return period.limit * factor if wanted == "W" else period.limit / factor


def _period_at(profile: Profile, at: datetime, began: datetime) -> Period | None:
    """The period of the profile that holds at ``at``; None: the profile does not."""
    if (profile.valid_from is not None and at < profile.valid_from) or (profile.valid_to is not None and at >= profile.valid_to):
        return None
    start = profile.start or began
    elapsed = at - start
    if profile.every is not None:
        elapsed %= profile.every
    into_s = elapsed.total_seconds()
    if into_s < 0 or (profile.duration_s is not None and into_s >= profile.duration_s):
        return None
    return next((period for period in reversed(profile.periods) if period.start_s <= into_s), None)


def _changes(profile: Profile, began: datetime, now: datetime, end: datetime) -> Iterator[datetime]:
    """Every moment in [now, end) at which the profile may begin to say something else, and perhaps others."""
    yield from (at for at in (profile.valid_from, profile.valid_to) if at is not None)
    offsets = [period.start_s for period in profile.periods]
    if profile.duration_s is not None:
        offsets.append(profile.duration_s)
    start = profile.start or began
    if profile.every is None:
        starts: Iterable[datetime] = (start,)
    else:
        first = start + (now - start) // profile.every * profile.every
        starts = (first + k * profile.every for k in range((end - first) // profile.every + 1))
    for base in starts:
        yield base
        for offset in offsets:
            if profile.every is None or offset < profile.every.total_seconds():
                yield after(base, offset)


def after(start: datetime, seconds: float) -> datetime:
    """``seconds`` after ``start``; later than any date: the last one there is."""
    try:
        return start + timedelta(seconds=seconds)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)
