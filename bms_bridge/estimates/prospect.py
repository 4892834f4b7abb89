"""What a pack is still good for, from what the depot knows of it: grade, residual value, advice, years ahead by the twin. Pure.

    estimates, newest health by cell, record of life, settings --described()--> Retired (second life) --prospect()--> PackProspect

Nothing is made up for what is not known: it stands in ``missing``, lowers the completeness, and with it what may be said. The pack's full
cycles are known only where those before the depot are; its past temperature counts as told only where half of its time was seen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from bms_bridge.estimates.beside_new import RESISTANCE, SELF_DISCHARGE, SLOPE, Beside
from bms_bridge.estimates.choice import Counting
from bms_bridge.estimates.duties import (
    LEAST_DAYS,
    LEAST_SEEN,
    LEAST_WARM_H,
    Habit,
    fitted,
    mean_c_rate,
    mean_soc,
    mean_temperature_c,
    present,
)
from bms_bridge.estimates.estimate import ByCell
from bms_bridge.estimates.prospect_view import (
    PackAssumption,
    PackBeside,
    PackChoice,
    PackDuty,
    PackEnd,
    PackOffer,
    PackPart,
    PackProspect,
    PackTwinAsked,
    PackTwinStart,
    Reached,
)
from bms_bridge.lake.lifetime import Life, shown
from bms_bridge.second_life import PackRefused
from bms_bridge.second_life.assumptions import Assumptions
from bms_bridge.second_life.grading import TEST_REQUIRED, Graded, Part, graded
from bms_bridge.second_life.retired import Retired, retired
from bms_bridge.second_life.retirement import advice
from bms_bridge.second_life.worth import twin_pack, worth
from bms_bridge.twin.ageing import known_chemistries
from bms_bridge.twin.duty import Duty
from bms_bridge.twin.duty import shipped as shipped_duties
from bms_bridge.twin.years import ENDS, outlook

RUN_YEARS: Final = 20
MOST_TIMES: Final = 1.25
"""More energy than this beside the record's cycles is not asked: what a weak pack cannot serve is not made up for."""

RECORD: Final = "the record of its life"
"""Of :data:`bms_bridge.second_life.retired.WEIGHTS`. One of a few days is none; its heat and trips count all the same."""

