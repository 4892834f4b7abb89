"""Rates of the Utility Rate Database (JSON, version 7 and 8) as a tree of this package's own schema.

What that format says with periods (12 × 24 tables of hours) becomes rules of the time of day; tiers become slabs; a flat demand
charge, its ratchet and the fixed charge become layers. What the layers can't say is refused, never left out in silence: tiers that differ
between periods, demand charges that differ between months, demand charges by the hour other than one run of hours each.
Rates are in dollars unless ``currency`` says otherwise, on the depot's clock; there is no order, so the source stands in its place.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction

from grid.tariff.errors import InvalidTariff
from grid.tariff.hours import WEEKDAYS
from grid.tariff.numbers import exact_number, exact_text

__all__ = ["is_urdb", "tree_of_urdb"]

_REFUSED = ("coincidentratestructure", "fueladjustmentsmonthly", "minmonthlycharge", "annualmincharge", "demandreactivepowercharge")
_MOST_PERIODS = 60
Tree = dict[str, object]


def is_urdb(tree: object) -> bool:
    """Whether a JSON tree looks like such a rate."""
    return isinstance(tree, dict) and "energyratestructure" in tree and "schema" not in tree


def tree_of_urdb(text: str) -> Tree:
    """The tree of a rate's JSON; raises :class:`InvalidTariff`."""
    try:
        rate = json.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise InvalidTariff(f"not a JSON file: {error}") from None
    if not isinstance(rate, dict):
        raise InvalidTariff("a rate must be one JSON object")
    refused = [key for key in _REFUSED if rate.get(key)]
    if refused:
        raise InvalidTariff(f"rate: {', '.join(refused)} has no place in a tariff here")
    title = str(rate.get("name") or "a rate without a name")[:200]
    source = str(rate.get("source") or rate.get("uri") or "Utility Rate Database")[:500]
    tree: Tree = {
        "schema": "tariff/2",
        "name": str(rate.get("label") or "urdb")[:60],
        "title": f"{rate.get('utility') or 'unknown utility'}: {title}"[:300],
        "currency": str(rate.get("currency") or "USD"),
        "timezone": "UTC",
        "order": f"none named; {source}",
        "source": source,
        "energy": [_energy(rate)],
        "demand": [*_flat_demand(rate), *_hourly_demand(rate)],
        "fixed": _fixed(rate),
        "leaves_out": ["taxes and adjustments that the rate does not hold"],
    }
    for key, name in (("startdate", "valid_from"), ("enddate", "valid_until")):
        if rate.get(key) is not None:
            tree[name] = _day(rate[key], key)
    return tree


def _energy(rate: Tree) -> Tree:
    periods = _structure(rate, "energyratestructure")
    weekday, weekend = (_schedule(rate, f"energy{kind}schedule", len(periods)) for kind in ("weekday", "weekend"))
    used = {period for table in (weekday, weekend) for row in table for period in row}
    units = {str(tier.get("unit") or "kWh") for period in periods for tier in period}
    if units != {"kWh"}:
        raise InvalidTariff(f"rate, energyratestructure: units {', '.join(sorted(units)):.100}; only kWh a month is read")
    if len(used) == 1:
        tiers = periods[used.pop()]
        if len(tiers) == 1:
            return {"basis": "kWh", "base": _price(tiers[0], "energyratestructure")}
        slabs: list[Tree] = [{"up_to": _text(tier.get("max"), "max"), "rate": _price(tier, "energyratestructure")} for tier in tiers[:-1]]
        return {"basis": "kWh", "slabs": [*slabs, {"rate": _price(tiers[-1], "energyratestructure")}]}
    if any(len(periods[k]) != 1 for k in used):
        raise InvalidTariff("rate, energyratestructure: tiers and times of day at once; what of the month is which can't be told")
    base = _most_used(weekday)
    rules: list[Tree] = []
    for table, days in ((weekday, WEEKDAYS[:5]), (weekend, WEEKDAYS[5:])):
        for period in sorted(used - {base}):
            price = _price(periods[period][0], "energyratestructure")
            for (since, until), months in _runs(table, period).items():
                when = {"from": f"{since:02}:00", "to": f"{until:02}:00", "months": months, "days": list(days)}
                rules.append({**when, "op": "abs", "value": price, "name": f"period {period}, {since}–{until} h"})
    return {"basis": "kWh", "base": _price(periods[base][0], "energyratestructure"), "tod": rules}


def _flat_demand(rate: Tree) -> list[Tree]:
    if not rate.get("flatdemandstructure"):
        return []
    periods = _structure(rate, "flatdemandstructure")
    months = _numbers(rate.get("flatdemandmonths", [0] * 12), "flatdemandmonths", 12, len(periods))
    if len(set(months)) != 1 or len(periods[months[0]]) != 1:
        raise InvalidTariff("rate, flatdemandstructure: a charge that differs between months, or with tiers, has no place in a tariff here")
    terms: list[Tree] = [{"ref": "recorded"}]
    ratchet = rate.get("demandratchetpercentage")
    if ratchet:
        shares = {_number(share, "demandratchetpercentage") for share in ratchet} if isinstance(ratchet, list) else set()
        if len(shares) != 1:
            raise InvalidTariff("rate, demandratchetpercentage: must be twelve times the same")
        if share := shares.pop():
            terms.append({"ref": "highest_recorded", "lookback": 11, "factor": exact_text(share)})
    price = _price(periods[months[0]][0], "flatdemandstructure")
    return [{**_demand_of(rate, "flatdemandunit"), "rate": price, "billing_rule": {"max": terms}}]


