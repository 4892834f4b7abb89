"""What is contradictory or doubtful in a tariff that can be read: overlaps, gaps, hours and prices beyond the central rules.

A *problem* makes bills or prices wrong or impossible for some days; a *doubt* should be compared with the order; a *note* only
says what follows. What can't be read at all is refused earlier, by :mod:`grid.tariff.reading`.

Solar and peak hours are held against the Electricity (Rights of Consumers) Amendment Rules, 2023, as reported: eight solar hours a
day at least 20 % below the normal price, peak hours no longer than those and at least 1.2 × the normal price for commercial use.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from fractions import Fraction
from itertools import combinations, pairwise

from grid.tariff.hours import ALWAYS, DAY_MIN, Hours, Valid
from grid.tariff.layers import (
    POWER_FACTOR,
    Adder,
    AdderBasis,
    DemandBasis,
    DemandLayer,
    EnergyBasis,
    EnergyLayer,
    Kind,
    Layer,
    Operation,
    TodRule,
    affine,
)
from grid.tariff.model import Tariff
from grid.tariff.numbers import plain
from grid.tariff.rule import Contract, terms

__all__ = ["Finding", "Severity", "check"]

SOLAR_MOST_MIN = 8 * 60
SOLAR_AT_MOST = Fraction(4, 5)
PEAK_AT_LEAST = Fraction(6, 5)
CENTRAL_RULES_SINCE = date(2024, 4, 1)
_QUARTERS = range(0, DAY_MIN, 15)


class Severity(StrEnum):
    """See the module."""

    PROBLEM = "problem"
    DOUBT = "doubt"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about one place of a tariff."""

    severity: Severity
    where: str
    sentence: str


def _doubt(where: str, sentence: str) -> Finding:
    return Finding(Severity.DOUBT, where, sentence)


def _note(where: str, sentence: str) -> Finding:
    return Finding(Severity.NOTE, where, sentence)


def check(tariff: Tariff, today: date | None = None) -> list[Finding]:
    """All findings, problems first. ``today``: to say that the tariff no longer holds."""
    found = [*_validity(tariff, today), *_energy(tariff), *_demand(tariff), *_adders(tariff)]
    return sorted(found, key=lambda one: list(Severity).index(one.severity))


# -- when ---------------------------------------------------------------------------------------------------------------------


def _validity(tariff: Tariff, today: date | None) -> Iterator[Finding]:
    if today is not None and tariff.valid.distance(today):
        yield _doubt(tariff.name, f"holds {tariff.valid}, not today ({today})")
    if tariff.uncertain:
        yield _note(tariff.name, f"says itself what is uncertain ({len(tariff.uncertain)})")
    by_code: dict[str, list[Layer]] = {}
    for layer in tariff.layers:
        by_code.setdefault(layer.code, []).append(layer)
        if layer.valid.within(tariff.valid) is None:
            yield _doubt(layer.code, f"holds {layer.valid}, but the tariff {tariff.valid}: it never counts")
    energy = {layer.code for layer in tariff.energy}
    for code, layers in by_code.items():
        layers.sort(key=lambda layer: layer.valid.since or date.min)
        if len(layers) > 1 and len({layer.order_ref for layer in layers}) == 1:
            yield _doubt(code, "changes, but all of its versions name the same order: give each its order_ref")
        severity = Severity.PROBLEM if code in energy else Severity.NOTE
        for gap in _gaps(layers, tariff.valid):
            yield Finding(severity, code, f"nothing holds {gap}")


def _gaps(layers: Sequence[Layer], all_days: Valid) -> Iterator[Valid]:
    """Days of the tariff on which no version of a layer holds."""
    first, last = layers[0].valid.since, layers[-1].valid.until
    if first is not None and (all_days.since is None or all_days.since < first):
        yield Valid(all_days.since, first)
    for one, two in pairwise(layers):
        if one.valid.until != two.valid.since:
            yield Valid(one.valid.until, two.valid.since)
    if last is not None and (all_days.until is None or last < all_days.until):
        yield Valid(last, all_days.until)


