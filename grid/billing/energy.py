"""Energy lines: blocks are counted by the time-of-day rules that hold when they begin, on the day on which they begin.

rules only add          one line for all energy at the base, one more for each surcharge or rebate
rules multiply or set   one line for each zone of the day at its own price
slabs                   a line for each slab of the month's energy, then surcharges on the mean price of all slabs
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from grid.billing.blocks import LocalBlock, MonthOfBlocks
from grid.billing.drafts import Draft, Parts
from grid.billing.values import BillingError
from grid.tariff.hours import DAY_MIN, Valid
from grid.tariff.layers import EnergyLayer, Operation, SlabMode, TodRule, affine
from grid.tariff.numbers import plain

__all__ = ["energy_drafts"]

Zone = tuple[TodRule, ...]


@dataclass(slots=True)
class _Counted:
    """kWh or kVAh of one layer: by zone and part of the month."""

    zones: list[tuple[Zone, dict[int, Fraction]]]

    @classmethod
    def of(cls, layer: EnergyLayer, blocks: Sequence[LocalBlock], parts: Parts) -> _Counted:
        """The blocks of the layer's days, by the rules that hold when they begin."""
        part_of = {day: part for part, day in parts.each_day() if layer.valid.hold(day)}
        zones: dict[tuple[int, ...], tuple[Zone, dict[int, int | Fraction]]] = {}
        order = {id(rule): k for k, rule in enumerate(layer.tod)}
        known: dict[tuple[date, int], dict[int, int | Fraction]] = {}
        for block in blocks:
            if block.day not in part_of:
                continue
            moment = block.day, block.minute
            if moment not in known:
                zone = layer.zone(block.local)
                known[moment] = zones.setdefault(tuple(map(order.__getitem__, map(id, zone))), (zone, {}))[1]
            units, part = known[moment], part_of[block.day]
            units[part] = units.get(part, 0) + block.energy(layer.basis)
        return cls([(zone, {part: Fraction(wh) / 1000 for part, wh in units.items()}) for _, (zone, units) in sorted(zones.items())])

    def total(self) -> dict[int, Fraction]:
        """Of all zones, by part."""
        found: dict[int, Fraction] = {}
        for _, by_part in self.zones:
            for part, units in by_part.items():
                found[part] = found.get(part, Fraction(0)) + units
        return found


def energy_drafts(layers: Sequence[EnergyLayer], measured: MonthOfBlocks, parts: Parts) -> Iterator[Draft]:
    """The lines of all energy layers. Raises :class:`BillingError` for a block that no layer prices, for apparent energy
    that is not known, and for blocks that straddle a boundary of the day's zones."""
    _check_boundaries(layers, measured.blocks)
    for day in sorted({block.day for block in measured.blocks}):
        if not any(layer.valid.hold(day) for layer in layers):
            raise BillingError(f"no energy charge of this tariff holds on {day}")
    for layer in layers:
        valid = parts.within(layer.valid)
        if valid is None:
            continue
        counted = _Counted.of(layer, measured.blocks, parts)
        if not layer.flat:
            yield from _slabbed(layer, counted, valid, parts)
        elif all(rule.operation is Operation.ADD for rule in layer.tod):
            rate = layer.slabs[0].rate
            yield _draft(layer, layer.text, counted.total(), rate, valid, parts, "all energy at the base price")
            for zone, units in counted.zones:
                if zone:
                    _, b = affine(zone)
                    what = "Surcharge" if b >= 0 else "Rebate"
                    yield _draft(layer, f"{what}, {_named(zone)}", units, b, valid, parts, f"energy {_hours(zone)}")
        else:
            for zone, units in counted.zones:
                a, b = affine(zone)
                rate = a * layer.slabs[0].rate + b
                words = f"energy {_hours(zone)}: {_price_words(layer.slabs[0].rate, zone, rate)}"
                yield _draft(layer, f"{layer.text}, {_named(zone)}", units, rate, valid, parts, words)


