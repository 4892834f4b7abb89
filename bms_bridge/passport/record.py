"""Values for a passport out of what this depot recorded: the record of a pack's life, its health, its state of charge. Pure.

Each value says where it is from, when it was true and by which record; each value that cannot be had says why. The record is the one of
:mod:`bms_bridge.lake.lifetime` as people read it (``lifetime.shown``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from bms_bridge.passport.seal import sha256_of

HOT_C: Final = 45.0
COLD_C: Final = 0.0
"""Where extreme temperatures begin, unless the data sheet says otherwise. Both are edges of the record's bins."""

EVENTS_MOST: Final = 200
_CONDITION = "/Performance/batteryCondition"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value is from. ``what``: data sheet, record of life, estimate, battery's own word, depot. ``at``: when it was true (ISO 8601,
    UTC), "" for what never changes. ``method``: how it was made. ``record_sha256``: of the record or file that it was made from."""

    what: str
    at: str = ""
    method: str = ""
    record_sha256: str = ""

    def shown(self) -> dict[str, str]:
        """As it stands in the passport."""
        return {name: value for name, value in asdict(self).items() if value}


@dataclass(frozen=True, slots=True)
class Value:
    """A value with its source."""

    value: Any
    source: Source


@dataclass(frozen=True, slots=True)
class Health:
    """State of health as a share of nominal capacity, with its interval where there is one. ``method``: by what; ``own_word``: the
    battery's management system says so itself."""

    soh: float
    at: datetime
    method: str
    low: float | None = None
    high: float | None = None
    level: float | None = None
    own_word: bool = False
    evidence_sha256: str = ""

    def __post_init__(self) -> None:
        bounds = [value for value in (self.low, self.soh, self.high) if value is not None]
        if not all(math.isfinite(value) and 0 <= value <= 1.3 for value in bounds) or bounds != sorted(bounds):
            raise ValueError("a state of health is a share of nominal within its interval, such as 0.87 of 0.83 to 0.91")


@dataclass(frozen=True, slots=True)
class Rise:
    """Resistance of the pack beside that when new: ``ratio`` with its 90 % interval, of a time; ``method``: how it was made."""

    ratio: float
    low: float
    high: float
    at: datetime
    method: str
    evidence_sha256: str = ""


@dataclass(frozen=True, slots=True)
class Grade:
    """A grade of second life with its probability. ``band``: "" where a test is required. ``modules``: what each gives and its grade;
    ``beside``: what else it rests on, each with its interval or the reason why it is not known. Plain data."""

    band: str
    probability: float | None
    at: datetime
    method: str
    modules: tuple[Mapping[str, Any], ...] = ()
    beside: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """What the depot knows of a pack beside its data sheet. ``record``: None where the lake has never heard of it, or there is none.
    ``rise``: None where it is not known, for ``no_rise``. ``rated_ah``: of the data sheet. ``hot_c``, ``cold_c``: edges of the record's
    bins where extreme temperatures begin."""

    record: Mapping[str, Any] | None = None
    health: Health | None = None
    grade: Grade | None = None
    rise: Rise | None = None
    no_rise: str = "no resistance of this battery was measured here"
    soc: float | None = None
    soc_at: datetime | None = None
    rated_ah: float | None = None
    hot_c: float = HOT_C
    cold_c: float = COLD_C
    no_record: str = "this depot keeps no samples of batteries (no lake)"


@dataclass(slots=True)
class Told:
    """``values`` by path; ``reasons``: why there is none, by path."""

    values: dict[str, Value] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def say(self, name: str, value: Any, source: Source, *, update: bool = True) -> None:
        """A value of the condition, and when it was true."""
        path = f"{_CONDITION}/{name}"
        self.values[path] = Value(value, source)
        if update:
            self.values[f"{path.rpartition('/')[0]}/lastUpdate"] = Value(source.at, source)

    def lack(self, name: str, reason: str) -> None:
        """No value, and why."""
        for end in ("", "/lastUpdate"):
            path = f"{_CONDITION}/{name}"
            self.reasons[path if not end else f"{path.rpartition('/')[0]}{end}"] = reason