# -- energy -------------------------------------------------------------------------------------------------------------------


def _energy(tariff: Tariff) -> Iterator[Finding]:
    for layer in tariff.energy:
        for one, two in combinations(layer.tod, 2):
            at = _both(one, two)
            if at is not None:
                how = "the later one replaces the price" if two.operation is Operation.ABS else "both count, one after the other"
                yield _doubt(layer.code, f"{one} and {two} hold at the same time, for example at {_clock(at)}: {how}")
        for rule in layer.tod:
            if rule.when.valid.within(layer.valid) is None or rule.when.valid.within(tariff.valid) is None:
                yield _doubt(layer.code, f"{rule} holds {rule.when.valid}, when the layer does not: it never counts")
        yield from _uncovered(layer)
        yield from _negative(layer)
        if tariff.currency == "INR":
            yield from _central_rules(layer, tariff)
        if layer.basis is EnergyBasis.KVAH and tariff.power_factor_layers:
            yield _doubt(layer.code, "kVAh count the power factor already, and there is a power factor layer too")
    apparent = any(layer.basis is EnergyBasis.KVAH for layer in tariff.energy) or any(d.basis is DemandBasis.KVA for d in tariff.demand)
    if apparent and POWER_FACTOR not in tariff.parameters:
        yield _note(tariff.name, "no parameter power_factor: when planning, a kVA counts as a kW")


def _both(one: TodRule, two: TodRule) -> int | None:
    """A minute of the day at which both may hold; None: they never meet."""
    months = not one.when.months or not two.when.months or one.when.months & two.when.months
    days = not one.when.weekdays or not two.when.weekdays or one.when.weekdays & two.when.weekdays
    if not months or not days or one.when.valid.within(two.when.valid) is None:
        return None
    return next((m for m in _QUARTERS if one.when.hours.hold(m) and two.when.hours.hold(m)), None)


def _uncovered(layer: EnergyLayer) -> Iterator[Finding]:
    always = [rule for rule in layer.tod if not rule.when.months and not rule.when.weekdays and rule.when.valid == ALWAYS]
    open_min = [m for m in _QUARTERS if not any(rule.when.hours.hold(m) for rule in always)]
    if always and open_min and all(rule.operation is not Operation.ADD for rule in always):
        runs = _runs(open_min)
        yield _note(layer.code, f"no rule of the day holds {', '.join(map(str, runs))}: the base price does")


def _runs(minutes: Sequence[int]) -> list[Hours]:
    runs: list[Hours] = []
    for minute in minutes:
        if runs and runs[-1].to_min == minute:
            runs[-1] = Hours(runs[-1].from_min, minute + 15)
        else:
            runs.append(Hours(minute, minute + 15))
    return [Hours(run.from_min, run.to_min % DAY_MIN) for run in runs]


