"""Demand and fixed lines: the month's demand by the layer's rule, the excess above the contract, parts of a month by days.

A contract that changes within the month makes two accounts, each with the demand that was recorded in its own days. A rate
that changes makes two lines; which demand and which days they count, the layer says (:class:`MidMonth`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

from grid.billing.blocks import MonthOfBlocks
from grid.billing.drafts import Draft, Parts
from grid.billing.values import BilledDemand, BillingError, BillingHistory, ContractChange
from grid.tariff.hours import Hours, Valid
from grid.tariff.layers import DemandLayer, FixedLayer, FixedPer, MidMonth
from grid.tariff.numbers import plain
from grid.tariff.rule import Contract, Found, Highest, NoContract, PastDemand, find, terms

__all__ = ["Agreed", "DemandAccount", "DemandLines", "agreed_parts", "demand_drafts", "fixed_drafts"]


@dataclass(frozen=True, slots=True)
class Agreed:
    """Days of the month with one contract demand; None: it is not known."""

    valid: Valid
    demand: Fraction | None


def agreed_parts(parts: Parts, contract: Fraction | None, changes: Sequence[ContractChange]) -> list[Agreed]:
    """The month, cut where the contract changes. Before the first known change ``contract`` holds."""
    found: list[Agreed] = []
    month = parts.month
    ordered = sorted(changes, key=lambda change: change.since)
    days = sorted({month.first, *(change.since for change in ordered if month.first < change.since < month.until), month.until})
    for since, until in pairwise(days):
        demand = next((change.demand for change in reversed(ordered) if change.since <= since), contract)
        if demand is not None and demand <= 0:
            raise BillingError(f"the contract demand of {since} is {plain(demand)}; it must be above 0")
        if found and found[-1].demand == demand:
            found[-1] = Agreed(Valid(found[-1].valid.since, until), demand)
        else:
            found.append(Agreed(Valid(since, until), demand))
    return found


@dataclass(frozen=True, slots=True)
class DemandAccount:
    """What a rule asks, for one layer, one contract and the days whose demand counts. ``most``: no more of the recorded
    demand counts; what is above the contract is billed by a line of its own."""

    layer: DemandLayer
    measured: MonthOfBlocks
    counted: Valid
    contract: Fraction | None
    history: BillingHistory
    most: Fraction | None = None

    @property
    def unit(self) -> str:
        return self.layer.basis.value

    @property
    def bound(self) -> Fraction | None:
        """Where the dearer demand begins; None: it is never dearer. Raises :class:`~grid.tariff.rule.NoContract`."""
        if self.layer.excess is None:
            return None
        if self.contract is None:
            raise NoContract(f"{self.layer.text}: demand above the contract costs more: give the contract demand")
        return self.layer.excess.above * self.contract

    def base(self) -> Found:
        """What is billed at the rate itself: the billing demand, without what pays the dearer rate in its place."""
        in_place = self.layer.excess is not None and not self.layer.excess.also_base
        found = find(self.layer.billing_rule, replace(self, most=self.bound) if in_place else self)
        return replace(found, value=self.layer.round.apply(found.value)) if self.layer.round else found

    def recorded(self, hours: Hours | None) -> Fraction:
        value = self.measured.peak(self.layer.basis, self.layer.block_min, hours=hours, days=self.counted.hold).value
        value = self.layer.round.apply(value) if self.layer.round else value
        return value if self.most is None else min(value, self.most)

    def highest(self, what: PastDemand, lookback: int) -> tuple[Fraction, int]:
        past = [self.history.months.get(self.measured.month.after(-k)) for k in range(1, lookback + 1)]
        values = [one.recorded if what is PastDemand.RECORDED else one.billing for one in past if one is not None]
        return max(values, default=Fraction(0)), len(values)


@dataclass(frozen=True, slots=True)
class DemandLines:
    """What one account of one layer comes to. ``lacking``: months of history that the rule asks for and nobody knows."""

    drafts: tuple[Draft, ...]
    billed: BilledDemand
    lacking: int


def demand_drafts(
    layers: Sequence[DemandLayer], measured: MonthOfBlocks, parts: Parts, agreed: Sequence[Agreed], history: BillingHistory
) -> Iterator[DemandLines]:
    """The lines of all demand layers. Raises :class:`BillingError`, :class:`~grid.tariff.rule.NoContract`."""
    for code in dict.fromkeys(layer.code for layer in layers):
        for layer, span in _spans([layer for layer in layers if layer.code == code], parts):
            for contract in agreed if _by_contract(layer) else [Agreed(parts.whole, agreed[-1].demand)]:
                valid = span.within(contract.valid)
                if valid is not None:
                    counted = valid if layer.mid_month is MidMonth.PART else contract.valid
                    yield _account(DemandAccount(layer, measured, counted, contract.demand, history), valid, parts)


def _by_contract(layer: DemandLayer) -> bool:
    """Whether the contract has a say in what the layer bills."""
    asked = [term.cap if isinstance(term, Highest) else term for term in terms(layer.billing_rule)]
    return layer.excess is not None or any(isinstance(one, Contract) for one in asked)


def _spans(layers: Sequence[DemandLayer], parts: Parts) -> list[tuple[DemandLayer, Valid]]:
    """Which layer of one code counts for which days of the month."""
    within = [(layer, parts.within(layer.valid)) for layer in layers]
    spans = sorted(((layer, valid) for layer, valid in within if valid is not None), key=lambda one: one[1].since or parts.month.first)
    if len(spans) > 1 and spans[0][0].mid_month in (MidMonth.FIRST, MidMonth.LAST):
        return [(spans[0 if spans[0][0].mid_month is MidMonth.FIRST else -1][0], parts.whole)]
    return spans


def _account(facts: DemandAccount, valid: Valid, parts: Parts) -> DemandLines:
    layer, unit = facts.layer, facts.unit
    found = find(layer.billing_rule, facts)
    billing = layer.round.apply(found.value) if layer.round else found.value
    peak = facts.measured.peak(layer.basis, layer.block_min, hours=None, days=facts.counted.hold)
    recorded, bound, base = facts.recorded(None), facts.bound, facts.base().value
    excess = Fraction(0) if bound is None else max(Fraction(0), recorded - bound)
    share = parts.share(valid)
    when = "" if peak.at is None else f"peak in the block of {peak.at.astimezone(facts.measured.blocks[0].local.tzinfo):%d %b %H:%M}"
    words = [found.words, when, "" if billing == found.value else f"rounded to {plain(billing, 3)} {unit}"]
    words += [f"{plain(base, 3)} {unit} of it at this rate" if base != billing else "", parts.words(valid)]
    drafts = [_demand_line(layer, base, layer.rate, valid, parts, share, layer.code, layer.text, "; ".join(filter(None, words)))]
    if excess and layer.excess is not None and bound is not None:
        rate = layer.rate * layer.excess.multiplier
        beside = "beside" if layer.excess.also_base else "in place of"
        told = f"{plain(recorded, 3)} recorded − {plain(bound, 3)} {unit} of contract"
        told = f"{told}; at {plain(layer.excess.multiplier)} × the rate, {beside} the rate itself"
        told = "; ".join(filter(None, [told, parts.words(valid)]))
        drafts.append(_demand_line(layer, excess, rate, valid, parts, share, f"{layer.code}-excess", f"{layer.text}, above contract", told))
    billed = BilledDemand(
        code=layer.code, unit=unit, recorded=recorded, at=peak.at, billing=billing, contract=facts.contract, excess=excess, valid=valid
    )
    return DemandLines(tuple(drafts), billed, found.lacking)


def _demand_line(
    layer: DemandLayer, quantity: Fraction, rate: Fraction, valid: Valid, parts: Parts, share: Fraction, code: str, text: str, words: str
) -> Draft:
    return Draft(
        layer=layer.code,
        code=code,
        text=text,
        quantity=quantity,
        unit=layer.basis.value,
        rate=rate,
        explanation=words,
        order_ref=layer.order_ref,
        valid=valid,
        parts=parts.spread(quantity * rate * share, valid),
    )


def fixed_drafts(layers: Sequence[FixedLayer], parts: Parts, agreed: Sequence[Agreed]) -> Iterator[Draft]:
    """The lines of all fixed charges. Raises :class:`~grid.tariff.rule.NoContract`."""
    for layer in layers:
        for contract in agreed if layer.per is FixedPer.CONTRACT else [Agreed(parts.whole, None)]:
            within = parts.within(layer.valid)
            valid = within.within(contract.valid) if within is not None else None
            if valid is None:
                continue
            share = parts.share(valid)
            match layer.per:
                case FixedPer.MONTH:
                    quantity, unit, amount = Fraction(1), "month", layer.amount * share
                case FixedPer.DAY:
                    quantity, unit = Fraction(parts.days(valid)), "day"
                    amount = layer.amount * quantity
                case FixedPer.CONTRACT:
                    if contract.demand is None:
                        raise NoContract(f"{layer.text} is by the contract demand: give it")
                    quantity, unit, amount = contract.demand, "contract", layer.amount * contract.demand * share
            yield Draft(
                layer=layer.code,
                code=layer.code,
                text=layer.text,
                quantity=quantity,
                unit=unit,
                rate=layer.amount,
                explanation=parts.words(valid) or "the whole month",
                order_ref=layer.order_ref,
                valid=valid,
                parts=parts.spread(amount, valid),
            )