def from_records(known: Known) -> Told:
    """All values that the depot's own records give."""
    told = Told()
    _from_life(told, known)
    _from_health(told, known)
    _from_resistance(told, known)
    if known.soc is not None and known.soc_at is not None and 0 <= known.soc <= 1:
        source = Source("battery's own word", _iso(known.soc_at), "state of charge by its management system")
        told.say("stateOfCharge/stateOfChargeValue", round(100 * known.soc, 1), source)
    else:
        told.lack("stateOfCharge/stateOfChargeValue", "the battery has not told its state of charge since the controller was started")
    usable = "needs the usable energy measured by the vehicle's certification procedure (UN GTR 22), which no depot runs"
    told.lack("stateOfCertifiedEnergy/stateOfCertifiedEnergyValue", usable)
    told.lack("remainingEnergy/remainingEnergyalue", usable)
    two_ways = "charge and discharge of one and the same span are not both seen: it is driven outside of the depot"
    told.lack("remainingRoundTripEnergyEfficiency/remainingRoundTripEnergyEfficiencyValue", two_ways)
    told.reasons[f"{_CONDITION}/roundTripEfficiencyFade"] = two_ways
    rest = "what all cells lose alike no depot measures; what one loses beyond the others stands in the assessment"
    told.lack("currentSelfDischargingRate/currentSelfDischargingRateEntity", rest)
    told.reasons[f"{_CONDITION}/evolutionOfSelfDischarge/evolutionOfSelfDischargeEntityValue"] = rest
    power = "the power that is left is not measured: it needs pulses at 80 % and 20 % charge"
    told.reasons[f"{_CONDITION}/powerFade"] = power
    told.reasons[f"{_CONDITION}/remainingPowerCapability"] = power
    return told


def _from_life(told: Told, known: Known) -> None:
    names = ("capacityThroughput/capacityThroughputValue", "numberOfFullCycles/numberOfFullCyclesValue")
    temperatures = ("timeExtremeHighTemp", "timeExtremeLowTemp", "timeExtremeHighTempCharging", "timeExtremeLowTempCharging")
    record = known.record
    if record is None or not record.get("last_at"):
        reason = known.no_record if record is None else "nothing of it was heard yet"
        for path in ("energyThroughput", "negativeEvents", *(f"temperatureInformation/{name}" for name in temperatures)):
            told.reasons[f"{_CONDITION}/{path}"] = reason
        told.reasons[f"{_CONDITION}/temperatureInformation/lastUpdate"] = reason
        for name in names:
            told.lack(name, reason)
        return
    seen_h, unseen_h = float(record["seen_h"]), float(record["unseen_h"])
    span = f"seen {seen_h:.0f} h since {str(record['first_at'])[:10]}, not seen {unseen_h:.0f} h"
    digest, last = sha256_of(record), str(record["last_at"])

    def source(method: str) -> Source:
        return Source("record of life", last, f"{method}; {span}", digest)

    through_wh = float(record["energy_in_wh"]) + float(record["energy_out_wh"])
    told.say("energyThroughput", round(through_wh / 1000, 3), source("energy in and out, added up over samples"), update=False)
    through_ah = float(record["charge_in_ah"]) + float(record["charge_out_ah"])
    told.say(names[0], round(through_ah, 3), source("charge in and out, added up over samples"))
    if record["equivalent_full_cycles"] is None:
        told.lack(names[1], "full cycles need the capacity of the pack, which the registry does not have")
    else:
        told.say(names[1], record["equivalent_full_cycles"], source("throughput by twice the registered capacity"))
    told.say("negativeEvents", _events(record), source("trips, alarms and hot spells that this depot saw"), update=False)
    for name, table, hot in zip(
        temperatures,
        ("hours_by_temperature_c", "hours_by_temperature_c", "charging_hours_by_temperature_c", "charging_hours_by_temperature_c"),
        (True, False, True, False),
        strict=True,
    ):
        hours = record[table]
        if sum(hours.values()) <= 0:
            told.reasons[f"{_CONDITION}/temperatureInformation/{name}"] = "no temperature was told in that time"
            continue
        edge = known.hot_c if hot else known.cold_c
        method = f"time with the hottest sensor {'at or above' if hot else 'below'} {edge:g} °C"
        told.say(f"temperatureInformation/{name}", round(60 * _beyond(hours, edge, hot=hot), 1), source(method))
    told.reasons[f"{_CONDITION}/temperatureInformation/lastUpdate"] = "no temperature was told"


def _beyond(hours: Mapping[str, float], edge: float, *, hot: bool) -> float:
    """Hours at or above (hot), or below, an edge of the bins ``below 0``, ``0 to 10``, … ``from 80``."""
    total = 0.0
    for name, value in hours.items():
        words = name.split()
        low = -math.inf if words[0] == "below" else float(words[1] if words[0] == "from" else words[0])
        high = math.inf if words[0] == "from" else float(words[-1])
        if (hot and low >= edge) or (not hot and high <= edge):
            total += value
    return total


def is_edge(hours: Mapping[str, float], edge: float) -> bool:
    """Whether the record's bins can be cut there."""
    return any(name.split()[-1] == f"{edge:g}" for name in hours)