def _negative(layer: EnergyLayer) -> Iterator[Finding]:
    since = layer.valid.since or date(2025, 1, 1)
    days = [date(since.year, month, 1) + timedelta(days=k) for month in range(1, 13) for k in range(7)]
    days += [day for rule in layer.tod for day in (rule.when.valid.since, rule.when.valid.until) if day is not None]
    known: set[tuple[int, ...]] = set()
    for day in days:
        for minute in _QUARTERS if layer.valid.hold(day) or layer.valid.distance(day) < 366 else ():
            zone = layer.zone(datetime(day.year, day.month, day.day, minute // 60, minute % 60))  # noqa: DTZ001  # a local time
            key = tuple(map(id, zone))
            if key in known:
                continue
            known.add(key)
            a, b = affine(zone)
            lowest = min(a * slab.rate + b for slab in layer.slabs)
            if lowest < 0:
                named = " and ".join(map(str, zone)) or "the base"
                yield _doubt(layer.code, f"a price of {plain(lowest)}/{layer.basis} with {named}: energy would be paid for")


def _central_rules(layer: EnergyLayer, tariff: Tariff) -> Iterator[Finding]:
    if tariff.valid.until is not None and tariff.valid.until <= CENTRAL_RULES_SINCE:
        return
    solar = [rule for rule in layer.tod if rule.kind is Kind.SOLAR]
    peak = [rule for rule in layer.tod if rule.kind is Kind.PEAK]
    solar_min, peak_min = _minutes(solar), _minutes(peak)
    if solar_min > SOLAR_MOST_MIN:
        yield _doubt(layer.code, f"solar hours of {plain(Fraction(solar_min, 60))} h a day: the central rules have eight")
    if solar and peak_min > solar_min:
        yield _doubt(
            layer.code,
            f"peak hours of {plain(Fraction(peak_min, 60))} h are longer than the solar hours of {plain(Fraction(solar_min, 60))} h",
        )
    normal = _normal(layer)
    for rule in [*solar, *peak]:
        a, b = affine([rule])
        share = (a * layer.slabs[0].rate + b) / normal if normal else Fraction(1)
        if rule.kind is Kind.SOLAR and share > SOLAR_AT_MOST:
            yield _doubt(layer.code, f"{rule}: {plain(share, 3)} × the normal price, central rules: at most 0.8")
        if rule.kind is Kind.PEAK and share < PEAK_AT_LEAST:
            yield _doubt(
                layer.code,
                f"{rule}: {plain(share, 3)} × the normal price, central rules: at least 1.2",
            )


def _normal(layer: EnergyLayer) -> Fraction:
    """The price of normal hours: of a rule that is called so, else the base."""
    rule = next((rule for rule in layer.tod if rule.kind is Kind.NORMAL), None)
    a, b = affine([rule]) if rule is not None else (Fraction(1), Fraction(0))
    return a * layer.slabs[0].rate + b


def _minutes(rules: Sequence[TodRule]) -> int:
    return sum(15 for m in _QUARTERS if any(rule.when.hours.hold(m) for rule in rules))


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


# -- demand and the rest --------------------------------------------------------------------------------------------------------


def _demand(tariff: Tariff) -> Iterator[Finding]:
    for layer in tariff.demand:
        by_contract = [term for term in terms(layer.billing_rule) if isinstance(term, Contract)]
        for term in by_contract:
            if term.factor > 1:
                yield _doubt(layer.code, f"bills at least {plain(term.factor * 100)} % of the contract")
        yield from _excess(layer, by_contract)
        if layer.block_min not in (15, 30):
            yield _doubt(layer.code, f"blocks of {layer.block_min} min; utilities take 15 or 30")
        if not layer.rate:
            yield _note(layer.code, "costs nothing (rate 0)")


def _excess(layer: DemandLayer, by_contract: Sequence[Contract]) -> Iterator[Finding]:
    if layer.excess is None:
        if by_contract:
            yield _note(layer.code, "demand above the contract costs no more than below it (no excess)")
        return
    if layer.excess.multiplier < 1:
        yield _doubt(layer.code, f"{plain(layer.excess.multiplier)} × the rate above the contract is cheaper than below it")
    if layer.excess.above < 1:
        yield _doubt(layer.code, f"the excess begins at {plain(layer.excess.above * 100)} % of the contract, below it")


def _adders(tariff: Tariff) -> Iterator[Finding]:
    dearest = max(slab.rate for layer in tariff.energy for slab in layer.slabs)
    for adder in tariff.adders:
        if adder.value is None:
            yield _note(adder.code, "is published month by month: give it with each bill")
        elif _odd(adder, dearest):
            unit = "%" if adder.basis is AdderBasis.PCT_OF else f"{tariff.currency}/{adder.basis}"
            yield _doubt(adder.code, f"{plain(adder.value)} {unit}: as large as the energy charge; is the unit right?")


def _odd(adder: Adder, dearest: Fraction) -> bool:
    return adder.value is not None and abs(adder.value) >= (100 if adder.basis is AdderBasis.PCT_OF else max(dearest, Fraction(1)))