SECOND_DUTIES: Final = ("stationary", "ups")
_YEAR_S: Final = 365.25 * 86_400
_UNTOLD: Final = Beside(why_not="it was not looked at")


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of a pack beside its health. ``capacity_kwh``: when new; ``cycles_before``: full cycles before the depot heard of it;
    ``since``: in service, Unix seconds; ``needed_kwh``: what its vehicle must have usable; None: not known."""

    name: str
    chemistry: str
    capacity_kwh: float | None
    nominal_ah: float | None
    life: Life | None = None
    cycles_before: float | None = None
    since_s: float | None = None
    needed_kwh: float | None = None
    inspected: bool = False
    resistance: Beside = _UNTOLD
    self_discharge: Beside = _UNTOLD
    slope: Beside = _UNTOLD

    @property
    def beside(self) -> Mapping[str, Beside]:
        """By kind of data."""
        return {RESISTANCE: self.resistance, SELF_DISCHARGE: self.self_discharge, SLOPE: self.slope}


def prospect(told: Told, health: Counting, cells: ByCell | None, found: Habit, given: Assumptions, *, now: datetime) -> PackProspect:
    """Everything that can be said of the pack."""
    one = health.one
    if one is None or one.value is None:
        return PackProspect(now, None, "it takes an estimate of its health")
    if told.capacity_kwh is None:
        return PackProspect(now, one.until, "its capacity when new is not known: enter it in the registry (kWh)")
    try:
        pack = described(told, health, cells, now=now)
    except PackRefused as error:
        return PackProspect(now, one.until, str(error))
    mark = graded(pack, given)
    today = _today(pack, found)
    money, when = worth(pack, mark, given), advice(pack, mark, given)
    ends = None if when.range_ends is None else _reached(when.range_ends)
    return PackProspect(
        now,
        one.until,
        "",
        grade=mark.grade,
        because=_because(mark, health, given),
        notes=list(mark.notes),
        completeness=round(mark.completeness, 3),
        missing=list(mark.missing),
        whole=_part(mark.pack),
        modules=[part for part in map(_part, mark.modules) if part is not None] if len(mark.modules) > 1 else [],
        better_apart=list(mark.better_apart),
        currency=given.currency,
        best=money.best,
        residual_paise=money.residual_paise,
        recycling_paise=money.recycling_paise,
        no_value=money.unknown,
        offers=[PackOffer(o.name, o.text, o.value_paise, o.years, o.carbon_kg, o.why_not) for o in money.offers],
        advice=when.text,
        choices=[PackChoice(c.year, round(c.soh, 4), c.in_vehicle_paise, c.outside_paise, c.outside, c.served) for c in when.choices],
        range_ends=ends,
        duties=_duties(pack, mark, found, today),
        run_years=RUN_YEARS,
        assumptions=_assumptions(given),
        beside=[_beside(name, one) for name, one in told.beside.items()],
        twin=_start(pack, mark, today, found),
    )


def described(told: Told, health: Counting, cells: ByCell | None, *, now: datetime) -> Retired:
    """The pack as second life takes it; where two estimates disagree the middle of their span with all of it. PackRefused: what is known of
    it cannot be; the message says what."""
    one = health.one
    assert one is not None
    soh = one.value
    if health.disagree and health.low is not None and health.high is not None:
        soh = (health.low + health.high) / 2
    entry: dict[str, Any] = {
        "pack": told.name,
        "chemistry": told.chemistry,
        "capacity_kwh": told.capacity_kwh,
        "soh": soh,
        "soh_low": health.low,
        "soh_high": health.high,
        "needed_kwh": told.needed_kwh,
        "inspected": told.inspected,
        "resistance_ratio": told.resistance.value,
        "resistance_low": told.resistance.low,
        "resistance_high": told.resistance.high,
        "self_discharge_per_month": told.self_discharge.value,
        "slope_ratio": told.slope.value,
    }
    if cells is not None and not health.disagree:
        entry["cells"] = [
            {"cell": str(n), "module": f"module {m}", "soh": soh, "soh_low": max(soh - off, 0.0), "soh_high": soh + off}
            for n, (soh, off, m) in enumerate(zip(cells.soh, cells.error, cells.modules, strict=True), 1)
        ]
    if told.since_s is not None:
        entry["age_years"] = max(now.timestamp() - told.since_s, 0.0) / _YEAR_S
    if told.life is not None and told.life.first_us:
        entry["life"] = _record(told.life, told.capacity_kwh)
        if told.cycles_before is not None and told.nominal_ah is not None:
            entry["full_cycles"] = told.cycles_before + told.life.charge_in_ah / told.nominal_ah
        mean_c, hours = mean_temperature_c(told.life)
        span_s = told.life.seen_s + told.life.unseen_s
        if hours >= LEAST_WARM_H and told.life.seen_s >= LEAST_SEEN * span_s:
            entry["past_c"] = round(mean_c, 1)
            entry["past_soc"], entry["past_c_rate"] = mean_soc(told.life), mean_c_rate(told.life)
    pack = retired(entry, told.name)
    days = 0.0 if told.life is None else (told.life.last_us - told.life.first_us) / 86_400e6
    if days < LEAST_DAYS and RECORD not in pack.missing:
        return replace(pack, missing=(*pack.missing, RECORD))
    return pack


def _record(life: Life, capacity_kwh: float | None) -> Mapping[str, Any]:
    """The lake's record without its count of full cycles: those before the depot are not in it."""
    return shown(life, None if capacity_kwh is None else round(1000 * capacity_kwh)) | {"equivalent_full_cycles": None}


def _because(mark: Graded, health: Counting, given: Assumptions) -> list[str]:
    """Why the grade is what it is: what rules it out, what must be looked at, what the interval touches."""
    found = [*mark.ruled_out, *mark.inspect]
    whole = mark.pack
    if whole is None or mark.ruled_out or whole.grade != TEST_REQUIRED:
        return found
    edges = [given.limits[name].value for name in ("backup_soh", "daily_soh", "vehicle_soh")]
    inside = [edge for edge in edges if whole.low < edge <= whole.high]
    if inside:
        touched = " and ".join(f"{edge:.0%}" for edge in inside)
        found.append(f"what it gives lies between {whole.low:.1%} and {whole.high:.1%}, on both sides of {touched}")
    least = given.limits["completeness"].value
    if mark.completeness < least:
        found.append(f"{mark.completeness:.0%} of the data is there, {least:.0%} is needed; missing: {', '.join(mark.missing)}")
    if health.disagree:
        found.append("two estimates of its health disagree")
    return found