def _slabbed(layer: EnergyLayer, counted: _Counted, valid: Valid, parts: Parts) -> Iterator[Draft]:
    by_part = counted.total()
    total = sum(by_part.values(), Fraction(0))
    share = parts.share(valid)
    spread = {part: units / total for part, units in by_part.items()} if total else {}
    amount = Fraction(0)
    for slab_units, rate, words in _slabs(layer, total, share):
        amount += slab_units * rate
        units = {part: slab_units * portion for part, portion in spread.items()}
        yield _draft(layer, f"{layer.text}, {words}", units, rate, valid, parts, _slab_words(layer, total, share))
    mean = amount / total if total else Fraction(0)
    for zone, units in counted.zones:
        if zone:
            a, b = affine(zone)
            rate = (a - 1) * mean + b
            what = "Surcharge" if rate >= 0 else "Rebate"
            words = f"energy {_hours(zone)}, on the mean price of all slabs, {plain(mean)}"
            yield _draft(layer, f"{what}, {_named(zone)}", units, rate, valid, parts, words)


def _slabs(layer: EnergyLayer, total: Fraction, share: Fraction) -> Iterator[tuple[Fraction, Fraction, str]]:
    """Units, rate and name of each slab that was reached; the slabs of a part of the month are as long as its share of days."""
    if layer.slab_mode is SlabMode.WHOLE:
        reached = next(slab for slab in layer.slabs if slab.up_to is None or total <= slab.up_to * share)
        yield total, reached.rate, "all at the slab reached"
        return
    begin = Fraction(0)
    for slab in layer.slabs:
        end = total if slab.up_to is None else min(total, slab.up_to * share)
        if end > begin or (not total and not begin):
            bound = "above" if slab.up_to is None else f"up to {plain(slab.up_to * share, 3)}"
            yield end - begin, slab.rate, f"{plain(begin, 3)} {layer.basis} and above" if slab.up_to is None else f"{bound} {layer.basis}"
        if slab.up_to is None or end == total:
            return
        begin = end


def _slab_words(layer: EnergyLayer, total: Fraction, share: Fraction) -> str:
    cut = "" if share == 1 else f"; slabs cut to {share.numerator}/{share.denominator} of the month"
    return f"of {plain(total, 3)} {layer.basis} in all{cut}"


def _draft(
    layer: EnergyLayer, text: str, units: dict[int, Fraction], rate: Fraction, valid: Valid, parts: Parts, explanation: str
) -> Draft:
    quantity = sum(units.values(), Fraction(0))
    return Draft(
        layer=layer.code,
        code=layer.code,
        text=text,
        quantity=quantity,
        unit=layer.basis.value,
        rate=rate,
        explanation="; ".join(filter(None, [explanation, parts.words(valid)])),
        order_ref=layer.order_ref,
        valid=valid,
        parts={part: amount * rate for part, amount in units.items()},
    )


def _named(zone: Zone) -> str:
    return " and ".join(str(rule) for rule in zone) or "other hours"


def _hours(zone: Zone) -> str:
    return " and ".join(str(rule.when) for rule in zone) or "in the other hours"


def _price_words(base: Fraction, zone: Zone, rate: Fraction) -> str:
    words = plain(base)
    for rule in zone:
        sign = {Operation.MUL: "×", Operation.ADD: "+", Operation.ABS: "replaced by"}[rule.operation]
        words = f"{words} {sign} {plain(rule.value)}"
    return words if not zone else f"{words} = {plain(rate)}"


def _check_boundaries(layers: Sequence[EnergyLayer], blocks: Sequence[LocalBlock]) -> None:
    lengths = {block.minutes for block in blocks}
    for layer in layers:
        for rule in layer.tod:
            for minute in (rule.when.hours.from_min % DAY_MIN, rule.when.hours.to_min % DAY_MIN):
                if any(minute % length for length in lengths):
                    raise BillingError(f"{rule.when.hours} of {layer.text}: blocks of {max(lengths)} min straddle it; give shorter ones")