def _hourly_demand(rate: Tree) -> list[Tree]:
    if not rate.get("demandratestructure"):
        return []
    periods = _structure(rate, "demandratestructure")
    weekday, weekend = (_schedule(rate, f"demand{kind}schedule", len(periods)) for kind in ("weekday", "weekend"))
    layers: list[Tree] = []
    for k, tiers in enumerate(periods):
        price = _price(tiers[0], "demandratestructure")
        if not exact_number(price, "demandratestructure"):
            continue
        runs = _runs(weekday, k)
        if len(tiers) != 1 or len(runs) != 1 or runs != _runs(weekend, k) or len(next(iter(runs.values()))) != 12:
            raise InvalidTariff(f"rate, demandratestructure: period {k} is not one run of hours on all days of the year, or has tiers")
        since, until = next(iter(runs))
        rule: Tree = {"ref": "recorded", "from": f"{since:02}:00", "to": f"{until:02}:00"}
        told: Tree = {"code": f"demand_period_{k}", "text": f"Demand charge, {since}–{until} h", "rate": price, "billing_rule": rule}
        layers.append({**_demand_of(rate, "demandrateunit"), **told})
    return layers


def _demand_of(rate: Tree, unit_key: str) -> Tree:
    unit = rate.get(unit_key) or "kW"
    if unit not in ("kW", "kVA"):
        raise InvalidTariff(f"rate, {unit_key}: {unit!r:.40}; only kW and kVA are read")
    window = rate.get("demandwindow")
    return {"basis": unit, "block_min": 15 if window is None else _text(window, "demandwindow")}


def _fixed(rate: Tree) -> list[Tree]:
    amount = rate.get("fixedchargefirstmeter", rate.get("fixedmonthlycharge"))
    if not amount:
        return []
    unit = rate.get("fixedchargeunits") or "$/month"
    per = {"$/month": "month", "$/day": "day"}.get(str(unit))
    if per is None:
        raise InvalidTariff(f"rate, fixedchargeunits: {unit!r:.40}; only $/month and $/day are read")
    return [{"amount": _text(amount, "fixedchargefirstmeter"), "per": per}]


def _structure(rate: Tree, key: str) -> list[list[Tree]]:
    periods = rate.get(key)
    if not isinstance(periods, list) or not 0 < len(periods) <= _MOST_PERIODS:
        raise InvalidTariff(f"rate, {key}: must be a list of 1 to {_MOST_PERIODS} periods")
    for tiers in periods:
        if not isinstance(tiers, list) or not tiers or not all(isinstance(tier, dict) for tier in tiers):
            raise InvalidTariff(f"rate, {key}: a period is a list of tiers")
    return periods


def _schedule(rate: Tree, key: str, periods: int) -> list[list[int]]:
    """[month][hour] period."""
    rows = rate.get(key)
    if rows is None and periods == 1:
        return [[0] * 24] * 12
    if not isinstance(rows, list) or len(rows) != 12:
        raise InvalidTariff(f"rate, {key}: must have twelve rows")
    return [_numbers(row, key, 24, periods) for row in rows]


def _numbers(values: object, key: str, length: int, below: int) -> list[int]:
    if isinstance(values, list) and len(values) == length and all(type(v) is int and 0 <= v < below for v in values):
        return values
    raise InvalidTariff(f"rate, {key}: must be {length} numbers of periods from 0 to {below - 1}")


def _most_used(table: Sequence[Sequence[int]]) -> int:
    flat = [period for row in table for period in row]
    return max(sorted(set(flat)), key=flat.count)


def _runs(table: Sequence[Sequence[int]], period: int) -> dict[tuple[int, int], list[int]]:
    """Runs of hours in which a period holds, with their months; a run ends at midnight (24)."""
    found: dict[tuple[int, int], list[int]] = {}
    for month, row in enumerate(table, 1):
        since: int | None = None
        for hour, held in enumerate([*row, -1]):
            if held == period and since is None:
                since = hour
            elif held != period and since is not None:
                found.setdefault((since, hour), []).append(month)
                since = None
    return found


def _price(tier: Tree, key: str) -> str:
    """A tier's rate with its adjustment."""
    return exact_text(_number(tier.get("rate") or 0, key) + _number(tier.get("adj") or 0, key))


def _number(value: object, key: str) -> Fraction:
    plain = format(value, "f") if isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) < 15 else value
    return exact_number(plain, f"rate, {key}")


def _text(value: object, key: str) -> str:
    return exact_text(_number(value, key))


def _day(value: object, key: str) -> date:
    try:
        if type(value) is int:
            return datetime.fromtimestamp(value, UTC).date()
        return date.fromisoformat(str(value)[:10])
    except (ValueError, OverflowError, OSError):
        raise InvalidTariff(f"rate, {key}: {value!r:.40} is no day") from None