def _events(record: Mapping[str, Any]) -> list[dict[str, str]]:
    last = str(record["last_at"])
    found = [
        {"negativeEvent": f"protective trip: {str(trip['cause']).replace('_', ' ')}", "lastUpdate": str(trip["at"])}
        for trip in record["newest_trips"]
        if trip["what"] == "trip"
    ]
    hot = {edge: count for edge, count in record["thermal_events"].items() if count}
    found += [{"negativeEvent": f"reached {edge} °C, times: {count}", "lastUpdate": last} for edge, count in hot.items()]
    alarms = record["protection_triggers"].items()
    found += [
        {"negativeEvent": f"alarm of its management system, {name.replace('_', ' ')}, times: {count}", "lastUpdate": last}
        for name, count in alarms
    ]
    return found[-EVENTS_MOST:]


def own_health(record: Mapping[str, Any] | None) -> Health | None:
    """What the battery's management system said of its health last; None where it never did, or said what cannot be."""
    for month in reversed(record["months"] if record else ()):
        soh = month.get("soh")
        if soh is not None:
            if not 0 <= soh <= 1.3:
                return None
            at = _month_end(str(month["month"]), str(record["last_at"]) if record else "")
            return Health(float(soh), at, "told by the battery's management system, nobody measured it", own_word=True)
    return None


def _month_end(month: str, last: str) -> datetime:
    """The newest moment of a month at which something was heard."""
    newest = datetime.fromisoformat(last.replace("Z", "+00:00"))
    if newest.strftime("%Y-%m") == month:
        return newest.astimezone(UTC)
    year, number = int(month[:4]), int(month[5:])
    return datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC)


def _from_health(told: Told, known: Known) -> None:
    health = known.health
    fade, left = "capacityFade/capacityFadeValue", "remainingCapacity/remainingCapacityValue"
    if health is None:
        reason = "no state of health is known: neither estimated here nor told by the battery"
        told.lack(fade, reason)
        told.lack(left, reason)
        return
    band = f", {health.level or 0.9:.0%} interval {health.low:.1%} to {health.high:.1%}" if health.low is not None and health.high else ""
    what = "battery's own word" if health.own_word else "estimate"
    source = Source(what, _iso(health.at), f"{health.method}; state of health {health.soh:.1%}{band}", health.evidence_sha256)
    told.say(fade, round(100 * (1 - health.soh), 1), source)
    if known.rated_ah is None:
        told.lack(left, "the rated capacity (Ah) is not in the data sheet")
    else:
        told.say(left, round(health.soh * known.rated_ah, 2), source)


def _from_resistance(told: Told, known: Known) -> None:
    path, rise = f"{_CONDITION}/internalResistanceIncrease", known.rise
    if rise is None:
        told.reasons[path] = known.no_rise
        return
    row = {
        "internalResistanceIncreaseValue": round(100 * (rise.ratio - 1), 1),
        "batteryComponent": "pack",
        "lastUpdate": _iso(rise.at),
    }
    how = f"{rise.method}; {rise.ratio:.2f} times that when new, 90% interval {rise.low:.2f} to {rise.high:.2f}"
    told.values[path] = Value([row], Source("estimate", _iso(rise.at), how, rise.evidence_sha256))


def assessment(known: Known) -> dict[str, Any]:
    """The depot's own assessment, for who repurposes the battery: beyond what Annex XIII asks."""
    found: dict[str, Any] = {}
    if known.health is not None:
        shown = {name: value for name, value in asdict(known.health).items() if value is not None and value != ""}
        found["state_of_health"] = shown | {"at": _iso(known.health.at)}
    if known.grade is not None:
        grade = {"band": known.grade.band or "test required", "at": _iso(known.grade.at), "method": known.grade.method}
        found["grade"] = grade if known.grade.probability is None else {**grade, "probability": round(known.grade.probability, 3)}
        if known.grade.modules:
            found["modules"] = [dict(one) for one in known.grade.modules]
        if known.grade.beside:
            found["beside_health"] = [dict(one) for one in known.grade.beside]
    record = known.record
    if record is not None and record.get("last_at"):
        names = (
            "first_at", "last_at", "samples", "seen_h", "unseen_h", "cycles_by_depth", "hours_by_temperature_c",
            "charging_hours_by_temperature_c", "hours_by_soc", "charging_hours_by_c_rate", "discharging_hours_by_c_rate", "hottest_c",
            "coldest_c", "thermal_events", "least_insulation_ohm", "balanced", "months", "protection_triggers", "trips", "resets",
            "trips_by_cause",
        )  # fmt: skip
        found["record_of_life"] = {name: record[name] for name in names if name in record}
        found["record_sha256"] = sha256_of(record)
    return found


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
