"""The bill of a month: energy, demand, fixed, power factor, adders, rounding. Pure, exact, and every line explained.

Percentages (power factor, duty, tax) are taken of the rounded lines of the layers that they name, in the tariff's order; a
demand charge counts with its excess. The lines add up to the total; what rounding of the whole bill changes is a line too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import ceil

from depot.metering import MeterBlock
from grid.billing.blocks import MonthOfBlocks
from grid.billing.demand import agreed_parts, demand_drafts, fixed_drafts
from grid.billing.drafts import Draft, Parts
from grid.billing.energy import energy_drafts
from grid.billing.values import Bill, BilledDemand, BillExtras, BillingError, BillingHistory, BillLine
from grid.months import Month
from grid.tariff import Tariff
from grid.tariff.hours import Valid
from grid.tariff.layers import Adder, AdderBasis, EnergyBasis, PowerFactorLayer
from grid.tariff.numbers import minor_units, plain

__all__ = ["bill"]

NO_HISTORY = BillingHistory()
NO_EXTRAS = BillExtras()


def bill(
    tariff: Tariff,
    month: Month,
    blocks: Sequence[MeterBlock],
    history: BillingHistory = NO_HISTORY,
    *,
    contract: Fraction | int | None = None,
    extras: BillExtras = NO_EXTRAS,
) -> Bill:
    """The bill of ``month`` by ``tariff`` for those of ``blocks`` that begin in it (in the tariff's zone).

    ``contract``: contract demand in the unit of the tariff's demand charge (kW or kVA), before the first change that
    ``history`` knows. Raises :class:`BillingError` for blocks that overlap or can't tell what the tariff bills, and
    :class:`~grid.tariff.rule.NoContract` for a billing demand without contract.
    """
    _check(extras)
    stand_in = extras.power_factor or extras.assumed_power_factor
    measured = MonthOfBlocks.of(blocks, month, tariff.zone, stand_in)
    layers = tariff.layers
    changes = [day for layer in layers for day in (layer.valid.since, layer.valid.until)]
    parts = Parts.cut(month, [*changes, *(change.since for change in history.contracts)])
    agreed = agreed_parts(parts, None if contract is None else Fraction(contract), history.contracts)
    caveats = [*tariff.not_covered(measured.begins_at, measured.ends_at), *_told_of(measured, stand_in)]
    drafts = list(energy_drafts(tariff.energy, measured, parts))
    demands: list[BilledDemand] = []
    lacking = 0
    for account in demand_drafts(tariff.demand, measured, parts, agreed, history):
        drafts += account.drafts
        demands.append(account.billed)
        lacking = max(lacking, account.lacking)
    if lacking:
        caveats.append(f"the demand of {lacking} earlier months that the billing demand depends on is not known; counted as 0")
    drafts += fixed_drafts(tariff.fixed, parts, agreed)
    power_factor = _power_factor(measured, extras, caveats)
    shares = _Shares(tariff, parts, measured, drafts)
    for layer in tariff.power_factor_layers:
        drafts += shares.power_factor(layer, power_factor, caveats)
    for adder in tariff.adders:
        drafts += shares.adder(adder, extras, caveats)
    if tariff.leaves_out:
        caveats.append(f"not in this tariff: {', '.join(tariff.leaves_out)}")
    lines = _rounded(tariff, drafts, parts)
    return Bill(
        tariff=tariff.name,
        title=tariff.title,
        currency=tariff.currency,
        month=month,
        begins_at=measured.begins_at,
        ends_at=measured.ends_at,
        lines=lines,
        total_paise=sum(line.amount_paise for line in lines),
        demands=tuple(demands),
        energy_kwh=measured.kwh,
        energy_kvah=measured.kvah,
        power_factor=power_factor,
        covered=measured.covered,
        caveats=tuple(caveats),
    )


class _Shares:
    """Lines that depend on other lines or on all energy. ``drafts`` grows while they are made."""

    def __init__(self, tariff: Tariff, parts: Parts, measured: MonthOfBlocks, drafts: list[Draft]) -> None:
        self.tariff, self.parts, self.measured, self.drafts = tariff, parts, measured, drafts

    def power_factor(self, layer: PowerFactorLayer, average: Fraction | None, caveats: list[str]) -> Iterator[Draft]:
        """The surcharge or incentive, if a step of the layer holds the average."""
        valid = self.parts.within(layer.valid)
        if valid is None:
            return
        if average is None:
            caveats.append(f"{layer.text}: the month's power factor is not known, so it is not on the bill")
            return
        rounded = layer.round.apply(average) if layer.round else average
        step = next((step for step in layer.steps if step.at_least <= rounded < step.below), None)
        if step is None:
            return
        points = 1 if step.points_from is None else ceil(abs(rounded - step.points_from) * 100)
        by_points = "" if step.points_from is None else f", {points} hundredths from {plain(step.points_from)}"
        words = f"average power factor {plain(rounded, 4)}{by_points}"
        if step.pct is not None:
            yield self._percent(layer.code, layer.text, step.pct * points, layer.of, layer.order_ref, valid, words)
        elif step.per_kwh is not None:
            yield self._per_unit(layer.code, layer.text, step.per_kwh * points, EnergyBasis.KWH, layer.order_ref, valid, words)

    def adder(self, adder: Adder, extras: BillExtras, caveats: list[str]) -> Iterator[Draft]:
        """The adder's line, if it holds in the month and its value is known."""
        valid = self.parts.within(adder.valid)
        if valid is None:
            return
        value, words = adder.value, ""
        if value is None:
            value = extras.monthly.get(adder.code)
            words = f"published for {self.parts.month}"
        if value is None:
            caveats.append(f"{adder.text}: the value of {self.parts.month} is not known, so it is not on the bill")
        elif adder.basis is AdderBasis.PCT_OF:
            yield self._percent(adder.code, adder.text, value, adder.of, adder.order_ref, valid, words)
        else:
            yield self._per_unit(adder.code, adder.text, value, EnergyBasis(adder.basis.value), adder.order_ref, valid, words)

    def _percent(self, code: str, text: str, pct: Fraction, of: Sequence[str], order_ref: str, valid: Valid, words: str) -> Draft:
        rounding = self.tariff.rounding.line
        held = self.parts.of(valid)
        named = [draft for draft in self.drafts if draft.layer in of]
        base = sum((draft.amount(rounding, held) for draft in named), Fraction(0))
        return Draft(
            layer=code,
            code=code,
            text=text,
            quantity=base,
            unit=self.tariff.currency,
            rate=pct / 100,
            explanation="; ".join(filter(None, [f"{plain(pct)} % of {', '.join(of)}", words, self.parts.words(valid)])),
            order_ref=order_ref,
            valid=valid,
            parts=self._spread(base * pct / 100, named, held),
        )

    def _spread(self, amount: Fraction, named: Sequence[Draft], held: dict[int, int]) -> dict[int, Fraction]:
        """A percentage's amount over the parts, as the lines that it is of lie in them; by days where those are nothing."""
        weights = {k: sum((draft.parts.get(k, Fraction(0)) for draft in named), Fraction(0)) for k in held}
        if not sum(weights.values()):
            weights = {k: Fraction(days) for k, days in held.items()}
        whole = sum(weights.values(), Fraction(0))
        return {k: amount * weight / whole for k, weight in weights.items()}

    def _per_unit(self, code: str, text: str, rate: Fraction, basis: EnergyBasis, order_ref: str, valid: Valid, words: str) -> Draft:
        part_of = {day: part for part, day in self.parts.each_day() if valid.hold(day)}
        counted: dict[int, int | Fraction] = {}
        for block in self.measured.blocks:
            if block.day in part_of:
                counted[part_of[block.day]] = counted.get(part_of[block.day], 0) + block.energy(basis)
        units = {part: Fraction(wh) / 1000 for part, wh in counted.items()}
        return Draft(
            layer=code,
            code=code,
            text=text,
            quantity=sum(units.values(), Fraction(0)),
            unit=basis.value,
            rate=rate,
            explanation="; ".join(filter(None, [words, self.parts.words(valid)])) or "all energy",
            order_ref=order_ref,
            valid=valid,
            parts={part: amount * rate for part, amount in units.items()},
        )


def _check(extras: BillExtras) -> None:
    for factor in (extras.power_factor, extras.assumed_power_factor):
        if factor is not None and not 0 < factor <= 1:
            raise BillingError(f"a power factor of {plain(factor)}: it lies above 0 and is at most 1")


def _told_of(measured: MonthOfBlocks, stand_in: Fraction | None) -> Iterator[str]:
    if measured.covered < 1:
        yield f"{plain((1 - measured.covered) * 100, 2)} % of the month was not measured and is not on the bill"
    if measured.assumed and stand_in is not None:
        factor = plain(stand_in, 4)
        yield f"the apparent energy of {measured.assumed} blocks was not measured; it is reckoned with a power factor of {factor}"
    if measured.exported_kwh:
        yield f"{plain(measured.exported_kwh, 3)} kWh were exported; this bill is for import only"


def _power_factor(measured: MonthOfBlocks, extras: BillExtras, caveats: list[str]) -> Fraction | None:
    if extras.power_factor is not None:
        return extras.power_factor
    kvah = measured.kvah
    if not kvah:
        return None
    if measured.kwh > kvah:
        caveats.append("the meter tells less apparent than active energy; the power factor counts as 1")
    return min(Fraction(1), measured.kwh / kvah)


def _rounded(tariff: Tariff, drafts: Sequence[Draft], parts: Parts) -> tuple[BillLine, ...]:
    lines = [draft.line(tariff.rounding.line) for draft in drafts]
    exact = Fraction(sum(line.amount_paise for line in lines), 100)
    change = minor_units(tariff.rounding.bill.apply(exact) - exact)
    if change:
        rounding = tariff.rounding.bill
        lines.append(
            BillLine(
                code="rounding",
                text="Rounding of the bill",
                quantity=Fraction(1),
                unit="bill",
                rate=Fraction(change, 100),
                amount_paise=change,
                explanation=f"{plain(exact, 2)} to whole multiples of {plain(rounding.to)} {tariff.currency}, {rounding.mode}",
                order_ref=tariff.order,
                valid=parts.whole,
            )
        )
    return tuple(lines)
