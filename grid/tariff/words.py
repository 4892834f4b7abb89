"""A tariff in sentences: what its file says, for the person who compares it with the order."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from grid.tariff.hours import ALWAYS
from grid.tariff.layers import (
    Adder,
    AdderBasis,
    DemandLayer,
    EnergyLayer,
    FixedLayer,
    FixedPer,
    Layer,
    MidMonth,
    Operation,
    PowerFactorLayer,
    SlabMode,
    TodRule,
)
from grid.tariff.model import Tariff
from grid.tariff.numbers import Rounding, plain
from grid.tariff.rule import Constant, Contract, Highest, Largest, PastDemand, Recorded, Rule

__all__ = ["rule_words", "told"]

_MID_MONTH = {
    MidMonth.DAYS: "",
    MidMonth.PART: "A month that it holds for a part of counts the demand of those days.",
    MidMonth.FIRST: "The rate of a month's first day holds for all of it.",
    MidMonth.LAST: "The rate of a month's last day holds for all of it.",
}


def told(tariff: Tariff) -> list[str]:
    """What the tariff says, a sentence or two for each layer, in the order of a bill."""
    money = tariff.currency
    lines = [f"{tariff.title}. Holds {tariff.valid}, on the clock of {tariff.timezone}, in {money}."]
    lines.append(f"Order: {tariff.order}. Read in: {tariff.source}.")
    lines += [f"{key} = {plain(one.value)}: {one.meaning}." for key, one in tariff.parameters.items()]
    for energy in tariff.energy:
        lines.append(_layer(energy, _energy(energy, money), tariff))
        lines += [_tod(rule, energy, tariff) for rule in energy.tod]
    lines += [_layer(demand, _demand(demand, money), tariff) for demand in tariff.demand]
    lines += [_layer(fixed, _fixed(fixed, money), tariff) for fixed in tariff.fixed]
    lines += [_layer(layer, _power_factor(layer, money), tariff) for layer in tariff.power_factor_layers]
    lines += [_layer(adder, _adder(adder, money), tariff) for adder in tariff.adders]
    lines.append(f"Lines are rounded {_rounding(tariff.rounding.line, money)}, the bill {_rounding(tariff.rounding.bill, money)}.")
    lines += [f"Uncertain: {one}." for one in tariff.uncertain]
    if tariff.leaves_out:
        lines.append(f"Not in it: {', '.join(tariff.leaves_out)}.")
    return lines


def rule_words(rule: Rule, unit: str) -> str:
    """How the billing demand is found."""
    match rule:
        case Recorded(factor, hours):
            return f"{_share(factor)}the highest block mean of the month{f' within {hours}' if hours else ''}"
        case Contract(factor):
            return f"{_share(factor)}the contract demand"
        case Constant(value):
            return f"{plain(value, 3)} {unit}"
        case Highest(what, lookback, factor, cap):
            kind = "recorded" if what is PastDemand.RECORDED else "billing"
            up_to = f", counted up to {rule_words(cap, unit)}" if cap is not None else ""
            return f"{_share(factor)}the highest {kind} demand of the {lookback} months before{up_to}"
        case Largest(args):
            return "the highest of: " + "; ".join(rule_words(arg, unit) for arg in args)


def _layer(layer: Layer, words: str, tariff: Tariff) -> str:
    valid = "" if layer.valid == ALWAYS else f" Holds {layer.valid}."
    order = "" if layer.order_ref == tariff.order else f" Order: {layer.order_ref}."
    return f"{layer.text} ({layer.code}): {words}{valid}{order}"


def _energy(layer: EnergyLayer, money: str) -> str:
    if layer.flat:
        return f"{plain(layer.slabs[0].rate)} {money}/{layer.basis}."
    whole = layer.slab_mode is SlabMode.WHOLE
    steps = [
        f"up to {plain(slab.up_to, 3)} {layer.basis} a month {plain(slab.rate)}" if slab.up_to is not None else f"above {plain(slab.rate)}"
        for slab in layer.slabs
    ]
    how = "the slab that is reached prices all of it" if whole else "each slab for the energy within it"
    return f"{', '.join(steps)} {money}/{layer.basis}; {how}."


def _tod(rule: TodRule, layer: EnergyLayer, tariff: Tariff) -> str:
    money = tariff.currency
    match rule.operation:
        case Operation.MUL:
            what = f"× {plain(rule.value)}"
        case Operation.ADD:
            what = f"{'+' if rule.value >= 0 else '−'} {plain(abs(rule.value))} {money}/{layer.basis}"
        case Operation.ABS:
            what = f"{plain(rule.value)} {money}/{layer.basis} in its place"
    name = f"{rule.name}: " if rule.name else ""
    order = f" Order: {rule.order_ref}." if rule.order_ref not in ("", layer.order_ref, tariff.order) else ""
    return f"  {name}{rule.when}: {what}.{order}"


def _demand(layer: DemandLayer, money: str) -> str:
    unit = layer.basis.value
    words = [f"{plain(layer.rate)} {money}/{unit} and month of billing demand, over blocks of {layer.block_min} min."]
    words.append(f"Billing demand is {rule_words(layer.billing_rule, unit)}.")
    if layer.excess is not None:
        above = "the contract" if layer.excess.above == 1 else f"{plain(layer.excess.above * 100)} % of the contract"
        beside = "beside the rate itself" if layer.excess.also_base else "in place of the rate"
        words.append(f"Above {above}: {plain(layer.excess.multiplier)} × the rate, {beside}.")
    if layer.round is not None:
        words.append(f"Demand is rounded {_rounding(layer.round, unit)}.")
    return " ".join(filter(None, [*words, _MID_MONTH[layer.mid_month]]))


def _fixed(layer: FixedLayer, money: str) -> str:
    per = {FixedPer.MONTH: "a month", FixedPer.DAY: "a day", FixedPer.CONTRACT: "per kW or kVA of contract and month"}
    return f"{plain(layer.amount)} {money} {per[layer.per]}."


def _power_factor(layer: PowerFactorLayer, money: str) -> str:
    return f"on the month's average{f', rounded {_rounding(layer.round)}' if layer.round else ''}: {'; '.join(_steps(layer, money))}."


def _steps(layer: PowerFactorLayer, money: str) -> Iterator[str]:
    for step in layer.steps:
        amount = (
            f"{plain(step.pct)} % of {', '.join(layer.of)}" if step.pct is not None else f"{plain(step.per_kwh or Fraction(0))} {money}/kWh"
        )
        points = f" for every hundredth begun from {plain(step.points_from)}" if step.points_from is not None else ""
        yield f"from {plain(step.at_least)} to below {plain(step.below)} {amount}{points}"


def _adder(adder: Adder, money: str) -> str:
    value = "published month by month" if adder.value is None else plain(adder.value)
    if adder.basis is AdderBasis.PCT_OF:
        return f"{value} % of {', '.join(adder.of)}." if adder.value is not None else f"percent of {', '.join(adder.of)}, {value}."
    return f"{value}, {money}/{adder.basis}."


def _rounding(rounding: Rounding, unit: str = "") -> str:
    return f"to whole multiples of {plain(rounding.to)}{f' {unit}' if unit else ''} ({rounding.mode})"


def _share(factor: Fraction) -> str:
    return "" if factor == 1 else f"{plain(factor * 100, 3)} % of "