def _beside(name: str, one: Beside) -> PackBeside:
    at = None if one.until_s is None else datetime.fromtimestamp(one.until_s, UTC)
    return PackBeside(name, one.value, one.low, one.high, one.how, one.why_not, at)


def _part(part: Part | None) -> PackPart | None:
    if part is None:
        return None
    low, soh, high, spread = (round(value, 4) for value in (part.low, part.soh, part.high, part.spread))
    return PackPart(part.name, part.cells, low, soh, high, spread, part.grade, part.likeliest)


def _duties(pack: Retired, mark: Graded, found: Habit, today: Duty | None) -> list[PackDuty]:
    """Its present duty and two of a second life, by the twin."""
    known = shipped_duties()
    out: list[PackDuty] = []
    if today is None:
        why = found.why_not or f"{found.cycles_a_year:.0f} full cycles a year are more than the twin can play"
        out.append(PackDuty("present", "as today", 0.0, 0.0, [], why))
    asked: list[Duty] = ([today] if today is not None else []) + [known[name] for name in SECOND_DUTIES]
    why = ""
    if mark.pack is None:
        why = "its health is not known"
    elif pack.chemistry not in known_chemistries():
        why = f"how {pack.chemistry} cells age over years is not known here (known: {', '.join(known_chemistries())})"
    if why:
        return out + [PackDuty(duty.name, duty.text, 0.0, 0.0, [], why) for duty in asked]
    run = outlook([twin_pack(pack, mark)] * len(asked), asked, years=RUN_YEARS)
    for row, duty in enumerate(asked):
        ends = [PackEnd(end, _reached(run.years_to[row, k]), _reached(run.cycles_to[row, k])) for k, end in enumerate(ENDS)]
        out.append(PackDuty(duty.name, duty.text, round(float(run.full_cycles_a_year[row]), 1), round(float(run.hottest_c[row]), 1), ends))
    return out


def _today(pack: Retired, found: Habit) -> Duty | None:
    """Its present duty, with as much energy as brings the full cycles of its record; None: not known, or none that can be played."""
    if found.why_not:
        return None
    known = pack.chemistry in known_chemistries()
    return fitted(found, pack.chemistry, most_times=MOST_TIMES) if known else present(found)


def _start(pack: Retired, mark: Graded, today: Duty | None, found: Habit) -> PackTwinStart | None:
    if mark.pack is None or pack.chemistry not in known_chemistries():
        return None
    one = twin_pack(pack, mark)
    numbers = None
    if today is not None:
        depth = max(hours * rate for hours, rate in today.power)
        numbers = PackTwinAsked(
            round(today.ambient_c[0], 1),
            round(min(max(depth, 0.05), today.top_soc), 2),
            round(today.charge_c_rate, 2),
            round(found.cycles_a_year),
            round(today.top_soc, 2),
        )
    return PackTwinStart(
        one.chemistry,
        one.capacity_kwh,
        one.soh,
        one.soh_sd,
        one.age_years,
        one.full_cycles,
        one.past_c,
        one.past_soc,
        one.past_c_rate,
        one.past_told,
        numbers,
    )


def _reached(values: Any) -> Reached:
    low, mid, high = (round(float(value), 2) if math.isfinite(value) else None for value in values)
    return low, mid, high


def _assumptions(given: Assumptions) -> list[PackAssumption]:
    own = set(given.changed)
    found = [PackAssumption(n, x.low, x.mid, x.high, x.unit, x.source, f"numbers.{n}" in own) for n, x in given.numbers.items()]
    for name, one in given.applications.items():
        earns = one.earns_per_kwh_year
        changed = f"applications.{name}" in own
        found.append(PackAssumption(f"{name}: earns", earns.low, earns.mid, earns.high, earns.unit, earns.source, changed))
    found += [PackAssumption(n, x.value, x.value, x.value, "", x.source, f"limits.{n}" in own) for n, x in given.limits.items()]
    return found
